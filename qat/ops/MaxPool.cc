#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/pooling.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  const auto y = inferPool(c, c.node.attributes<MaxPoolAttributes>());
  c.setOutput(0, c.input(0).element, y);
  c.setOutput(1, ElementType::kInt64, y);
}

kernels::PoolShape shapeOf(const EvalContext& c) {
  return poolShape(c.node, c.node.attributes<MaxPoolAttributes>(), c.in(0).dims);
}

bool wantsIndices(const EvalContext& c) { return c.outputs.size() > 1 && c.out(1).present(); }

// The index of a position counted columns first.
int64_t columnsFirst(const kernels::PoolShape& s, int64_t index) {
  const int64_t w = index % s.in[2];
  const int64_t h = index / s.in[2] % s.in[1];
  const int64_t d = index / s.in[2] / s.in[1];
  return (w * s.in[1] + h) * s.in[0] + d;
}

void evaluate(const EvalContext& c) {
  const kernels::PoolShape shape = shapeOf(c);
  const bool columns_first = c.node.attributes<MaxPoolAttributes>().storage_order != 0;
  int64_t* indices = wantsIndices(c) ? c.out(1).data<int64_t>() : nullptr;
  visitNumber(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    using Limits = std::numeric_limits<T>;
    const T* x = c.in(0).data<T>();
    T* y = c.out().data<T>();
    forEachWindow(shape, [&](const PoolIndex& window, int64_t to, int64_t plane) {
      const int64_t best = argMax(shape, window, x + plane);
      const T nothing = Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
      y[to] = best < 0 ? nothing : x[plane + best];
      if (indices != nullptr) {
        indices[to] = plane + (columns_first ? columnsFirst(shape, best) : best);
      }
    });
  });
}

void kernel(const EvalContext& c) {
  if (wantsIndices(c)) return evaluate(c);
  if (c.out().type == ElementType::kUint8) {
    kernels::maxPool(shapeOf(c), c.in(0).data<uint8_t>(), c.out().data<uint8_t>(), c.pool);
  } else {
    kernels::maxPool(shapeOf(c), c.in(0).data<float>(), c.out().data<float>(), c.pool);
  }
}

void gradient(GradientContext& c) {
  c.setInputGradient(0, c.add("simaqat::MaxPoolGradient", {c.outputGradient(), c.input(0)},
                              PoolAttributes(c.node.attributes<MaxPoolAttributes>())));
}

std::vector<OpExample> examples() {
  using Ints = std::vector<int64_t>;
  std::vector<OpExample> list = {
      {"padded",
       {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}},
       {exampleTensor({2, 2, 6, 5})}},
      {"ceil_mode",
       {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}, {"ceil_mode", int64_t{1}}},
       {exampleTensor({1, 2, 5, 7})}},
      {"smaller than the window",
       {{"kernel_shape", Ints{3, 2}}, {"strides", Ints{2, 2}}, {"ceil_mode", int64_t{1}}},
       {exampleTensor({1, 2, 2, 5})}},
      {"dilations",
       {{"kernel_shape", Ints{2, 3}}, {"dilations", Ints{2, 1}}},
       {exampleTensor({1, 2, 5, 6})}},
      {"one axis",
       {{"kernel_shape", Ints{3}}, {"auto_pad", std::string("SAME_LOWER")}, {"strides", Ints{2}}},
       {exampleTensor({2, 2, 8})}},
      {"three axes", {{"kernel_shape", Ints{2, 2, 2}}}, {exampleTensor({1, 2, 3, 4, 3})}},
      {"indices",
       {{"kernel_shape", Ints{2, 2}}, {"storage_order", int64_t{1}}},
       {exampleTensor({1, 2, 4, 3})}},
  };
  list.back().output_count = 2;
  return list;
}

}  // namespace

OpDefinition defineMaxPool() {
  OpDefinition op;
  op.name = "MaxPool";
  op.max_outputs = 2;
  op.make_attributes = &makeAttributes<MaxPoolAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kShares;
  op.quantization.moves_codes = true;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
