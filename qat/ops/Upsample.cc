#include "qat/ir/op.h"

namespace simaqat::ops {
namespace {

// Scales have been an attribute before opset 9. Coordinates are counted as Resize does in opset 10.
void upgrade(PortableNode& node, int opset) {
  if (opset < 9) {
    const auto scales = node.attributes.find("scales");
    if (scales == node.attributes.end() ||
        !std::holds_alternative<std::vector<float>>(scales->second)) {
      node.fail("attribute 'scales': expected a list of floats");
    }
    const auto& list = std::get<std::vector<float>>(scales->second);
    node.inputs.push_back(
        node.add_constant("scales", Tensor::of({static_cast<int64_t>(list.size())}, list)));
    node.attributes.erase(scales);
  }
  node.op_type = "Resize";
  node.inputs.insert(node.inputs.begin() + 1, "");
  node.attributes["coordinate_transformation_mode"] = std::string("asymmetric");
  node.attributes["nearest_mode"] = std::string("floor");
}

}  // namespace

OpDefinition defineResize();

// What came before Resize, and becomes one when imported.
OpDefinition defineUpsample() {
  OpDefinition op = defineResize();
  op.name = "Upsample";
  op.first_opset = 7;
  op.last_opset = 9;
  op.upgrade = upgrade;
  op.downgrade = nullptr;
  return op;
}

}  // namespace simaqat::ops
