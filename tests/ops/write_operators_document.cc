// Writes docs/OPERATORS.md to standard output.
#include <cstdio>

#include "qat/base/error.h"
#include "tests/ops/onnx_suite.h"
#include "tests/ops/operators_document.h"

int main() {
  if (simaqat::onnxSuiteFolder().empty()) {
    std::fprintf(stderr, "package libonnx-testdata is not installed\n");
    return 1;
  }
  try {
    std::fputs(simaqat::operatorsDocument().c_str(), stdout);
  } catch (const simaqat::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
