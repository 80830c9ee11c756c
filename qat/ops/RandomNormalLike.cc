#include "qat/ops/shared/random_numbers.h"

namespace simaqat::ops {
namespace {

std::vector<OpExample> examples() {
  const AttributeMap moved = {
      {"mean", 5.0f}, {"scale", 0.5f}, {"dtype", static_cast<int64_t>(ElementType::kFloat)}};
  return {
      {"default", {}, {exampleTensor({2, 3})}},
      {"moved", moved, {exampleIntegers({2, 3}, 0, 9)}},
  };
}

}  // namespace

OpDefinition defineRandomNormalLike() {
  OpDefinition op = randomLikeDefinition<NormalAttributes>("RandomNormalLike");
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
