// docs/OPERATORS.md, as the registry and ONNX's own tests have it.
#pragma once

#include <string>

namespace simaqat {

// Of the ONNX whose tests the document tells of: 1.12, Debian 12's. Newer ones have more tests.
constexpr int kDocumentedIrVersion = 8;

// The whole text. Runs ONNX's test cases, which must be installed (onnx_suite.h).
std::string operatorsDocument();

}  // namespace simaqat
