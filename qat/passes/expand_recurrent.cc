#include "qat/passes/expand_recurrent.h"

#include <algorithm>

#include "qat/ir/op.h"
#include "qat/ops/shared/gemm_attributes.h"
#include "qat/ops/shared/recurrent_attributes.h"

namespace simaqat {
namespace {

using ops::RecurrentActivation;

// Adds the nodes that stand for one. An absent value, such as a state of zeros, is null: what would
// be multiplied by it or added to it is left out.
class Expansion {
 public:
  Expansion(Graph& graph, Node& node)
      : graph_(graph),
        node_(node),
        attributes_(node.attributes<ops::RecurrentAttributes>()),
        type_(node.input(0)->type.element),
        batch_first_(attributes_.layout == 1),
        state_axis_(batch_first_ ? 1 : 0),
        gates_(ops::recurrentGates(node)),
        steps_((*node.input(0)->type.shape)[batch_first_ ? 1 : 0].value),
        hidden_((*node.input(ops::kRecurrentR)->type.shape)[2].value) {}

  void run() {
    prefix_ = node_.name();
    Value* x = node_.input(ops::kRecurrentX);
    if (batch_first_) x = add("Transpose", "X", {x}, {{"perm", std::vector<int64_t>{1, 0, 2}}});
    const int64_t features = (*node_.input(ops::kRecurrentW)->type.shape)[2].value;
    rows_ = add("Reshape", "rows", {x, integers({-1, features})});
    std::vector<std::vector<Value*>> y;
    std::vector<Value*> last_h, last_c;
    for (int64_t direction = 0; direction < attributes_.directions(); ++direction) {
      y.push_back(runDirection(direction));
      last_h.push_back(h_);
      last_c.push_back(c_);
    }
    prefix_ = node_.name();
    replace(0, [&] { return sequences(y); });
    replace(1, [&] { return states(last_h); });
    replace(2, [&] { return states(last_c); });
    graph_.removeNode(&node_);
  }

 private:
  // ---- Nodes
  Value* add(const std::string& op_type, const std::string& name, const std::vector<Value*>& inputs,
             const AttributeMap& attributes = {}) {
    return addMany(op_type, name, inputs, attributes, 1)[0];
  }
  std::vector<Value*> addMany(const std::string& op_type, const std::string& name,
                              const std::vector<Value*>& inputs, const AttributeMap& attributes,
                              int64_t outputs) {
    auto parsed = graph_.registry().get(op_type).make_attributes();
    parsed->parse(attributes);
    Graph::NodeOptions options;
    options.before = &node_;
    options.output_count = static_cast<size_t>(outputs);
    return graph_.addNode(op_type, prefix_ + "/" + name, inputs, std::move(parsed), options)
        ->outputs();
  }
  Value* integers(const std::vector<int64_t>& values) {
    return graph_.addConstant(prefix_ + "/integers",
                              Tensor::of({static_cast<int64_t>(values.size())}, values));
  }
  Value* number(double value) {
    Value*& constant = numbers_[value];
    if (constant == nullptr) {
      constant = graph_.addConstant(fmt::format("{}/{}", node_.name(), value),
                                    Tensor::scalar(value).converted(type_));
    }
    return constant;
  }
  std::vector<Value*> split(Value* value, const std::string& name, int64_t axis, int64_t parts) {
    if (parts == 1) return {value};
    return addMany("Split", name, {value}, {{"axis", axis}, {"num_outputs", parts}}, parts);
  }
  // The parts with the given sizes.
  std::vector<Value*> splitAt(Value* value, const std::string& name, int64_t axis,
                              const std::vector<int64_t>& sizes) {
    return addMany("Split", name, {value, integers(sizes)}, {{"axis", axis}},
                   static_cast<int64_t>(sizes.size()));
  }
  Value* concat(const std::vector<Value*>& values, const std::string& name, int64_t axis) {
    return values.size() == 1 ? values[0] : add("Concat", name, values, {{"axis", axis}});
  }
  // What an input has for one direction; null where the input is absent.
  Value* part(size_t input, const std::string& name, int64_t direction, int64_t axis) {
    Value* value = node_.input(input);
    if (value == nullptr) return nullptr;
    value = split(value, name, axis, attributes_.directions())[static_cast<size_t>(direction)];
    return add("Squeeze", name, {value, integers({axis})});
  }
  Value* gemm(Value* x, Value* weight, Value* bias, const std::string& name) {
    std::vector<Value*> inputs = {x, weight};
    if (bias != nullptr) inputs.push_back(bias);
    return add("Gemm", name, inputs, {{"transB", int64_t{1}}});
  }
  // Arithmetic in which null is 0.
  Value* plus(Value* a, Value* b, const std::string& name) {
    if (a == nullptr || b == nullptr) return a == nullptr ? b : a;
    return add("Add", name, {a, b});
  }
  Value* times(Value* a, Value* b, const std::string& name) {
    return a == nullptr || b == nullptr ? nullptr : add("Mul", name, {a, b});
  }

