// Nodes that import puts in place of those that a graph does not have.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>
#include <vector>

#include "qat/ir/attributes.h"

namespace simaqat::onnx_format {

// The opset of these nodes.
constexpr int kMadeOpset = 13;

onnx::NodeProto makeNode(const std::string& op_type, const std::vector<std::string>& inputs,
                         const std::vector<std::string>& outputs,
                         const AttributeMap& attributes = {});
onnx::NodeProto constantNode(const std::string& name, const Tensor& tensor);
// Gives one value a second name.
onnx::NodeProto identity(const std::string& from, const std::string& to);

// `output` is the values joined along a new axis.
std::vector<onnx::NodeProto> stackNodes(const std::vector<std::string>& values, int64_t axis,
                                        const std::string& output);
// Cuts a value along an axis into slices of length 1, which lose that axis.
std::vector<onnx::NodeProto> unstackNodes(const std::string& value, int64_t axis,
                                          const std::vector<std::string>& slices);

}  // namespace simaqat::onnx_format
