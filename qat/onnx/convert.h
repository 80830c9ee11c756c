// Between ONNX's protobuf classes and ours; nothing outside this folder sees those classes.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>

#include "qat/ir/graph.h"
#include "qat/ir/op.h"

namespace simaqat::onnx_format {

// The tensor's data, from external files in `folder` too. Errors name the tensor.
Tensor toTensor(const onnx::TensorProto& proto, const std::string& folder);
onnx::TensorProto fromTensor(const std::string& name, const Tensor& tensor);

AttributeMap toAttributes(const onnx::NodeProto& node, const std::string& folder);
void fromAttributes(const AttributeMap& attributes, onnx::NodeProto& node);

TensorType toType(const onnx::ValueInfoProto& info);
onnx::ValueInfoProto fromType(const std::string& name, const TensorType& type);

}  // namespace simaqat::onnx_format