  // ---- Activations
  Value* activate(const RecurrentActivation& activation, Value* x, const std::string& name) {
    const auto& [op_type, alpha, beta] = activation;
    if (op_type == "Affine") {
      return add("Add", name, {add("Mul", name + "/scaled", {x, number(alpha)}), number(beta)});
    }
    if (op_type == "ScaledTanh") {
      Value* scaled = add("Mul", name + "/scaled", {x, number(beta)});
      return add("Mul", name, {add("Tanh", name + "/tanh", {scaled}), number(alpha)});
    }
    AttributeMap attributes;
    if (op_type == "LeakyRelu" || op_type == "ThresholdedRelu" || op_type == "Elu" ||
        op_type == "HardSigmoid") {
      attributes["alpha"] = alpha;
    }
    if (op_type == "HardSigmoid") attributes["beta"] = beta;
    return add(op_type, name, {x}, attributes);
  }
  Value* gate(size_t activation, Value* x, const std::string& name) {
    if (attributes_.clip) {
      x = add("Clip", name + "/clip", {x, number(-*attributes_.clip), number(*attributes_.clip)});
    }
    return activate(activations_[activation], x, name);
  }

  // ---- Directions and steps
  std::vector<Value*> runDirection(int64_t direction) {
    prefix_ = fmt::format("{}/{}", node_.name(),
                          attributes_.isReverse(direction) ? "reverse" : "forward");
    const std::string whole = prefix_;
    activations_ = ops::recurrentActivations(node_, direction);
    Value* bias = readParameters(direction);
    Value* products = gemm(rows_, part(ops::kRecurrentW, "W", direction, 0), bias, "input");
    products = add("Reshape", "input_steps", {products, integers({steps_, -1, gates_ * hidden_})});
    const std::vector<Value*> of_step = split(products, "input_split", 0, steps_);
    h_ = part(ops::kRecurrentInitialH, "initial_h", direction, state_axis_);
    c_ = part(ops::kRecurrentInitialC, "initial_c", direction, state_axis_);
    std::vector<Value*> y(static_cast<size_t>(steps_));
    for (int64_t k = 0; k < steps_; ++k) {
      const int64_t t = attributes_.isReverse(direction) ? steps_ - 1 - k : k;
      prefix_ = fmt::format("{}/{}", whole, t);
      Value* x = add("Squeeze", "input", {of_step[static_cast<size_t>(t)], integers({0})});
      Value* old_h = h_;
      Value* old_c = c_;
      step(x);
      y[static_cast<size_t>(t)] = h_;
      maskStep(t, old_h, old_c, y[static_cast<size_t>(t)]);
    }
    prefix_ = whole;
    return y;
  }

