#!/usr/bin/env bash
# Installs ONNX Runtime, to run what simaqat exports, for Node, and does nothing when it is there.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/common.sh

# Other distributors' nodejs brings npm along, and conflicts with Debian's npm.
if ! command -v node >/dev/null; then
  install_packages nodejs
fi
if ! command -v npm >/dev/null; then
  install_packages npm
fi

cd tests/onnxruntime
wanted=$(node -p 'require("./package.json").dependencies["onnxruntime-node"]')
installed=$(node -p 'require("onnxruntime-node/package.json").version' 2>/dev/null || true)
if [[ $installed != "$wanted" ]]; then
  log=$(mktemp -t simaqat-npm.XXXXXX)
  # The package holds the CPU library; its install script would download others.
  quietly "$log" npm install --ignore-scripts --no-package-lock --no-audit --no-fund
  rm "$log"
fi
