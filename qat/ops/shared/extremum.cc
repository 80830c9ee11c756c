#include "qat/ops/shared/extremum.h"

#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {

void extremumGradient(GradientContext& c) {
  Value* dy = c.outputGradient();
  std::vector<Value*> is_chosen;
  Value* count = nullptr;
  for (size_t i = 0; i < c.node.inputCount(); ++i) {
    is_chosen.push_back(c.add("Equal", {c.input(i), c.output()}));
    Value* one = castLike(c, is_chosen.back(), dy);
    count = count == nullptr ? one : c.add("Add", {count, one});
  }
  Value* share = c.add("Div", {dy, count});
  for (size_t i = 0; i < c.node.inputCount(); ++i) {
    if (!c.wants(i)) continue;
    Value* own = c.add("Where", {is_chosen[i], share, c.scalar(0, dy)});
    c.setInputGradient(i, c.sumTo(own, c.input(i)));
  }
}

std::vector<OpExample> extremumExamples() {
  return {
      {"one", {}, {exampleTensor({2, 3})}},
      {"two", {}, {exampleTensor({2, 3, 4}, 1), exampleTensor({3, 1}, 2)}},
      {"three", {}, {exampleTensor({4}, 1), exampleTensor({2, 3, 1}, 2), exampleTensor({}, 3)}},
      {"integers", {}, {exampleIntegers({5}, 0, 9, 1), exampleIntegers({5}, 0, 9, 2)}},
  };
}

}  // namespace simaqat::ops
