// What exporters write about the parameters of a network, beside the graph itself.
#pragma once

#include <onnx/onnx_pb.h>

#include <map>
#include <string>
#include <vector>

namespace simaqat::onnx_format {

// By initializer: true for a parameter, false for a buffer or a constant tensor. PyTorch's dynamo
// exporter writes it in the metadata of value_info, as
// pkg.torch.export.graph_signature.InputSpec.kind.
std::map<std::string, bool> statedParameters(const onnx::ModelProto& model);

// Gives parameters that an exporter merged because their values were equal an initializer each
// again, and returns for each new one's name, which is the parameter's own, the initializer that it
// was merged with. TorchScript leaves an
// Identity with the old name; the dynamo exporter leaves the old name in the metadata of the nodes
// (pkg.torch.onnx.fx_node). Only tensors with one value throughout are merged by accident: others
// are tied on purpose, and stay so.
std::map<std::string, std::string> separateMergedParameters(onnx::ModelProto& model);

}  // namespace simaqat::onnx_format
