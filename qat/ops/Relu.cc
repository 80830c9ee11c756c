#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

struct Function {
  // Written so that a NaN stays one.
  template <class T>
  T operator()(T x) const {
    return x < T{0} ? T{0} : x;
  }
};

void evaluate(const EvalContext& c) {
  visitNumber(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    mapUnary<T, T>(c, Function{});
  });
}

void gradient(GradientContext& c) {
  c.setInputGradient(0, c.add("simaqat::ReluGradient", {c.outputGradient(), c.output()}));
}

std::vector<OpExample> examples() { return {{"", {}, {exampleTensor({2, 3, 4})}}}; }

}  // namespace

OpDefinition defineRelu() {
  OpDefinition op;
  op.name = "Relu";
  op.infer = inferSameAsInput;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.pointwise = {unaryBlock<Function>, nullptr, true};
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.quantization.is_activation = [](const Node&) { return true; };
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
