#include "qat/ops/shared/random_numbers.h"

namespace simaqat::ops {
namespace {

std::vector<OpExample> examples() {
  const std::vector<int64_t> shape = {2, 3};
  const auto type = static_cast<int64_t>(ElementType::kDouble);
  return {
      {"default", {{"shape", shape}}, {}},
      {"moved", {{"shape", shape}, {"mean", 5.0f}, {"scale", 0.5f}, {"dtype", type}}, {}},
  };
}

}  // namespace

OpDefinition defineRandomNormal() {
  OpDefinition op = randomDefinition<NormalAttributes>("RandomNormal");
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
