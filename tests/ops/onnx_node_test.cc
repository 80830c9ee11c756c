// ONNX's own tests, of the operators that the registry has.
#include <cstdio>
#include <map>

#include "tests/catch.h"
#include "tests/ops/onnx_suite.h"

namespace simaqat {
namespace {

// Checks that no case failed, and prints how many passed, which it returns.
int64_t checkCases(const std::string& set, const std::vector<OnnxCase>& cases) {
  std::map<OnnxOutcome, int64_t> counts;
  std::map<std::string, int64_t> excuses;
  for (const OnnxCase& one : cases) {
    ++counts[one.outcome];
    if (one.outcome == OnnxOutcome::kExcused) ++excuses[one.message];
    INFO(one.name << ": " << one.message);
    CHECK(one.outcome != OnnxOutcome::kFailed);
  }
  std::printf("ONNX's %s tests: %lld of %lld passed\n", set.c_str(),
              static_cast<long long>(counts[OnnxOutcome::kPassed]),
              static_cast<long long>(cases.size()));
  std::printf("  %lld of operators that are not supported\n",
              static_cast<long long>(counts[OnnxOutcome::kForeign]));
  for (const auto& [reason, count] : excuses) {
    std::printf("  %lld not passed: %s\n", static_cast<long long>(count), reason.c_str());
  }
  return counts[OnnxOutcome::kPassed];
}

}  // namespace

TEST_CASE("ONNX's node tests") {
  if (onnxSuiteFolder().empty()) QAT_SKIP("no package libonnx-testdata");
  const std::vector<OnnxCase> cases = runOnnxSuite("node");
  CHECK(checkCases("node", cases) >= 740);
  for (const std::string& reason : staleReasons(cases)) FAIL_CHECK(reason << " excuses no case");
}

TEST_CASE("modules of PyTorch that ONNX has converted") {
  if (onnxSuiteFolder().empty()) QAT_SKIP("no package libonnx-testdata");
  for (const char* set : {"pytorch-converted", "pytorch-operator"}) {
    CHECK(checkCases(set, runOnnxSuite(set)) > 0);
  }
}

}  // namespace simaqat
