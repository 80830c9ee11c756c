// docs/OPERATORS.md, as the registry and ONNX's own tests have it.
#pragma once

#include <string>

namespace simaqat {

// The whole text. Runs ONNX's test cases, which must be installed (onnx_suite.h).
std::string operatorsDocument();

}  // namespace simaqat