  // Reads R and the peepholes, and returns the bias of the product by W: both biases' sum, where no
  // gate stands between them.
  Value* readParameters(int64_t direction) {
    r_ = part(ops::kRecurrentR, "R", direction, 0);
    if (resetsState()) {
      const auto parts = splitAt(r_, "R_gates", 0, {2 * hidden_, hidden_});
      r_ = parts[0];
      r_hidden_ = parts[1];
    }
    if (Value* peepholes = part(ops::kRecurrentPeepholes, "P", direction, 0)) {
      peepholes_ = split(peepholes, "P_gates", 0, 3);
    }
    Value* both = part(ops::kRecurrentB, "B", direction, 0);
    recurrent_bias_ = nullptr;
    if (both == nullptr) return nullptr;
    const auto biases = split(both, "biases", 0, 2);
    if (node_.opType() != "GRU" || !attributes_.linear_before_reset) {
      return add("Add", "bias", {biases[0], biases[1]});
    }
    const auto input = splitAt(biases[0], "input_biases", 0, {2 * hidden_, hidden_});
    const auto recurrent = splitAt(biases[1], "recurrent_biases", 0, {2 * hidden_, hidden_});
    recurrent_bias_ = recurrent[1];
    return add("Concat", "bias", {add("Add", "gate_bias", {input[0], recurrent[0]}), input[1]},
               {{"axis", int64_t{0}}});
  }
  // Whether the state is reset in front of its product by R.
  bool resetsState() const { return node_.opType() == "GRU" && !attributes_.linear_before_reset; }

  // h_ and c_ after a step with `x`, the product by W and the biases.
  void step(Value* x) {
    if (node_.opType() == "LSTM") return stepLstm(x);
    if (node_.opType() == "GRU") return stepGru(x);
    h_ = gate(0, plus(x, h_ == nullptr ? nullptr : gemm(h_, r_, nullptr, "recurrent"), "sum"), "h");
  }

  void stepLstm(Value* x) {
    Value* recurrent = h_ == nullptr ? nullptr : gemm(h_, r_, nullptr, "recurrent");
    const auto gates = split(plus(x, recurrent, "sum"), "gates", -1, 4);
    Value* in = gate(0, peep(gates[0], 0, c_, "in"), "input_gate");
    Value* forget = nullptr;
    if (c_ != nullptr) {
      forget = attributes_.input_forget ? add("Sub", "forget_gate", {number(1), in})
                                        : gate(0, peep(gates[2], 2, c_, "forget"), "forget_gate");
    }
    Value* fresh = times(in, gate(1, gates[3], "cell_gate"), "fresh");
    c_ = plus(times(forget, c_, "kept"), fresh, "c");
    Value* out = gate(0, peep(gates[1], 1, c_, "out"), "output_gate");
    h_ = times(out, activate(activations_[2], c_, "cell"), "h");
  }
  Value* peep(Value* gate, size_t number, Value* cell, const std::string& name) {
    if (peepholes_.empty()) return gate;
    return plus(gate, times(cell, peepholes_[number], name + "/peephole"), name + "/sum");
  }

  void stepGru(Value* x) {
    // The update and the reset gate, then what becomes the state.
    const auto input = splitAt(x, "input_gates", -1, {2 * hidden_, hidden_});
    Value* of_gates = nullptr;
    Value* of_hidden = recurrent_bias_;
    if (h_ != nullptr && resetsState()) of_gates = gemm(h_, r_, nullptr, "recurrent");
    if (h_ != nullptr && !resetsState()) {
      const auto parts = splitAt(gemm(h_, r_, nullptr, "recurrent"), "recurrent_gates", -1,
                                 {2 * hidden_, hidden_});
      of_gates = parts[0];
      of_hidden = plus(parts[1], recurrent_bias_, "recurrent_hidden");
    }
    const auto gates = split(plus(input[0], of_gates, "sum"), "gates", -1, 2);
    Value* update = gate(0, gates[0], "update_gate");
    if (resetsState() && h_ != nullptr) {
      Value* reset = gate(0, gates[1], "reset_gate");
      of_hidden = gemm(times(reset, h_, "reset"), r_hidden_, nullptr, "recurrent_hidden");
    } else if (of_hidden != nullptr) {
      of_hidden = times(gate(0, gates[1], "reset_gate"), of_hidden, "reset");
    }
    Value* hidden = gate(1, plus(input[1], of_hidden, "hidden_sum"), "hidden");
    Value* fresh = times(add("Sub", "rest", {number(1), update}), hidden, "fresh");
    h_ = plus(fresh, times(update, h_, "kept"), "h");
  }

