#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gather_nd.h"
#include "qat/ops/shared/scatter.h"

namespace simaqat::ops {
namespace {

struct ScatterNdAttributes {
  std::string reduction = "none";

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("reduction", self.reduction);
  }
};

void infer(InferContext& c) {
  scatterReduction(c.node, c.node.attributes<ScatterNdAttributes>().reduction);
  c.expectElement(2, c.input(0).element);
  const auto slices = gatherNdShape(c, 0);
  if (const Shape* updates = c.shape(2); slices && updates != nullptr) {
    bool fits = updates->size() == slices->size();
    for (size_t axis = 0; fits && axis < slices->size(); ++axis) {
      const Dim& own = (*slices)[axis];
      const Dim& other = (*updates)[axis];
      fits = !own.known() || !other.known() || own.value == other.value;
    }
    if (!fits) {
      c.node.fail("input 2: expected {}, got {}", shapeToString(*slices), shapeToString(*updates));
    }
  }
  c.setOutput(0, c.input(0).element, c.input(0).shape);
}

void evaluate(const EvalContext& c) {
  const GatherNdWalk walk(c.node, 0, c.in(0).dims, c.in(1));
  evaluateScatter(c, c.node.attributes<ScatterNdAttributes>().reduction,
                  [&](auto* y, const auto* updates, ScatterReduction reduction) {
                    // On one thread: any two slices may be the same one.
                    for (int64_t row = 0; row < walk.rows(); ++row) {
                      auto* to = y + walk.source(row);
                      const auto* from = updates + row * walk.slice();
                      for (int64_t i = 0; i < walk.slice(); ++i)
                        to[i] = combine(reduction, to[i], from[i]);
                    }
                  });
}

void gradient(GradientContext& c) {
  ScatterForm form;
  form.gather = "GatherND";
  form.gather_attributes = wrapAttributes(GatherNdAttributes{});
  form.scatter_attributes = [](const char* reduction) {
    return wrapAttributes(ScatterNdAttributes{reduction});
  };
  scatterGradient(c, c.node.attributes<ScatterNdAttributes>().reduction, form);
}

std::vector<OpExample> examples() {
  const auto with = [](const char* name) { return AttributeMap{{"reduction", std::string(name)}}; };
  const Tensor elements = Tensor::of<int64_t>({3, 2}, {0, 1, -1, 3, 2, -4});
  const Tensor rows = Tensor::of<int64_t>({3, 1}, {2, 0, -1});
  const Tensor data = exampleTensor({3, 4}, 1);
  const Tensor zero = Tensor::of<double>({3}, {0.5, 0, 2});
  const Tensor two_zeros = Tensor::of<double>({3}, {0, 0, 2});
  const Tensor same = Tensor::of<int64_t>({3, 1}, {1, 1, 0});
  const Tensor vector = exampleTensor({4}, 1);
  return {
      {"elements", {}, {data, elements, exampleTensor({3}, 2)}},
      {"rows", {}, {data, Tensor::of<int64_t>({2, 1}, {2, 0}), exampleTensor({2, 4}, 2)}},
      {"rows, added", with("add"), {data, rows, exampleTensor({3, 4}, 2)}},
      {"rows, multiplied", with("mul"), {data, rows, exampleTensor({3, 4}, 2)}},
      {"one zero", with("mul"), {vector, same, zero}},
      {"two zeros", with("mul"), {vector, same, two_zeros}},
      {"rows, least", with("min"), {data, rows, exampleTensor({3, 4}, 2)}},
      {"elements, largest", with("max"), {data, elements, exampleTensor({3}, 2)}},
      {"integers",
       {},
       {exampleIntegers({4}, 0, 9), Tensor::of<int64_t>({1, 1}, {3}), exampleIntegers({1}, 9, 20)}},
  };
}

}  // namespace

OpDefinition defineScatterND() {
  OpDefinition op;
  op.name = "ScatterND";
  op.first_opset = 11;
  op.min_inputs = op.max_inputs = 3;
  op.make_attributes = &makeAttributes<ScatterNdAttributes>;
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
