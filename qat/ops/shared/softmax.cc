#include "qat/ops/shared/softmax.h"

#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {

void inferSoftmax(InferContext& c) {
  if (const Shape* x = c.shape(0)) {
    normalizeAxis(c.node, c.node.attributes<SoftmaxAttributes>().axis,
                  static_cast<int64_t>(x->size()));
  }
  c.setOutput(0, c.input(0).element, c.input(0).shape);
}

void upgradeSoftmax(PortableNode& node, int opset) {
  if (opset >= 13) return;
  node.attributes.emplace("axis", int64_t{1});
  if (!attributesEqual(node.attributes["axis"], int64_t{-1})) {
    node.attributes["flatten"] = int64_t{1};
  }
}

void downgradeSoftmax(PortableNode& node, int) { node.attributes.erase("flatten"); }

std::vector<OpExample> softmaxExamples() {
  return {
      {"last axis", {}, {exampleTensor({2, 3, 5}, 1, -3, 3)}},
      {"middle axis", {{"axis", int64_t{1}}}, {exampleTensor({2, 4, 3}, 1, -3, 3)}},
      {"first axis", {{"axis", int64_t{0}}}, {exampleTensor({4, 3}, 1, -3, 3)}},
      {"large numbers", {}, {exampleTensor({2, 3}, 1, 998, 1000)}},
  };
}

Value* sumOverAxis(GradientContext& c, Value* value) {
  return c.add("ReduceSum", {value, integers(c, {c.node.attributes<SoftmaxAttributes>().axis})});
}

}  // namespace simaqat::ops
