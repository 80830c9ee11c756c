#!/usr/bin/env bash
# Writes registry.cc: a call of define<Name>() for each operator file NAME.cc given, by name.
set -euo pipefail
names=$(for file in "$@"; do basename "$file" .cc; done | LC_ALL=C sort)
echo '#include "qat/ops/registry.h"'
echo
echo 'namespace simaqat {'
echo 'namespace ops {'
for name in $names; do echo "OpDefinition define$name();"; done
echo '}  // namespace ops'
echo
echo 'const OpRegistry& opRegistry() {'
echo '  static const OpRegistry* const registry = [] {'
echo '    auto* all = new OpRegistry;'
for name in $names; do echo "    all->add(ops::define$name());"; done
echo '    return all;'
echo '  }();'
echo '  return *registry;'
echo '}'
echo
echo '}  // namespace simaqat'
