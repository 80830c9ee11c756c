#include "qat/onnx/make_node.h"

#include "qat/onnx/convert.h"

namespace simaqat::onnx_format {
namespace {

std::vector<std::string> named(const std::vector<std::string>& names, const std::string& suffix) {
  std::vector<std::string> result;
  for (const std::string& name : names) result.push_back(name + suffix);
  return result;
}

}  // namespace

onnx::NodeProto makeNode(const std::string& op_type, const std::vector<std::string>& inputs,
                         const std::vector<std::string>& outputs, const AttributeMap& attributes) {
  onnx::NodeProto node;
  node.set_op_type(op_type);
  node.set_name(outputs.front());
  for (const std::string& input : inputs) node.add_input(input);
  for (const std::string& output : outputs) node.add_output(output);
  fromAttributes(attributes, node);
  return node;
}

onnx::NodeProto constantNode(const std::string& name, const Tensor& tensor) {
  return makeNode("Constant", {}, {name}, {{"value", tensor}});
}

onnx::NodeProto identity(const std::string& from, const std::string& to) {
  return makeNode("Identity", {from}, {to});
}

std::vector<onnx::NodeProto> stackNodes(const std::vector<std::string>& values, int64_t axis,
                                        const std::string& output) {
  const std::string axes = output + "/axis";
  std::vector<onnx::NodeProto> nodes = {constantNode(axes, Tensor::of<int64_t>({1}, {axis}))};
  std::vector<std::string> parts;
  for (size_t i = 0; i < values.size(); ++i) {
    parts.push_back(fmt::format("{}/part.{}", output, i));
    nodes.push_back(makeNode("Unsqueeze", {values[i], axes}, {parts.back()}));
  }
  nodes.push_back(makeNode("Concat", parts, {output}, {{"axis", axis}}));
  return nodes;
}

std::vector<onnx::NodeProto> unstackNodes(const std::string& value, int64_t axis,
                                          const std::vector<std::string>& slices) {
  const std::string axes = slices.front() + "/axis";
  const std::vector<std::string> parts = named(slices, "/part");
  std::vector<onnx::NodeProto> nodes = {constantNode(axes, Tensor::of<int64_t>({1}, {axis})),
                                        makeNode("Split", {value}, parts, {{"axis", axis}})};
  for (size_t i = 0; i < slices.size(); ++i) {
    nodes.push_back(makeNode("Squeeze", {parts[i], axes}, {slices[i]}));
  }
  return nodes;
}

}  // namespace simaqat::onnx_format
