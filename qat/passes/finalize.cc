#include "qat/passes/finalize.h"

#include <algorithm>

#include "qat/base/text.h"
#include "qat/ir/op.h"
#include "qat/passes/approximate.h"
#include "qat/passes/fake_quantized.h"
#include "qat/passes/finalize_weights.h"
#include "qat/passes/pass.h"
#include "qat/passes/simplify.h"
#include "qat/passes/stored.h"

namespace simaqat {
namespace {

void checkRanges(const Graph& graph) {
  std::vector<std::string> unset;
  for (const auto& node : graph.nodes()) {
    if (isFakeQuantize(*node) && isUnset(*node)) {
      unset.push_back("'" + node->input(0)->name() + "'");
    }
  }
  if (!unset.empty()) {
    throw inputError(
        "{} quantizers have no range yet (train the model, or train --steps 0 --calibrate N): {}",
        unset.size(), joined(unset));
  }
}

// The evaluation form of everything but the scaffolding, with constants for variables.
void freezeForInference(Graph& graph) {
  for (const auto& variable : graph.variables()) variable->setNext(nullptr);
  for (Node* node : graph.nodeSequence()) {
    if (node->op().specialize != nullptr && !isFakeQuantize(*node)) {
      node->op().specialize(graph, *node, Specialization{Mode::kEvaluate});
    }
  }
  // A Dropout in front hid the quantizer from those that share their input's.
  for (const auto& node : graph.nodes()) {
    if (sharesQuantizer(*node)) shareQuantizer(*node);
  }
  for (const auto& variable : graph.variables()) variable->setNext(nullptr);
  while (!graph.variables().empty()) graph.freezeVariable(graph.variables().back().get());
  removeDeadCode(graph);
}

struct Codes {
  Value* scale;
  Value* zero_point;
};

class ActivationLowering {
 public:
  explicit ActivationLowering(Graph& graph) : graph_(graph) {}

  void run() {
    for (Node* node : graph_.nodeSequence()) {
      if (isFakeQuantize(*node)) {
        lower(node);
      } else if (sharesQuantizer(*node)) {
        for (Value* output : node->outputs()) {
          if (output->quantizer != nullptr) addPair(output, codesOf(output->quantizer));
        }
      }
    }
  }

 private:
  // One pair of constants for each quantizer.
  Codes codesOf(const Quantizer* quantizer) {
    const auto [it, fresh] = codes_.emplace(quantizer, Codes{});
    if (fresh) {
      const float scale = *quantizer->scale->constant.data<float>();
      const float zero = *quantizer->zero_point->constant.data<float>();
      it->second.scale =
          graph_.addConstant(quantizer->name + "/quantize_scale", Tensor::scalar(scale));
      it->second.zero_point =
          graph_.addConstant(quantizer->name + "/quantize_zero_point",
                             Tensor::scalar(zero).converted(quantizer->spec.codeType()));
    }
    return it->second;
  }

  void lower(Node* node) {
    const Quantizer* quantizer = node->output()->quantizer;
    SIMAQAT_CHECK(quantizer != nullptr, "{}", node->describe());
    const Codes codes = codesOf(quantizer);
    Value* value = isStored(node->input(0))
                       ? asConstant(node->input(0))
                       : withoutRedundantActivation(node->input(0), *quantizer);
    // What a Concat joins for this quantizer alone is quantized with it before, too.
    Node* producer = value->producer();
    if (producer != nullptr && producer->op().quantization.output == OutputQuantization::kConcat) {
      for (size_t i = 0; i < producer->inputCount(); ++i) {
        Value* part = producer->input(i);
        if (part->producer() == nullptr || part->quantizer != nullptr) continue;
        if (part->producer()->op().qualifiedName() == "DequantizeLinear") continue;
        if (graph_.useCount(part) > 1) {
          // Others go on to see the float.
          producer->setInput(i, addPair(part, codes, producer));
          continue;
        }
        producer->setInput(i, withoutRedundantActivation(part, *quantizer));
        addPair(producer->input(i), codes);
      }
    }
    Value* result = addPair(value, codes, node);
    const std::string name = node->output()->name();
    graph_.replaceUses(node->output(), result);
    graph_.rename(node->output(), name + "/lowered");
    graph_.removeNode(node);
    graph_.rename(result, name);
    result->quantizer = const_cast<Quantizer*>(quantizer);
  }

