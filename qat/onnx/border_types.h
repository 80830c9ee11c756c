// Inputs and outputs that a source file has in another floating-point type than float32, in which
// everything is computed.
#pragma once

#include <onnx/onnx_pb.h>

#include "qat/onnx/export.h"

namespace simaqat::onnx_format {

// Notes these types in a file's metadata.
void noteBorderTypes(const onnx::GraphProto& graph, Metadata& metadata);

// Gives inputs and outputs of float32 the noted types back: a Cast stands behind the input, or in
// front of the output. What was noted goes.
void castBorders(onnx::ModelProto& model);

}  // namespace simaqat::onnx_format
