#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/convolution.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element, inferConv(c, c.node.attributes<ConvAttributes>()));
}

kernels::ConvShape shapeOf(const EvalContext& c) {
  return convShape(c.node, c.node.attributes<ConvAttributes>(), c.in(0).dims, c.in(1).dims);
}

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const kernels::ConvShape shape = shapeOf(c);
    const T* x = c.in(0).data<T>();
    const T* w = c.in(1).data<T>();
    T* y = c.out().data<T>();
    const int64_t plane = shape.out[0] * shape.out[1] * shape.out[2];
    for (int64_t i = 0; i < c.out().size; ++i) {
      y[i] = c.hasIn(2) ? c.in(2).data<T>()[i / plane % shape.out_channels] : T{0};
    }
    forEachProduct(shape, [&](int64_t xi, int64_t wi, int64_t yi) { y[yi] += x[xi] * w[wi]; });
  });
}

// Sums of quantized values are multiples of one small number, which float holds well; sums of float
// values are taken in double.
kernels::Sums sumsOf(const Node& node) {
  const bool quantized = node.input(0)->quantizer != nullptr && node.input(1)->quantizer != nullptr;
  return quantized ? kernels::Sums::kFloat : kernels::Sums::kDouble;
}

void kernel(const EvalContext& c) {
  kernels::convForward(shapeOf(c), sumsOf(c.node), c.in(0).data<float>(), c.in(1).data<float>(),
                       c.hasIn(2) ? c.in(2).data<float>() : nullptr, c.out().data<float>(),
                       c.workspace, c.pool);
}

kernels::ConvShape staticShapeOf(const Node& node) {
  return convShape(node, node.attributes<ConvAttributes>(), node.input(0)->type.dims(),
                   node.input(1)->type.dims());
}

int64_t workspace(const Node& node, int threads) {
  return static_cast<int64_t>(
      kernels::convForwardWorkspace(staticShapeOf(node), sumsOf(node), threads));
}

void gradient(GradientContext& c) {
  ConvGradientAttributes attributes;
  static_cast<ConvAttributes&>(attributes) = c.node.attributes<ConvAttributes>();
  if (c.wants(0)) {
    attributes.shape = c.input(0)->type.dims();
    c.setInputGradient(0, c.add("simaqat::ConvInputGradient",
                                {c.outputGradient(), c.factor(c.input(1))}, attributes));
  }
  if (c.wants(1)) {
    attributes.shape = c.input(1)->type.dims();
    c.setInputGradient(1, c.add("simaqat::ConvWeightGradient",
                                {c.factor(c.input(0)), c.outputGradient()}, attributes));
  }
  if (c.wants(2)) {
    c.setInputGradient(2, c.add("simaqat::ChannelSum", {c.outputGradient()}));
  }
}

std::vector<OpExample> examples() {
  using Ints = std::vector<int64_t>;
  std::vector<OpExample> all;
  const auto add = [&](const char* name, AttributeMap attributes, std::vector<Tensor> inputs) {
    all.emplace_back(name, std::move(attributes), std::move(inputs));
  };
  add("padded", {{"pads", Ints{1, 1, 1, 1}}},
      {exampleTensor({2, 3, 5, 4}, 1), exampleTensor({4, 3, 3, 3}, 2), exampleTensor({4}, 3)});
  add("strides", {{"strides", Ints{2, 3}}, {"pads", Ints{0, 1, 2, 1}}},
      {exampleTensor({2, 2, 6, 7}, 1), exampleTensor({3, 2, 3, 2}, 2)});
  add("groups and dilation", {{"group", int64_t{2}}, {"dilations", Ints{2, 1}}},
      {exampleTensor({1, 4, 6, 5}, 1), exampleTensor({6, 2, 2, 3}, 2)});
  add("depthwise", {{"group", int64_t{3}}, {"auto_pad", std::string("SAME_UPPER")}},
      {exampleTensor({2, 3, 5, 5}, 1), exampleTensor({3, 1, 3, 3}, 2)});
  add("pointwise", {},
      {exampleTensor({2, 3, 4, 4}, 1), exampleTensor({5, 3, 1, 1}, 2), exampleTensor({5}, 3)});
  add("one axis", {{"pads", Ints{1, 0}}}, {exampleTensor({2, 2, 7}, 1), exampleTensor({3, 2, 3}, 2)});
  add("three axes", {{"strides", Ints{1, 2, 1}}},
      {exampleTensor({1, 2, 3, 5, 4}, 1), exampleTensor({2, 2, 2, 3, 2}, 2)});
  return all;
}

}  // namespace

OpDefinition defineConv() {
  OpDefinition op;
  op.name = "Conv";
  op.min_inputs = 2;
  op.max_inputs = 3;
  op.make_attributes = &makeAttributes<ConvAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.workspace = workspace;
  op.operations = [](const Node& node) { return convOperations(staticShapeOf(node)); };
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kComputes;
  op.quantization.fuses_batch_norm = true;
  op.quantization.fuses_activation = true;
  op.quantization.weight_input = 1;
  op.quantization.bias_input = 2;
  op.quantization.weight_axis = [](const Node&) -> int64_t { return 0; };
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
