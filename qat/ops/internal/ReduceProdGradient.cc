#include "qat/ops/shared/reduction.h"

namespace simaqat::ops {
namespace {

// dx of ReduceProd, from (x, axes, dy): dy times the product of all other elements, of which any
// may be zero.

enum Input { kX, kAxes, kDy };

void infer(InferContext& c) { c.setOutput(0, c.input(kX).element, c.input(kX).shape); }

template <class T>
void gradientOf(const EvalContext& c) {
  const T* x = c.in(kX).data<T>();
  const T* dy = c.in(kDy).data<T>();
  T* dx = c.out().data<T>();
  const ReduceWalk walk(c);
  c.pool.runRanges(c.in(kDy).size, 1, [&](int64_t begin, int64_t end) {
    for (int64_t output = begin; output < end; ++output) {
      int64_t zeros = 0;
      double others = 1;
      walk.forEach(output, [&](int64_t i) {
        if (x[i] == T{0}) {
          ++zeros;
        } else {
          others *= static_cast<double>(x[i]);
        }
      });
      walk.forEach(output, [&](int64_t i) {
        const bool only_zero = zeros == 1 && x[i] == T{0};
        const double rest = zeros == 0   ? others / static_cast<double>(x[i])
                            : only_zero ? others
                                        : 0.0;
        dx[i] = static_cast<T>(static_cast<double>(dy[output]) * rest);
      });
    }
  });
}

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) { gradientOf<decltype(tag)>(c); });
}

}  // namespace

OpDefinition defineReduceProdGradient() {
  OpDefinition op;
  op.name = "ReduceProdGradient";
  op.domain = "simaqat";
  op.max_inputs = 3;
  op.make_attributes = &makeAttributes<ReduceAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
