#include "qat/ops/shared/random_numbers.h"

namespace simaqat::ops {
namespace {

std::vector<OpExample> examples() {
  const std::vector<int64_t> shape = {2, 3};
  return {
      {"default", {{"shape", shape}}, {}},
      {"range", {{"shape", shape}, {"low", -2.0f}, {"high", 3.0f}}, {}},
  };
}

}  // namespace

OpDefinition defineRandomUniform() {
  OpDefinition op = randomDefinition<UniformAttributes>("RandomUniform");
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
