#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gather_elements.h"
#include "qat/ops/shared/scatter.h"

namespace simaqat::ops {
namespace {

struct ScatterElementsAttributes : AxisAttributes {
  std::string reduction = "none";

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    AxisAttributes::fields(self, visit);
    visit("reduction", self.reduction);
  }
};

void infer(InferContext& c) {
  const auto& attributes = c.node.attributes<ScatterElementsAttributes>();
  scatterReduction(c.node, attributes.reduction);
  c.expectElement(2, c.input(0).element);
  if (const Shape* data = c.shape(0)) {
    normalizeAxis(c.node, attributes.axis, static_cast<int64_t>(data->size()));
    c.expectRank(1, data->size());
    c.expectRank(2, data->size());
  }
  const Shape* indices = c.shape(1);
  const Shape* updates = c.shape(2);
  for (size_t axis = 0; indices != nullptr && updates != nullptr && axis < indices->size();
       ++axis) {
    const Dim& own = (*indices)[axis];
    const Dim& other = (*updates)[axis];
    if (own.known() && other.known() && own.value != other.value) {
      c.node.fail("input 2: expected the indices' shape {}, got {}", shapeToString(*indices),
                  shapeToString(*updates));
    }
  }
  c.setOutput(0, c.input(0).element, c.input(0).shape);
}

void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<ScatterElementsAttributes>();
  const GatherElementsWalk walk(c.node, attributes.axis, c.in(0).dims, c.in(1));
  evaluateScatter(c, attributes.reduction,
                  [&](auto* y, const auto* updates, ScatterReduction reduction) {
                    // On one thread: any two updates may be of the same element.
                    for (int64_t i = 0; i < c.in(2).size; ++i) {
                      auto& element = y[walk.source(i)];
                      element = combine(reduction, element, updates[i]);
                    }
                  });
}

void gradient(GradientContext& c) {
  const auto attributes = c.node.attributes<ScatterElementsAttributes>();
  ScatterForm form;
  form.gather = "GatherElements";
  form.gather_attributes = wrapAttributes(AxisAttributes{attributes.axis});
  form.scatter_attributes = [attributes](const char* reduction) {
    ScatterElementsAttributes other = attributes;
    other.reduction = reduction;
    return wrapAttributes(other);
  };
  scatterGradient(c, attributes.reduction, form);
}

std::vector<OpExample> examples() {
  const auto with = [](int64_t axis, const char* reduction) {
    return AttributeMap{{"axis", axis}, {"reduction", std::string(reduction)}};
  };
  const Tensor distinct = Tensor::of<int64_t>({2, 3}, {0, -1, 1, 2, 0, -3});
  const Tensor repeated = Tensor::of<int64_t>({2, 3}, {0, 2, 1, 0, -1, -2});
  const Tensor data = exampleTensor({3, 4}, 1);
  const Tensor updates = exampleTensor({2, 3}, 2);
  return {
      {"rows", {}, {data, distinct, updates}},
      {"columns", {{"axis", int64_t{1}}}, {data, distinct, updates}},
      {"last axis, added", with(-1, "add"), {data, repeated, updates}},
      {"multiplied", with(0, "mul"), {data, repeated, updates}},
      {"least", with(0, "min"), {data, repeated, updates}},
      {"largest", with(1, "max"), {data, repeated, updates}},
      {"integers",
       {},
       {exampleIntegers({4}, 0, 9), Tensor::of<int64_t>({1}, {-1}), exampleIntegers({1}, 9, 20)}},
  };
}

}  // namespace

OpDefinition defineScatterElements() {
  OpDefinition op;
  op.name = "ScatterElements";
  op.first_opset = 11;
  op.min_inputs = op.max_inputs = 3;
  op.make_attributes = &makeAttributes<ScatterElementsAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.downgrade = downgradeScatter;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