  // The quantizer clamps to [0, largest] by itself: an activation that does no more goes.
  Value* withoutRedundantActivation(Value* value, const Quantizer& quantizer) {
    Node* activation = value->producer();
    if (activation == nullptr || graph_.useCount(value) != 1) return value;
    const QuantizationTraits& traits = activation->op().quantization;
    if (traits.is_activation == nullptr || !traits.is_activation(*activation)) return value;
    Value* input = activation->input(0);
    const Node* producer = input->producer();
    const bool computed = producer != nullptr && graph_.useCount(input) == 1 &&
                          producer->op().qualifiedName() != "DequantizeLinear" &&
                          !isFakeQuantize(*producer);
    const ScaleAndZeroPoint parameters{
        *quantizer.scale->constant.data<float>(),
        static_cast<int32_t>(*quantizer.zero_point->constant.data<float>())};
    const bool clamps_below = parameters.zero_point == quantizer.spec.qmin;
    const bool clamps_above =
        traits.upper_bound == nullptr ||
        largestValue(quantizer.spec, parameters) <= traits.upper_bound(*activation);
    if (!computed || !clamps_below || !clamps_above) return value;
    graph_.replaceUses(value, input);
    graph_.removeNode(activation);
    return input;
  }

  // QuantizeLinear and DequantizeLinear behind the value; all its uses see the result, or, with
  // `instead`, none does yet.
  Value* addPair(Value* value, const Codes& codes, Node* instead = nullptr) {
    Node* before = instead != nullptr ? instead : nodeBehind(value);
    Value* code = graph_.add("QuantizeLinear", value->name() + "/quantize",
                             {value, codes.scale, codes.zero_point}, nullptr, before);
    if (value->isConstant()) code = folded(code);
    Value* result = graph_.add("DequantizeLinear", value->name() + "/dequantize",
                               {code, codes.scale, codes.zero_point}, nullptr, before);
    if (instead != nullptr) return result;
    const std::string name = value->name();
    const bool leaves = graph_.isOutput(value);
    graph_.replaceUses(value, result, code->producer());
    if (leaves) {
      graph_.rename(value, name + "/raw");
      graph_.rename(result, name);
    }
    result->quantizer = value->quantizer;
    return result;
  }

  Value* asConstant(Value* stored) {
    if (stored->isConstant()) return stored;
    return graph_.addConstant(stored->name() + "/stored", storedTensor(graph_, stored));
  }

  // A stored operand ships as its codes.
  Value* folded(Value* code) {
    Node* node = code->producer();
    ThreadPool pool(1);
    std::vector<Tensor> inputs;
    for (const Value* input : node->inputs()) inputs.push_back(input->constant);
    const std::string name = code->name();
    Value* constant =
        graph_.addConstant(name + "/codes", evaluateOnHost(graph_, *node, inputs, pool)[0]);
    graph_.replaceUses(code, constant);
    graph_.removeNode(node);
    return constant;
  }

  Node* nodeBehind(const Value* value) const {
    for (const auto& node : graph_.nodes()) {
      for (const Use& use : value->uses()) {
        if (use.node == node.get()) return node.get();
      }
    }
    return nullptr;
  }

  Graph& graph_;
  std::map<const Quantizer*, Codes> codes_;
};

}  // namespace

void finalize(Graph& graph) {
  checkRanges(graph);
  runPass(graph, "restore-functions", restoreShippedFunctions);
  runPass(graph, "freeze", freezeForInference);
  runPass(graph, "lower-weights", lowerWeights);
  runPass(graph, "lower-batch-norms", lowerBatchNorms);
  runPass(graph, "lower-activations", [](Graph& g) { ActivationLowering(g).run(); });
  runPass(graph, "lower-approximations", lowerApproximations);
  for (const auto& value : graph.values()) value->quantizer = nullptr;
  runPass(graph, "dead-code", removeDeadCode);
}

}  // namespace simaqat
