#include <limits>

#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  std::optional<Shape> shape = c.input(0).shape;
  for (size_t i = 1; i < c.node.inputCount(); ++i) {
    c.expectElement(i, c.input(0).element);
    shape = broadcastShapes(c.node, shape ? &*shape : nullptr, c.shape(i));
  }
  c.setOutput(0, c.input(0).element, std::move(shape));
}

bool sameShapes(const EvalContext& c) {
  for (const TensorView& input : c.inputs) {
    if (!std::equal(input.dims.begin(), input.dims.end(), c.out().dims.begin(),
                    c.out().dims.end())) {
      return false;
    }
  }
  return true;
}

// One pass over memory, however many inputs there are.
template <class T>
void sumSameShapes(const EvalContext& c) {
  constexpr int64_t kGrain = 4096;
  c.pool.runRanges(c.out().size, kGrain, [&](int64_t begin, int64_t end) {
    T* y = c.out().data<T>();
    const T* a = c.in(0).data<T>();
    const T* b = c.in(1).data<T>();
    for (int64_t i = begin; i < end; ++i) y[i] = a[i] + b[i];
    for (size_t k = 2; k < c.inputs.size(); ++k) {
      const T* x = c.in(k).data<T>();
      for (int64_t i = begin; i < end; ++i) y[i] += x[i];
    }
  });
}

template <class T>
void sumBroadcast(const EvalContext& c) {
  TensorView left = c.in(0);
  for (size_t k = 1; k < c.inputs.size(); ++k) {
    const std::array<TensorView, 2> operands = {left, c.in(k)};
    mapBinary<T, T>(EvalContext{c.node, {operands.data(), 2}, c.outputs, nullptr, c.pool},
                    [](T a, T b) { return a + b; });
    left = c.out();
  }
}

void evaluate(const EvalContext& c) {
  if (c.inputs.size() == 1) return copyBytes(c);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    sameShapes(c) ? sumSameShapes<T>(c) : sumBroadcast<T>(c);
  });
}

void gradient(GradientContext& c) {
  for (size_t i = 0; i < c.node.inputCount(); ++i) {
    if (c.wants(i)) c.setInputGradient(i, c.sumTo(c.outputGradient(), c.input(i)));
  }
}

std::vector<OpExample> examples() {
  return {
      {"one", {}, {exampleTensor({2, 3})}},
      {"two", {}, {exampleTensor({2, 3}, 1), exampleTensor({2, 3}, 2)}},
      {"three", {}, {exampleTensor({2, 3}, 1), exampleTensor({2, 3}, 2), exampleTensor({2, 3}, 3)}},
      {"broadcast",
       {},
       {exampleTensor({3, 1}, 1), exampleTensor({2, 3, 4}, 2), exampleTensor({4}, 3)}},
  };
}

}  // namespace

OpDefinition defineSum() {
  OpDefinition op;
  op.name = "Sum";
  op.first_opset = 6;
  op.max_inputs = std::numeric_limits<size_t>::max();
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  // Later inputs are still read when the output holds the first ones' sum.
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
