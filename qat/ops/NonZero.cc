#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {
namespace {

// Calls f(i) for the elements that are not zero.
template <class F>
void forEachNonZero(ElementType type, const std::byte* bytes, int64_t size, F f) {
  visitElementType(type, [&](auto tag) {
    const auto* data = reinterpret_cast<const decltype(tag)*>(bytes);
    for (int64_t i = 0; i < size; ++i) {
      if (data[i] != decltype(tag){}) f(i);
    }
  });
}

// How many there are is known where the input is.
void infer(InferContext& c) {
  std::optional<Shape> y;
  if (const Shape* x = c.shape(0)) {
    Dim count;
    if (const Tensor* data = c.constant(0)) {
      count = 0;
      forEachNonZero(data->type(), data->rawData(), data->size(), [&](int64_t) { ++count.value; });
    }
    y = Shape{static_cast<int64_t>(x->size()), count};
  }
  c.setOutput(0, ElementType::kInt64, std::move(y));
}

void evaluate(const EvalContext& c) {
  const TensorView& x = c.in(0);
  const int64_t count = c.out().dims[1];
  int64_t* y = c.out().data<int64_t>();
  int64_t found = 0;
  forEachNonZero(x.type, x.bytes, x.size, [&](int64_t i) {
    for (size_t axis = x.dims.size(); axis-- > 0;) {
      y[static_cast<int64_t>(axis) * count + found] = i % x.dims[axis];
      i /= x.dims[axis];
    }
    ++found;
  });
}

std::vector<OpExample> examples() {
  return {
      {"matrix", {}, {exampleIntegers({3, 4}, -1, 2)}},
      {"three axes", {}, {exampleIntegers({2, 3, 2}, 0, 2)}},
      {"nothing", {}, {Tensor(ElementType::kInt64, {4})}},
      {"numbers", {}, {Tensor::of<double>({4}, {0, 0.5, -0.0, -2})}},
  };
}

}  // namespace

OpDefinition defineNonZero() {
  OpDefinition op;
  op.name = "NonZero";
  op.first_opset = 9;
  op.infer = infer;
  op.evaluate = evaluate;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
