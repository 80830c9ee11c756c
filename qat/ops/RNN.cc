#include "qat/ops/shared/recurrent.h"

namespace simaqat::ops {
namespace {

std::vector<OpExample> examples() {
  std::vector<OpExample> list = recurrentExamples(1);
  // Alphas and betas are for those that have some: none for Softsign.
  list.push_back({"activations",
                  {{"activations", std::vector<std::string>{"Softsign", "ScaledTanh"}},
                   {"activation_alpha", std::vector<float>{0.7f}},
                   {"activation_beta", std::vector<float>{0.4f}},
                   {"direction", "bidirectional"}},
                  recurrentInputs(1, 2)});
  for (const char* name : {"Relu", "Affine", "LeakyRelu", "ThresholdedRelu", "HardSigmoid", "Elu",
                           "Softplus", "Sigmoid"}) {
    list.push_back({name,
                    {{"activations", std::vector<std::string>{name}},
                     {"activation_alpha", std::vector<float>{0.4f}},
                     {"activation_beta", std::vector<float>{0.3f}}},
                    recurrentInputs(1)});
  }
  return list;
}

}  // namespace

OpDefinition defineRNN() {
  OpDefinition op = recurrentDefinition("RNN");
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
