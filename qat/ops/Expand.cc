#include <algorithm>

#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/integers.h"
#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  const Shape* x = c.shape(0);
  std::optional<Shape> y;
  if (const auto dims = constantIntegers(c, 1)) {
    const Shape to = toShape(*dims);
    y = broadcastShapes(c.node, x, &to);
  } else if (const auto count = listLength(c, 1); x != nullptr && count) {
    y = unknownShape(std::max(x->size(), static_cast<size_t>(*count)));
  }
  c.setOutput(0, c.input(0).element, std::move(y));
}

void evaluate(const EvalContext& c) {
  const Span<const int64_t> in = c.in(0).dims;
  const Span<const int64_t> out = c.out().dims;
  const Strides from = denseStrides(c.node, in);
  const Strides to = denseStrides(c.node, out);
  const size_t added = out.size() - in.size();
  StridedCopy copy(c.out().type);
  for (size_t axis = 0; axis < out.size(); ++axis) {
    const bool repeats = axis < added || in[axis - added] == 1;
    copy.addAxis(out[axis], repeats ? 0 : from[axis - added], to[axis]);
  }
  copy.run(c.in(0).bytes, c.out().bytes, c.pool);
}

void gradient(GradientContext& c) {
  c.setInputGradient(0, c.sumTo(c.outputGradient(), c.input(0)));
}

std::vector<OpExample> examples() {
  return {
      {"channels", {}, {exampleTensor({3, 1}), Tensor::of<int64_t>({3}, {2, 1, 4})}},
      {"scalar", {}, {exampleTensor({}), Tensor::of<int64_t>({2}, {2, 3})}},
      {"fewer axes", {}, {exampleIntegers({2, 1, 2}, 0, 9), Tensor::of<int64_t>({2}, {3, 1})}},
  };
}

}  // namespace

OpDefinition defineExpand() {
  OpDefinition op;
  op.name = "Expand";
  op.first_opset = 8;
  op.min_inputs = op.max_inputs = 2;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kShares;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
