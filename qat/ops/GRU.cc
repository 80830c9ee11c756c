#include "qat/ops/shared/recurrent.h"

namespace simaqat::ops {
namespace {

std::vector<OpExample> examples() {
  std::vector<OpExample> list = recurrentExamples(3);
  const AttributeMap before_reset = {{"linear_before_reset", int64_t{1}}};
  const std::vector<Tensor> inputs = recurrentInputs(3);
  list.push_back({"linear before reset", before_reset, inputs});
  list.push_back(
      {"linear before reset, no state", before_reset, {inputs.begin(), inputs.begin() + 4}});
  list.push_back(
      {"linear before reset, no biases", before_reset, {inputs.begin(), inputs.begin() + 3}});
  list.push_back({"activations",
                  {{"activations", std::vector<std::string>{"HardSigmoid", "Softsign"}}},
                  inputs});
  return list;
}

}  // namespace

OpDefinition defineGRU() {
  OpDefinition op = recurrentDefinition("GRU");
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
