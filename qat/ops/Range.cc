#include <algorithm>
#include <cmath>

#include "qat/ir/dim_limit.h"
#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {
namespace {

// max(0, ceil((limit - start) / delta))
template <class T>
int64_t elementsOf(const Node& node, T start, T limit, T delta) {
  if (delta == T{0}) node.fail("input 2: a step of 0");
  using Wide = std::conditional_t<std::is_floating_point_v<T>, double, int64_t>;
  Wide span = 0;
  const auto fail = [&] { node.fail("{} to {} by {} is no range", start, limit, delta); };
  if constexpr (std::is_floating_point_v<T>) {
    span = std::ceil((limit - start) / delta);
    if (!(std::abs(span) <= static_cast<double>(kMostDim))) fail();
  } else {
    if (__builtin_sub_overflow(limit, start, &span)) fail();
    const auto step = static_cast<Wide>(delta);
    // The one quotient that does not exist is the smallest number by -1.
    if (span < -kMostDim && step == -1) fail();
    span = span / step + (span % step != 0 && (span < 0) == (step < 0));
  }
  return std::max<int64_t>(0, static_cast<int64_t>(span));
}

void infer(InferContext& c) {
  for (size_t i = 0; i < 3; ++i) {
    c.expectElement(i, c.input(0).element);
    if (c.shape(i) != nullptr && !c.shape(i)->empty() && *c.shape(i) != Shape{1}) {
      c.node.fail("input {}: expected a scalar, got {}", i, typeToString(c.input(i)));
    }
  }
  Dim count;
  const Tensor* start = c.constant(0);
  const Tensor* limit = c.constant(1);
  const Tensor* delta = c.constant(2);
  if (start != nullptr && limit != nullptr && delta != nullptr) {
    visitElementType(c.input(0).element, [&](auto tag) {
      using T = decltype(tag);
      count = elementsOf<T>(c.node, *start->data<T>(), *limit->data<T>(), *delta->data<T>());
    });
  }
  c.setOutput(0, c.input(0).element, Shape{count});
}

void evaluate(const EvalContext& c) {
  visitNumber(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T start = *c.in(0).data<T>();
    const T delta = *c.in(2).data<T>();
    T* y = c.out().data<T>();
    for (int64_t i = 0; i < c.out().size; ++i) {
      y[i] = static_cast<T>(start + static_cast<T>(i) * delta);
    }
  });
}

std::vector<OpExample> examples() {
  const auto integers = [](int64_t start, int64_t limit, int64_t delta) {
    return std::vector<Tensor>{Tensor::scalar(start), Tensor::scalar(limit), Tensor::scalar(delta)};
  };
  return {
      {"up", {}, integers(2, 9, 3)},
      {"down", {}, integers(10, 4, -2)},
      {"empty", {}, integers(4, 4, 1)},
      {"fractions", {}, {Tensor::scalar(0.25), Tensor::scalar(1.3), Tensor::scalar(0.25)}},
  };
}

}  // namespace

OpDefinition defineRange() {
  OpDefinition op;
  op.name = "Range";
  op.first_opset = 11;
  op.min_inputs = op.max_inputs = 3;
  op.infer = infer;
  op.evaluate = evaluate;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
