#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/examples.h"

// Stochastic depth (Huang 2016): x times 1 / keep with probability `keep` and else times 0, drawn
// once for each element of `like`. The pass drop-paths makes it of what exporters write. The
// factors are the second output, for backward.
namespace simaqat::ops {
namespace {

enum Input { kData, kLike, kKeep };

void infer(InferContext& c) {
  const ElementType element = c.input(kData).element;
  c.setOutput(0, element, c.input(kData).shape);
  c.setOutput(1, element, c.input(kLike).shape);
  const std::optional<Shape> joint = broadcastShapes(c.node, c.shape(kData), c.shape(kLike));
  const bool known = c.input(kData).isStatic() && c.input(kLike).isStatic();
  if (known && *joint != *c.shape(kData)) {
    c.node.fail("input {}: expected a shape that broadcasts to {}, got {}", int{kLike},
                shapeToString(*c.shape(kData)), shapeToString(*c.shape(kLike)));
  }
}

void evaluate(const EvalContext& c) {
  double keep = 1;
  visitFloat(c, c.in(kKeep).type, [&](auto tag) { keep = *c.in(kKeep).data<decltype(tag)>(); });
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const RandomStream random = c.random();
    T* factors = c.out(1).data<T>();
    for (int64_t i = 0; i < c.out(1).size; ++i) {
      const bool kept = random.uniform(static_cast<uint64_t>(i)) < keep;
      factors[i] = kept ? static_cast<T>(1 / keep) : T{0};
    }
    const TensorView operands[] = {c.in(kData), c.out(1)};
    const EvalContext product{c.node, {operands, 2}, c.outputs, c.workspace,
                              c.pool, c.seed,        c.step};
    mapBinary<T, T>(product, [](T x, T factor) { return x * factor; });
  });
}

void gradient(GradientContext& c) {
  c.setInputGradient(kData, c.add("Mul", {c.outputGradient(), c.output(1)}));
}

// The identity, but in training.
void specialize(Graph& graph, Node& node, const Specialization& to) {
  if (to.mode == Mode::kTrain) return;
  graph.replaceUses(node.output(), node.input(kData));
  graph.removeNode(&node);
}

std::vector<OpExample> examples() {
  const Tensor keep = Tensor::scalar<double>(0.6);
  std::vector<OpExample> list = {
      {"rows", {}, {exampleTensor({8, 3, 2}), exampleTensor({8, 1, 1}), keep}},
      {"batch", {}, {exampleTensor({4, 3}), exampleTensor({1, 1}), keep}},
      {"elements", {}, {exampleTensor({4, 6}), exampleTensor({4, 6}), keep}},
  };
  for (OpExample& example : list) {
    example.output_count = 2;
    example.differentiate = {kData};
  }
  return list;
}

}  // namespace

OpDefinition defineDropPath() {
  OpDefinition op;
  op.name = "DropPath";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 3;
  op.min_outputs = op.max_outputs = 2;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.setting_inputs = {2};
  op.in_place = {{0, 0}};
  op.random = true;
  op.specialize = specialize;
  op.quantization.output = OutputQuantization::kTransparent;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
