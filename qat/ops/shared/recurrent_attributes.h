// Attributes of LSTM, GRU and RNN, and what they say.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat::ops {

struct RecurrentAttributes {
  std::vector<float> activation_alpha;
  std::vector<float> activation_beta;
  std::vector<std::string> activations;
  std::optional<float> clip;
  std::string direction = "forward";
  std::optional<int64_t> hidden_size;
  bool input_forget = false;         // LSTM's: the forget gate is 1 - the input gate
  int64_t layout = 0;                // 1: the batch is axis 0
  bool linear_before_reset = false;  // GRU's

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("activation_alpha", self.activation_alpha);
    visit("activation_beta", self.activation_beta);
    visit("activations", self.activations);
    visit("clip", self.clip);
    visit("direction", self.direction);
    visit("hidden_size", self.hidden_size);
    visit("input_forget", self.input_forget);
    visit("layout", self.layout);
    visit("linear_before_reset", self.linear_before_reset);
  }

  int64_t directions() const { return direction == "bidirectional" ? 2 : 1; }
  bool isReverse(int64_t index) const { return direction == "reverse" || index == 1; }
};

// An activation of a gate or of the cell: ONNX's operator of that name, or Affine
// (alpha x + beta) or ScaledTanh (alpha tanh(beta x)).
struct RecurrentActivation {
  std::string name;
  float alpha = 0;
  float beta = 0;
};

// Those of direction `index`: f and g of GRU, f, g and h of LSTM, f of RNN. Fails naming the node
// where there is none of a name, or their number is wrong.
std::vector<RecurrentActivation> recurrentActivations(const Node& node, int64_t index);

inline bool isRecurrent(const std::string& qualified_name) {
  return qualified_name == "LSTM" || qualified_name == "GRU" || qualified_name == "RNN";
}

// Inputs of all three, and those that LSTM alone has.
enum RecurrentInput : size_t {
  kRecurrentX,
  kRecurrentW,
  kRecurrentR,
  kRecurrentB,
  kRecurrentLengths,
  kRecurrentInitialH,
  kRecurrentInitialC,
  kRecurrentPeepholes,
};

// Gates whose weights lie one behind the other in W and R: 4 of LSTM (input, output, forget, cell),
// 3 of GRU (update, reset, hidden), 1 of RNN.
inline int64_t recurrentGates(const Node& node) {
  return node.opType() == "LSTM" ? 4 : node.opType() == "GRU" ? 3 : 1;
}

}  // namespace simaqat::ops
