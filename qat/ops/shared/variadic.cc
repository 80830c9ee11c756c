#include "qat/ops/shared/variadic.h"

#include <algorithm>

namespace simaqat::ops {

void inferVariadic(InferContext& c) {
  std::optional<Shape> shape = c.input(0).shape;
  for (size_t i = 1; i < c.node.inputCount(); ++i) {
    c.expectElement(i, c.input(0).element);
    shape = broadcastShapes(c.node, shape ? &*shape : nullptr, c.shape(i));
  }
  c.setOutput(0, c.input(0).element, std::move(shape));
}

bool sameShapes(const EvalContext& c) {
  const Span<const int64_t> dims = c.out().dims;
  return std::all_of(c.inputs.begin(), c.inputs.end(), [&](const TensorView& input) {
    return std::equal(input.dims.begin(), input.dims.end(), dims.begin(), dims.end());
  });
}

std::vector<OpExample> variadicExamples() {
  return {
      {"one", {}, {exampleTensor({2, 3})}},
      {"two", {}, {exampleTensor({2, 3, 4}, 1), exampleTensor({3, 1}, 2)}},
      {"three", {}, {exampleTensor({2, 3}, 1), exampleTensor({2, 3}, 2), exampleTensor({2, 3}, 3)}},
      {"broadcast",
       {},
       {exampleTensor({3, 1}, 1), exampleTensor({2, 3, 4}, 2), exampleTensor({4}, 3)}},
  };
}

}  // namespace simaqat::ops
