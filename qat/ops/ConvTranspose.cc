#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/conv_transpose.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element,
              inferConvTranspose(c, c.node.attributes<ConvTransposeAttributes>()));
}

kernels::ConvShape shapeOf(const EvalContext& c) {
  return convTransposeShape(c.node, c.node.attributes<ConvTransposeAttributes>(), c.in(0).dims,
                            c.in(1).dims);
}

int64_t planeSize(const kernels::ConvShape& shape) {
  return shape.in[0] * shape.in[1] * shape.in[2];
}

void evaluate(const EvalContext& c) {
  const kernels::ConvShape shape = shapeOf(c);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.in(0).data<T>();
    const T* w = c.in(1).data<T>();
    T* y = c.out().data<T>();
    for (int64_t i = 0; i < c.out().size; ++i) {
      y[i] = c.hasIn(2) ? c.in(2).data<T>()[i / planeSize(shape) % shape.in_channels] : T{0};
    }
    forEachProduct(shape, [&](int64_t yi, int64_t wi, int64_t xi) { y[yi] += x[xi] * w[wi]; });
  });
}

void kernel(const EvalContext& c) {
  const kernels::ConvShape shape = shapeOf(c);
  float* y = c.out().data<float>();
  kernels::convInputGrad(shape, kernels::Operands::kFloat, c.in(0).data<float>(),
                         c.in(1).data<float>(), y, c.workspace, c.pool);
  if (!c.hasIn(2)) return;
  const int64_t plane = planeSize(shape);
  const float* bias = c.in(2).data<float>();
  c.pool.runRanges(shape.batch * shape.in_channels, kElementwiseGrain / (plane + 1) + 1,
                   [=](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) {
                       const float added = bias[i % shape.in_channels];
                       for (int64_t k = 0; k < plane; ++k) y[i * plane + k] += added;
                     }
                   });
}

int64_t workspace(const Node& node, int threads) {
  return static_cast<int64_t>(kernels::convInputGradWorkspace(
      convTransposeShape(node, node.attributes<ConvTransposeAttributes>(),
                         node.input(0)->type.dims(), node.input(1)->type.dims()),
      kernels::Operands::kFloat, threads));
}

void gradient(GradientContext& c) {
  ConvTransposeGradientAttributes attributes;
  static_cast<ConvTransposeAttributes&>(attributes) = c.node.attributes<ConvTransposeAttributes>();
  if (c.wants(0)) {
    attributes.shape = c.input(0)->type.dims();
    c.setInputGradient(0, c.add("simaqat::ConvTransposeInputGradient",
                                {c.outputGradient(), c.factor(c.input(1))}, attributes));
  }
  if (c.wants(1)) {
    attributes.shape = c.input(1)->type.dims();
    c.setInputGradient(1, c.add("simaqat::ConvTransposeWeightGradient",
                                {c.factor(c.input(0)), c.outputGradient()}, attributes));
  }
  if (c.wants(2)) c.setInputGradient(2, c.add("simaqat::ChannelSum", {c.outputGradient()}));
}

std::vector<OpExample> examples() {
  using Ints = std::vector<int64_t>;
  std::vector<OpExample> all;
  const auto add = [&](const char* name, AttributeMap attributes, std::vector<Tensor> inputs) {
    all.emplace_back(name, std::move(attributes), std::move(inputs));
  };
  const auto pair = [](std::vector<int64_t> x, std::vector<int64_t> w) {
    return std::vector<Tensor>{exampleTensor(std::move(x), 1), exampleTensor(std::move(w), 2)};
  };
  add("plain", {},
      {exampleTensor({2, 3, 4, 3}, 1), exampleTensor({3, 2, 3, 2}, 2), exampleTensor({2}, 3)});
  add("strides and pads",
      {{"strides", Ints{2, 3}}, {"pads", Ints{1, 0, 1, 1}}, {"output_padding", Ints{1, 2}}},
      pair({2, 2, 3, 4}, {2, 3, 3, 3}));
  add("groups and dilation",
      {{"group", int64_t{2}}, {"dilations", Ints{2, 1}}, {"strides", Ints{1, 2}}},
      {exampleTensor({1, 4, 3, 3}, 1), exampleTensor({4, 3, 2, 3}, 2), exampleTensor({6}, 3)});
  add("depthwise, same",
      {{"group", int64_t{3}}, {"strides", Ints{2, 2}}, {"auto_pad", std::string("SAME_UPPER")}},
      pair({1, 3, 3, 4}, {3, 1, 3, 3}));
  add("output shape, less", {{"strides", Ints{2, 2}}, {"output_shape", Ints{6, 7}}},
      pair({1, 2, 3, 4}, {2, 2, 3, 3}));
  add("output shape, more", {{"strides", Ints{3, 2}}, {"output_shape", Ints{10, 8}}},
      pair({1, 1, 3, 3}, {1, 2, 3, 3}));
  add("kernels that do not meet", {{"strides", Ints{3}}}, pair({2, 2, 4}, {2, 3, 2}));
  add("output padding as large as the stride",
      {{"dilations", Ints{2}}, {"output_padding", Ints{1}}}, pair({1, 2, 4}, {2, 1, 2}));
  add("three axes", {{"strides", Ints{1, 2, 1}}, {"pads", Ints{0, 1, 0, 0, 1, 1}}},
      pair({1, 2, 2, 3, 2}, {2, 2, 2, 3, 2}));
  return all;
}

}  // namespace

OpDefinition defineConvTranspose() {
  OpDefinition op;
  op.name = "ConvTranspose";
  op.min_inputs = 2;
  op.max_inputs = 3;
  op.make_attributes = &makeAttributes<ConvTransposeAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.workspace = workspace;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kComputes;
  op.quantization.fuses_batch_norm = true;
  op.quantization.fuses_activation = true;
  op.quantization.weight_input = 1;
  op.quantization.bias_input = 2;
  op.quantization.weight_axis = [](const Node&) -> int64_t { return 1; };
  op.quantization.weight_groups = [](const Node& node) -> int64_t {
    return node.attributes<ConvTransposeAttributes>().group;
  };
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
