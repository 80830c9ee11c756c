#include "qat/ops/shared/extremum.h"

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
  std::vector<OpExample> list = variadicExamples();
  list.push_back({"integers", {}, {exampleIntegers({5}, 0, 9, 1), exampleIntegers({5}, 0, 9, 2)}});
  return list;
}

}  // namespace simaqat::ops
