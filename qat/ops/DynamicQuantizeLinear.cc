#include <algorithm>
#include <cmath>

#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/integer_arithmetic.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  c.setOutput(0, ElementType::kUint8, c.input(0).shape);
  c.setOutput(1, c.input(0).element, Shape{});
  c.setOutput(2, ElementType::kUint8, Shape{});
}

// Codes 0..255 for the range of x, in which zero has to be.
void evaluate(const EvalContext& c) {
  constexpr int kMax = 255;
  visitFloat(c, c.in(0).type, [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.in(0).data<T>();
    T lo = 0;
    T hi = 0;
    for (int64_t i = 0; i < c.in(0).size; ++i) {
      lo = std::min(lo, x[i]);
      hi = std::max(hi, x[i]);
    }
    // Nothing but zeros: any scale does.
    const T scale = hi > lo ? (hi - lo) / kMax : T{1};
    const T zero = std::nearbyint(std::clamp<T>(-lo / scale, 0, kMax));
    uint8_t* y = c.out(0).data<uint8_t>();
    c.pool.runRanges(c.out(0).size, kElementwiseGrain, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T code = std::nearbyint(x[i] / scale) + zero;
        y[i] = static_cast<uint8_t>(code > 0 ? std::min<T>(code, kMax) : T{0});
      }
    });
    if (c.outputs.size() > 1) *c.out(1).data<T>() = scale;
    if (c.outputs.size() > 2) *c.out(2).data<uint8_t>() = static_cast<uint8_t>(zero);
  });
}

std::vector<OpExample> examples() {
  std::vector<OpExample> list = {
      {"both signs", {}, {exampleTensor({3, 4})}},
      {"positive", {}, {exampleTensor({7}, 1, 1, 3)}},
      {"zeros", {}, {Tensor(ElementType::kDouble, {3})}},
  };
  for (OpExample& example : list) example.output_count = 3;
  return list;
}

}  // namespace

OpDefinition defineDynamicQuantizeLinear() {
  OpDefinition op;
  op.name = "DynamicQuantizeLinear";
  op.first_opset = 11;
  op.max_outputs = 3;
  op.infer = infer;
  op.evaluate = evaluate;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
