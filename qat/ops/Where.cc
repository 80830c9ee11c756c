#include <algorithm>

#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/logic.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  c.expectElement(0, ElementType::kBool);
  c.expectElement(2, c.input(1).element);
  const std::optional<Shape> values = broadcastShapes(c.node, c.shape(1), c.shape(2));
  c.setOutput(0, c.input(1).element,
              broadcastShapes(c.node, c.shape(0), values ? &*values : nullptr));
}

void evaluate(const EvalContext& c) {
  const BroadcastWalk<3> walk(c.node, c.out().dims, {c.in(0), c.in(1), c.in(2)});
  const int64_t inner = walk.inner();
  if (c.out().size == 0) return;
  visitElementType(c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const bool* condition = c.in(0).data<bool>();
    const T* x = c.in(1).data<T>();
    const T* y = c.in(2).data<T>();
    T* out = c.out().data<T>();
    const auto run = [&](int64_t row, int64_t begin, int64_t end) {
      const auto at = walk.offsets(row);
      for (int64_t i = begin; i < end; ++i) {
        out[row * inner + i] = condition[at[0] + i * walk.strides[0][0]]
                                   ? x[at[1] + i * walk.strides[1][0]]
                                   : y[at[2] + i * walk.strides[2][0]];
      }
    };
    if (walk.outer() == 1) {
      c.pool.runRanges(inner, kElementwiseGrain,
                       [&](int64_t begin, int64_t end) { run(0, begin, end); });
    } else {
      c.pool.runRanges(walk.outer(), std::max<int64_t>(1, kElementwiseGrain / inner),
                       [&](int64_t begin, int64_t end) {
                         for (int64_t row = begin; row < end; ++row) run(row, 0, inner);
                       });
    }
  });
}

// By Where again: a product with the condition would let a NaN of the other branch through.
void gradient(GradientContext& c) {
  Value* dy = c.outputGradient();
  Value* zero = c.scalar(0, dy);
  if (c.wants(1)) {
    c.setInputGradient(1, c.sumTo(c.add("Where", {c.input(0), dy, zero}), c.input(1)));
  }
  if (c.wants(2)) {
    c.setInputGradient(2, c.sumTo(c.add("Where", {c.input(0), zero, dy}), c.input(2)));
  }
}

std::vector<OpExample> examples() {
  return {
      {"same shape",
       {},
       {exampleBooleans({3, 4}, 1), exampleTensor({3, 4}, 1), exampleTensor({3, 4}, 2)}},
      {"all broadcast",
       {},
       {exampleBooleans({3, 1}, 1), exampleTensor({2, 1, 4}, 1), exampleTensor({}, 2)}},
      {"integers",
       {},
       {exampleBooleans({5}, 1), exampleIntegers({5}, 0, 9, 1), exampleIntegers({1}, 0, 9, 2)}},
  };
}

}  // namespace

OpDefinition defineWhere() {
  OpDefinition op;
  op.name = "Where";
  op.first_opset = 9;
  op.min_inputs = op.max_inputs = 3;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.selects = true;
  op.in_place = {{1, 0}, {2, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