  // Behind a sequence's end the state stays, and the output is 0.
  void maskStep(int64_t t, Value* old_h, Value* old_c, Value*& y) {
    Value* lengths = node_.input(ops::kRecurrentLengths);
    if (lengths == nullptr) return;
    if (lengths->isConstant()) {
      const auto values = lengths->constant.toVector<int64_t>();
      if (std::all_of(values.begin(), values.end(), [&](int64_t v) { return v > t; })) return;
    }
    Value* now = graph_.addConstant(prefix_ + "/t", Tensor::scalar(static_cast<int32_t>(t)));
    Value* runs = add("Unsqueeze", "runs", {add("Less", "less", {now, lengths}), integers({1})});
    const auto masked = [&](Value* value, Value* old, const std::string& name) {
      return add("Where", name, {runs, value, old == nullptr ? number(0) : old});
    };
    y = masked(h_, nullptr, "masked");
    h_ = old_h == nullptr ? y : masked(h_, old_h, "h_kept");
    if (c_ != nullptr) c_ = masked(c_, old_c, "c_kept");
  }

  // ---- Outputs
  Value* sequences(const std::vector<std::vector<Value*>>& y) {
    const int64_t steps_axis = batch_first_ ? 1 : 0;
    Value* axes = integers(batch_first_ ? std::vector<int64_t>{1, 2} : std::vector<int64_t>{0, 1});
    std::vector<Value*> directions;
    for (const std::vector<Value*>& values : y) {
      std::vector<Value*> parts;
      for (Value* value : values) parts.push_back(add("Unsqueeze", "Y_step", {value, axes}));
      directions.push_back(concat(parts, "Y_steps", steps_axis));
    }
    return concat(directions, "Y", steps_axis + 1);
  }
  Value* states(const std::vector<Value*>& values) {
    std::vector<Value*> parts;
    for (Value* value : values) {
      parts.push_back(add("Unsqueeze", "state", {value, integers({state_axis_})}));
    }
    return concat(parts, "states", state_axis_);
  }
  template <class Function>
  void replace(size_t index, Function&& make) {
    Value* output = node_.output(index);
    if (output == nullptr || graph_.useCount(output) == 0) return;
    Value* value = make();
    const std::string name = output->name();
    graph_.replaceUses(output, value);
    graph_.rename(output, name + "/unexpanded");
    graph_.rename(value, name);
  }

  Graph& graph_;
  Node& node_;
  const ops::RecurrentAttributes& attributes_;
  const ElementType type_;
  const bool batch_first_;
  const int64_t state_axis_, gates_, steps_, hidden_;
  std::string prefix_;
  Value* rows_ = nullptr;
  std::map<double, Value*> numbers_;
  // Of the direction and the step.
  std::vector<RecurrentActivation> activations_;
  Value* r_ = nullptr;
  Value* r_hidden_ = nullptr;
  Value* recurrent_bias_ = nullptr;
  std::vector<Value*> peepholes_;
  Value* h_ = nullptr;
  Value* c_ = nullptr;
};

bool isKnown(const Value* value, size_t axis) {
  return value->type.shape && axis < value->type.shape->size() &&
         (*value->type.shape)[axis].known();
}

bool isExpandable(const Node& node) {
  if (!ops::isRecurrent(node.op().qualifiedName())) return false;
  const size_t steps = node.attributes<ops::RecurrentAttributes>().layout == 1 ? 1 : 0;
  return isKnown(node.input(ops::kRecurrentX), steps) && isKnown(node.input(ops::kRecurrentW), 2) &&
         isKnown(node.input(ops::kRecurrentR), 2) &&
         (*node.input(ops::kRecurrentX)->type.shape)[steps].value > 0;
}

}  // namespace

bool expandRecurrent(Graph& graph) {
  bool found = false;
  for (Node* node : graph.nodeSequence()) {
    // The nodes in front of it that are new say more of its shape.
    if (found) graph.inferTypes(*node);
    if (!isExpandable(*node)) continue;
    Expansion(graph, *node).run();
    found = true;
  }
  return found;
}

}  // namespace simaqat
