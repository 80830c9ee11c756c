// The model-local functions that define simaqat's operators in the files it writes, so that any
// ONNX tool can open and run them.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>

namespace simaqat::onnx_format {

constexpr char kOwnDomain[] = "simaqat";

// The function for an operator of the domain "simaqat". A bug of ours where it has none: operators
// that only passes create never reach a file.
onnx::FunctionProto functionDefinition(const std::string& name, int opset);

}  // namespace simaqat::onnx_format
