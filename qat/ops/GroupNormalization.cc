#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/group_norm.h"

namespace simaqat::ops {
namespace {

struct GroupNormAttributes {
  int64_t num_groups = 0;
  float epsilon = 1e-5f;
  int64_t stash_type = 1;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit.required("num_groups", self.num_groups);
    visit("epsilon", self.epsilon);
    visit("stash_type", self.stash_type);
  }
};

void infer(InferContext& c) {
  const int64_t groups = c.node.attributes<GroupNormAttributes>().num_groups;
  if (groups < 1) c.node.fail("attribute 'num_groups': expected at least 1, got {}", groups);
  const Shape* x = c.shape(0);
  if (x != nullptr && x->size() > 1 && (*x)[1].known() && (*x)[1].value % groups != 0) {
    c.node.fail("the channels of {} do not make {} groups of equal size", shapeToString(*x),
                groups);
  }
  inferGroupNorm(c);
}

void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<GroupNormAttributes>();
  evaluateGroupNorm(c, attributes.num_groups, attributes.epsilon);
}

void gradient(GradientContext& c) {
  const auto& attributes = c.node.attributes<GroupNormAttributes>();
  groupNormGradient(c, attributes.num_groups, attributes.epsilon);
}

// Before opset 21 there was a scale and a bias for each group: they are repeated for its channels.
void upgrade(PortableNode& node, int opset) {
  const auto attribute = node.attributes.find("num_groups");
  if (opset >= 21 || attribute == node.attributes.end() || node.inputs.size() != 3) return;
  const auto* groups = std::get_if<int64_t>(&attribute->second);
  if (groups == nullptr) node.fail("attribute 'num_groups' is not an integer");
  const auto list = [&](const char* name, const std::vector<int64_t>& values) {
    return node.add_constant(name, Tensor::of({static_cast<int64_t>(values.size())}, values));
  };
  const std::string count = list("groups", {*groups});
  const std::string channels =
      node.add_node("Shape", {{"start", int64_t{1}}, {"end", int64_t{2}}}, {node.inputs[0]});
  const std::string matrix = node.add_node("Concat", {{"axis", int64_t{0}}},
                                           {count, node.add_node("Div", {}, {channels, count})});
  const std::string column = list("column", {-1, 1});
  const std::string flat = list("flat", {-1});
  for (size_t i = 1; i < 3; ++i) {
    const std::string own = node.add_node("Reshape", {}, {node.inputs[i], column});
    node.inputs[i] =
        node.add_node("Reshape", {}, {node.add_node("Expand", {}, {own, matrix}), flat});
  }
}

std::vector<OpExample> examples() {
  const auto groups = [](int64_t count) { return AttributeMap{{"num_groups", count}}; };
  const AttributeMap epsilon = {{"num_groups", int64_t{2}}, {"epsilon", 0.01f}};
  const Tensor scale = exampleTensor({4}, 2, 0.5, 2);
  const Tensor bias = exampleTensor({4}, 3);
  return {
      {"two groups", groups(2), {exampleTensor({2, 4, 3, 2}), scale, bias}},
      {"one group", groups(1), {exampleTensor({2, 4, 3}), scale, bias}},
      {"epsilon", epsilon, {exampleTensor({3, 4}), scale, bias}},
  };
}

}  // namespace

OpDefinition defineGroupNormalization() {
  OpDefinition op;
  op.name = "GroupNormalization";
  // The form of opset 18 is another, which no node of the canonical form can be turned into.
  op.first_opset = 21;
  op.min_inputs = op.max_inputs = 3;
  op.make_attributes = &makeAttributes<GroupNormAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.upgrade = upgrade;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
