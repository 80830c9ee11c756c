#include "qat/ops/shared/random_numbers.h"

namespace simaqat::ops {
namespace {

std::vector<OpExample> examples() {
  return {
      {"default", {}, {exampleTensor({2, 3})}},
      {"range", {{"low", -2.0f}, {"high", 3.0f}}, {exampleTensor({2, 3})}},
  };
}

}  // namespace

OpDefinition defineRandomUniformLike() {
  OpDefinition op = randomLikeDefinition<UniformAttributes>("RandomUniformLike");
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
