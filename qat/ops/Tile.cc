#include "qat/ir/dim_limit.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/integers.h"
#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  const Shape* x = c.shape(0);
  const auto repeats = constantIntegers(c, 1);
  std::optional<Shape> y;
  if (x != nullptr) {
    y = unknownShape(x->size());
    if (repeats && repeats->size() != x->size()) {
      c.node.fail("input 1: expected {} repeats, got {}", x->size(), repeats->size());
    }
    for (size_t axis = 0; repeats && axis < x->size(); ++axis) {
      const int64_t times = (*repeats)[axis];
      if (!isPossibleExtent(times, 0)) c.node.fail("input 1: {} repeats are not possible", times);
      const Dim& dim = (*x)[axis];
      if (times == 1) {
        (*y)[axis] = dim;
      } else if (dim.known()) {
        (*y)[axis] = dim.value * times;
      }
    }
  }
  c.setOutput(0, c.input(0).element, std::move(y));
}

void evaluate(const EvalContext& c) {
  const Span<const int64_t> dims = c.in(0).dims;
  const Strides from = denseStrides(c.node, dims);
  const Strides to = denseStrides(c.node, c.out().dims);
  StridedCopy copy(c.out().type);
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    copy.addAxis(integerAt(c.in(1), static_cast<int64_t>(axis)), 0, to[axis] * dims[axis]);
    copy.addAxis(dims[axis], from[axis], to[axis]);
  }
  copy.run(c.in(0).bytes, c.out().bytes, c.pool);
}

// Sums over the repeats, each of which is given an axis of its own.
void gradient(GradientContext& c) {
  if (!c.wants(0)) return;
  const std::vector<int64_t> in = c.input(0)->type.dims();
  const std::vector<int64_t> out = c.output()->type.dims();
  if (c.output()->type.size() == 0) return;
  std::vector<int64_t> split;
  std::vector<int64_t> repeat_axes;
  for (size_t axis = 0; axis < in.size(); ++axis) {
    repeat_axes.push_back(static_cast<int64_t>(split.size()));
    split.push_back(out[axis] / in[axis]);
    split.push_back(in[axis]);
  }
  Value* sum =
      c.add("ReduceSum", {reshaped(c, c.outputGradient(), split), integers(c, repeat_axes)});
  c.setInputGradient(0, c.reshapeLike(sum, c.input(0)));
}

std::vector<OpExample> examples() {
  return {
      {"both", {}, {exampleTensor({2, 3}), Tensor::of<int64_t>({2}, {3, 2})}},
      {"one", {}, {exampleTensor({2, 1, 3}), Tensor::of<int64_t>({3}, {1, 4, 1})}},
      {"integers", {}, {exampleIntegers({2}, 0, 9), Tensor::of<int64_t>({1}, {2})}},
  };
}

}  // namespace

OpDefinition defineTile() {
  OpDefinition op;
  op.name = "Tile";
  op.first_opset = 6;
  op.min_inputs = op.max_inputs = 2;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kShares;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
