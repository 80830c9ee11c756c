// docs/OPERATORS.md says what is so.
#include "tests/ops/operators_document.h"

#include <onnx/onnx_pb.h>

#include "qat/base/file.h"
#include "tests/catch.h"
#include "tests/ops/onnx_suite.h"

namespace simaqat {

TEST_CASE("docs/OPERATORS.md is up to date") {
  if (onnxSuiteFolder().empty()) QAT_SKIP("no package libonnx-testdata");
  if (onnx::IR_VERSION != kDocumentedIrVersion) QAT_SKIP("written with ONNX's tests of Debian 12");
  INFO("write it with: bazel run //tests/ops:write_operators_document > docs/OPERATORS.md");
  CHECK(std::string(readFile("docs/OPERATORS.md")) == operatorsDocument());
}

}  // namespace simaqat
