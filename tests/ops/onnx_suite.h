// ONNX's own test cases, as Debian's package libonnx-testdata has them, of whichever version: a
// model each, its inputs and the outputs it expects.
#pragma once

#include <set>
#include <string>
#include <vector>

namespace simaqat {

enum class OnnxOutcome {
  kPassed,
  kExcused,  // not passed, for a reason that stands in onnx_suite.cc
  kForeign,  // of an operator that is not supported
  kFailed,
};

struct OnnxCase {
  std::string name;                 // the folder's
  std::set<std::string> operators;  // the model's; one where it is an operator's own test
  OnnxOutcome outcome = OnnxOutcome::kFailed;
  // The reason, or what went wrong; for kForeign the operators.
  std::string message;
};

// Where the package is; an empty path where it is not installed.
std::string onnxSuiteFolder();

// Runs every case of one of the suite's folders, such as "node", in order of names.
std::vector<OnnxCase> runOnnxSuite(const std::string& set);

// Reasons that excuse no case of these any more.
std::vector<std::string> staleReasons(const std::vector<OnnxCase>& cases);

}  // namespace simaqat
