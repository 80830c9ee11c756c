#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/recurrent.h"

namespace simaqat::ops {
namespace {

std::vector<OpExample> examples() {
  std::vector<OpExample> list = recurrentExamples(4);
  std::vector<Tensor> inputs = recurrentInputs(4);
  inputs.push_back(exampleTensor({1, 2, 2}, 6));
  list.push_back({"initial cell", {}, inputs});
  inputs.push_back(exampleTensor({1, 6}, 7));
  list.push_back({"peepholes", {{"clip", 0.5f}}, inputs});
  inputs[kRecurrentInitialH] = Tensor();
  inputs[kRecurrentInitialC] = Tensor();
  list.push_back({"peepholes, no state", {}, inputs});
  list.push_back({"coupled gates", {{"input_forget", int64_t{1}}}, recurrentInputs(4)});
  list.push_back({"activations",
                  {{"activations", std::vector<std::string>{"HardSigmoid", "Softsign", "Elu"}},
                   {"activation_alpha", std::vector<float>{0.3f, 0.8f}}},
                  recurrentInputs(4)});
  return list;
}

}  // namespace

OpDefinition defineLSTM() {
  OpDefinition op = recurrentDefinition("LSTM");
  op.max_inputs = 8;
  op.max_outputs = 3;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
