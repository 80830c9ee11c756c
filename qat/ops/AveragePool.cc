#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/pooling.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element, inferPool(c, c.node.attributes<AveragePoolAttributes>()));
}

kernels::PoolShape shapeOf(const EvalContext& c) {
  return poolShape(c.node, c.node.attributes<AveragePoolAttributes>(), c.in(0).dims);
}

bool countsPadding(const EvalContext& c) {
  return c.node.attributes<AveragePoolAttributes>().count_include_pad;
}

void evaluate(const EvalContext& c) {
  const kernels::PoolShape shape = shapeOf(c);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.in(0).data<T>();
    T* y = c.out().data<T>();
    forEachWindow(shape, [&](const PoolIndex& window, int64_t to, int64_t plane) {
      T sum = 0;
      forEachTap(shape, window, [&](int64_t i) { sum += x[plane + i]; });
      y[to] = sum / static_cast<T>(averageCount(shape, window, countsPadding(c)));
    });
  });
}

void kernel(const EvalContext& c) {
  kernels::averagePool(shapeOf(c), countsPadding(c), c.in(0).data<float>(), c.out().data<float>(),
                       c.pool);
}

void gradient(GradientContext& c) {
  AveragePoolGradientAttributes attributes;
  static_cast<AveragePoolAttributes&>(attributes) = c.node.attributes<AveragePoolAttributes>();
  attributes.shape = c.input(0)->type.dims();
  c.setInputGradient(0, c.add("simaqat::AveragePoolGradient", {c.outputGradient()}, attributes));
}

void downgrade(PortableNode& node, int opset) {
  const auto dilations = node.attributes.find("dilations");
  if (opset >= 19 || dilations == node.attributes.end()) return;
  for (const int64_t dilation : std::get<std::vector<int64_t>>(dilations->second)) {
    if (dilation != 1) node.fail("has dilations, which need opset 19 or later");
  }
  node.attributes.erase(dilations);
}

std::vector<OpExample> examples() {
  using Ints = std::vector<int64_t>;
  return {
      {"padded",
       {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}},
       {exampleTensor({2, 2, 6, 5})}},
      {"padding counts",
       {{"kernel_shape", Ints{3, 3}},
        {"pads", Ints{1, 0, 1, 2}},
        {"count_include_pad", int64_t{1}}},
       {exampleTensor({1, 2, 4, 5})}},
      {"ceil_mode",
       {{"kernel_shape", Ints{2, 2}},
        {"strides", Ints{2, 2}},
        {"ceil_mode", int64_t{1}},
        {"count_include_pad", int64_t{1}}},
       {exampleTensor({1, 2, 5, 7})}},
      {"smaller than the window",
       {{"kernel_shape", Ints{3, 2}}, {"strides", Ints{2, 2}}, {"ceil_mode", int64_t{1}}},
       {exampleTensor({1, 2, 2, 5})}},
      {"dilations",
       {{"kernel_shape", Ints{2, 2}}, {"dilations", Ints{2, 1}}},
       {exampleTensor({1, 2, 5, 6})}},
      {"one axis",
       {{"kernel_shape", Ints{3}}, {"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{2}}},
       {exampleTensor({2, 2, 8})}},
      {"three axes", {{"kernel_shape", Ints{2, 2, 2}}}, {exampleTensor({1, 2, 3, 4, 3})}},
  };
}

}  // namespace

OpDefinition defineAveragePool() {
  OpDefinition op;
  op.name = "AveragePool";
  op.make_attributes = &makeAttributes<AveragePoolAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kComputes;
  op.downgrade = downgrade;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
