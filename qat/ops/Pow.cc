#include <cmath>

#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/constants.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element, broadcastShapes(c.node, c.shape(0), c.shape(1)));
}

template <class T>
T power(T x, T exponent) {
  return static_cast<T>(std::pow(x, exponent));
}

// One exponent for all, of any type; squares are what models have most.
template <class T>
void raiseTo(const EvalContext& c, double exponent) {
  if (exponent == 2) {
    mapUnary<T, T>(c, [](T x) { return static_cast<T>(x * x); });
  } else {
    mapUnary<T, T>(c, [=](T x) { return power(x, static_cast<T>(exponent)); });
  }
}

// Exponents of another type than the base, in double.
template <class T>
void raiseToOthers(const EvalContext& c) {
  double (*exponentAt)(const TensorView&, int64_t) = nullptr;
  visitElementType(c.in(1).type, [&](auto tag) {
    exponentAt = [](const TensorView& view, int64_t i) {
      return static_cast<double>(view.data<decltype(tag)>()[i]);
    };
  });
  const BroadcastWalk<2> walk(c.node, c.out().dims, {c.in(0), c.in(1)});
  for (int64_t i = 0; i < c.out().size; ++i) {
    const int64_t column = i % walk.inner();
    const auto row = walk.offsets(i / walk.inner());
    const T base = c.in(0).data<T>()[row[0] + column * walk.strides[0][0]];
    const double exponent = exponentAt(c.in(1), row[1] + column * walk.strides[1][0]);
    c.out().data<T>()[i] = static_cast<T>(std::pow(static_cast<double>(base), exponent));
  }
}

void evaluate(const EvalContext& c) {
  visitNumber(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    if (c.in(1).size == 1 && c.in(0).size == c.out().size) {
      visitElementType(c.in(1).type, [&](auto exponent) {
        raiseTo<T>(c, static_cast<double>(*c.in(1).data<decltype(exponent)>()));
      });
    } else if (c.in(1).type == c.out().type) {
      mapBinary<T, T>(c, power<T>);
    } else {
      raiseToOthers<T>(c);
    }
  });
}

// da = dy b a^(b - 1), db = dy y log a. Where that would be 0 times infinity, at b = 0 and at a =
// 0, another base takes a's place, so that the result is 0; so it is for db where a is negative.
void gradient(GradientContext& c) {
  Value* a = c.input(0);
  Value* dy = c.outputGradient();
  Value* one = c.scalar(1, a);
  if (c.wants(0)) {
    Value* b = castLike(c, c.input(1), a);
    Value* base = a;
    // A constant exponent that is not 0 needs no such care.
    if (constantScalar(c.node, 1).value_or(0) == 0) {
      base = c.add("Where", {c.add("Equal", {b, c.scalar(0, b)}), one, a});
    }
    Value* slope = c.add("Mul", {b, c.add("Pow", {base, c.add("Sub", {b, one})})});
    c.setInputGradient(0, c.sumTo(gradientTimes(c, dy, slope), a));
  }
  if (c.wants(1)) {
    Value* base = c.add("Where", {c.add("Greater", {a, c.scalar(0, a)}), a, one});
    Value* slope = c.add("Mul", {c.output(), c.add("Log", {base})});
    c.setInputGradient(1, c.sumTo(gradientTimes(c, dy, slope), c.input(1)));
  }
}

std::vector<OpExample> examples() {
  std::vector<OpExample> list = {
      {"square", {}, {exampleTensor({2, 3}), Tensor::scalar<double>(2)}},
      {"cube", {}, {exampleTensor({2, 3}), Tensor::of<int64_t>({1}, {3})}},
      {"each its own", {}, {exampleTensor({2, 3}, 1, 0.3, 2), exampleTensor({3}, 2, -2, 2)}},
      {"one base", {}, {exampleTensor({}, 1, 1, 2), exampleTensor({2, 3}, 2, -2, 2)}},
      {"another type", {}, {exampleTensor({2, 3}), Tensor::of<int32_t>({3}, {2, 1, 3})}},
      {"integers", {}, {exampleIntegers({4}, -3, 4), Tensor::scalar<int64_t>(3)}},
  };
  // A negative base has no other exponents near.
  list[0].differentiate = {0};
  return list;
}

}  // namespace

OpDefinition definePow() {
  OpDefinition op;
  op.name = "Pow";
  op.first_opset = 7;
  op.min_inputs = op.max_inputs = 2;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
