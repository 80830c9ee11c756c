#include "qat/passes/onnxruntime_kernels.h"

#include <algorithm>
#include <set>
#include <unordered_set>

#include "qat/ir/fake_quantize.h"
#include "qat/ir/op.h"
#include "qat/passes/fake_quantized.h"
#include "qat/passes/folded_weights.h"
#include "qat/passes/stored.h"

namespace simaqat {
namespace {

using Names = std::set<std::string>;

bool isOneOf(const Node& node, const Names& names) {
  return names.count(node.op().qualifiedName()) != 0;
}

// Operators that pass codes on as they are.
const Names kMovers = {"DepthToSpace", "Expand",  "Flatten", "Gather",  "Identity",
                       "MaxPool",      "ReduceMax", "Reshape", "Resize",  "Slice",
                       "Split",        "Squeeze", "Tile",    "Transpose", "Unsqueeze"};

// A float result is all the same to these.
const Names kMayEndInFloat = {"Gemm", "MatMul"};

// Whose stored float weights it quantizes itself, where the rest is quantized.
const Names kQuantizeWeights = {"Conv", "Gemm"};

struct Scene {
  const Graph& graph;
  // Functions that ship as the operators which approximate them, by their ends.
  const std::unordered_set<const Node*>& approximated;
};

KernelPrediction inFloat(std::string reason) {
  return {RuntimeKernel::kFloat, std::move(reason)};
}

bool isConcat(const Node& node) {
  return node.op().quantization.output == OutputQuantization::kConcat;
}

const Node* quantizerAt(const Value* value) {
  for (const Use& use : value->uses()) {
    if (isFakeQuantize(*use.node) && use.index == kFakeQuantizeX) return use.node;
  }
  return nullptr;
}

Node* soleUser(const Scene& scene, const Value* value) {
  const bool has_one = scene.graph.useCount(value) == 1 && value->uses().size() == 1;
  return has_one ? value->uses()[0].node : nullptr;
}

bool isActivation(const Node& node) {
  const auto is_activation = node.op().quantization.is_activation;
  return is_activation != nullptr && is_activation(node);
}

// BatchNormalization or an activation that goes into the node in front of it.
bool isFusedInFront(const Scene& scene, const Node& node) {
  const Value* value = node.input(0);
  if (value->producer() == nullptr || soleUser(scene, value) != &node) return false;
  const QuantizationTraits& traits = value->producer()->op().quantization;
  if (node.op().qualifiedName() == "BatchNormalization") {
    return traits.fuses_batch_norm && hasBiasByChannel(*value->producer());
  }
  return traits.fuses_activation && isActivation(node) && scene.approximated.count(&node) == 0;
}

// The quantizer that a node's result goes into: behind what is fused with it, behind movers, through
// which ONNX Runtime takes QuantizeLinear forward, and behind a Concat, whose quantizer finalize
// copies to its inputs.
const Node* outputQuantizer(const Scene& scene, const Value* value) {
  // Where something takes the float beside it, the node makes floats.
  if (const Node* quantizer = quantizerAt(value)) {
    return scene.graph.useCount(value) == 1 ? quantizer : nullptr;
  }
  const Node* next = soleUser(scene, value);
  if (next == nullptr) return nullptr;
  const bool passes = isConcat(*next) || isFusedInFront(scene, *next) ||
                      (sharesQuantizer(*next) && isOneOf(*next, kMovers));
  return passes ? outputQuantizer(scene, next->output()) : nullptr;
}

// The quantizer on whose grid the value lies once Dropout is gone.
const Node* gridOf(const Value* value) {
  while (const Node* node = value->producer()) {
    if (isFakeQuantize(*node)) return node;
    const bool is_gone = node->op().quantization.output == OutputQuantization::kTransparent;
    if (!is_gone && !sharesQuantizer(*node)) return nullptr;
    value = node->input(0);
  }
  return nullptr;
}

const Node* inputQuantizer(const Scene& scene, const Node& node, const Value* input) {
  if (const Node* quantizer = gridOf(input)) return quantizer;
  const bool is_part = isConcat(node) && input->producer() != nullptr;
  return is_part ? outputQuantizer(scene, node.output()) : nullptr;
}

ElementType codesOf(const Node& fake_quantize) {
  return fake_quantize.attributes<QuantizerSpec>().codeType();
}

bool isByte(ElementType type) { return type == ElementType::kUint8 || type == ElementType::kInt8; }

bool isNibble(ElementType type) { return type == ElementType::kUint4 || type == ElementType::kInt4; }

// Whether it makes of the node one that takes codes of 4 bits, of which it has none.
bool isRefused(const Scene& scene, const Node& node) {
  if (!isOneOf(node, {"Conv", "MaxPool"})) return false;
  const Node* input = gridOf(node.input(0));
  if (input == nullptr || !isNibble(codesOf(*input))) return false;
  if (node.op().qualifiedName() == "MaxPool") return true;
  const Node* output = outputQuantizer(scene, node.output());
  const Node* weight = fakeQuantizeOf(node.input(1));
  return output != nullptr && codesOf(*output) == codesOf(*input) &&
         (weight == nullptr || !isNibble(codesOf(*weight)));
}

// The rule that keeps an operator which has an integer kernel from using it; "" for none.
std::string obstacle(const Scene& scene, const Node& node) {
  if (!hasBiasByChannel(node)) return "its bias is not one stored number a channel";
  // What it has beside its input becomes codes, or an INT32 bias, with it.
  const bool is_batch_norm = node.op().qualifiedName() == "BatchNormalization";
  const int bias = node.op().quantization.bias_input;
  const int weight = node.op().quantization.weight_input;
  for (size_t i = 0; i < (is_batch_norm ? 1 : node.inputCount()); ++i) {
    const Value* input = node.input(i);
    if (input == nullptr || input->type.element != ElementType::kFloat) continue;
    if (static_cast<int>(i) == bias) continue;
    const Node* quantizer = inputQuantizer(scene, node, input);
    const bool is_weight = static_cast<int>(i) == weight && isStored(input);
    if (quantizer == nullptr && is_weight && isOneOf(node, kQuantizeWeights)) continue;
    if (quantizer == nullptr) return fmt::format("its input '{}' is float", input->name());
    if (isByte(codesOf(*quantizer))) continue;
    return fmt::format("its input '{}' is {}", input->name(), elementTypeName(codesOf(*quantizer)));
  }
  const Node* quantizer = outputQuantizer(scene, node.output());
  if (quantizer == nullptr) {
    if (quantizerAt(node.output()) != nullptr) return "its output is used in float, too";
    return isOneOf(node, kMayEndInFloat) ? "" : "its output is float";
  }
  return isByte(codesOf(*quantizer))
             ? ""
             : fmt::format("its output is {}", elementTypeName(codesOf(*quantizer)));
}

// Codes of a weight beside a float activation: MatMulNBits.
bool multipliesStoredCodes(const Scene& scene, const Node& node) {
  return node.op().qualifiedName() == "MatMul" && gridOf(node.input(0)) == nullptr &&
         fakeQuantizeOf(node.input(1)) != nullptr &&
         isStored(fakeQuantizeOf(node.input(1))->input(0)) &&
         outputQuantizer(scene, node.output()) == nullptr;
}

// The bias that such a product takes in.
bool isBiasOfStoredCodes(const Scene& scene, const Node& node) {
  if (node.op().qualifiedName() != "Add") return false;
  for (size_t i = 0; i < 2; ++i) {
    const Node* product = node.input(i)->producer();
    const Value* other = node.input(1 - i);
    if (product != nullptr && isStored(other) && other->type.rank() == 1 &&
        soleUser(scene, node.input(i)) == &node && multipliesStoredCodes(scene, *product)) {
      return true;
    }
  }
  return false;
}

KernelPrediction predictMover(const Scene& scene, const Node& node) {
  const Node* quantizer = gridOf(node.input(0));
  if (quantizer == nullptr) quantizer = outputQuantizer(scene, node.output());
  if (quantizer == nullptr) return inFloat("its input is float");
  if (!isOneOf(node, kMovers)) {
    return inFloat(fmt::format("no kernel moves codes for {}", node.opType()));
  }
  if (node.op().qualifiedName() == "MaxPool" && !isByte(codesOf(*quantizer))) {
    return inFloat(fmt::format("MaxPool has no kernel for {}", elementTypeName(codesOf(*quantizer))));
  }
  return {RuntimeKernel::kMovesCodes, ""};
}

KernelPrediction predict(const Scene& scene, const Node& node) {
  const KernelPrediction gone{RuntimeKernel::kGone, ""};
  const KernelPrediction integer{RuntimeKernel::kInteger, ""};
  if (node.op().quantization.output == OutputQuantization::kTransparent) return gone;
  if (isFusedInFront(scene, node)) {
    const bool is_redundant =
        !isActivation(node) || outputQuantizer(scene, node.output()) != nullptr;
    return is_redundant ? gone : inFloat("its output is float");
  }
  if (isRefused(scene, node)) {
    const ElementType codes = codesOf(*gridOf(node.input(0)));
    return {RuntimeKernel::kRefused, fmt::format("no kernel for {}", elementTypeName(codes))};
  }
  if (sharesQuantizer(node)) return predictMover(scene, node);
  if (node.op().qualifiedName() == "BatchNormalization") {
    if (staysFloat(scene.graph, node)) return inFloat("off by the recipe");
    const size_t rank = node.input(0)->type.rank();
    if (rank < 3 || rank > 5) return inFloat("it becomes no convolution");
  }
  if (multipliesStoredCodes(scene, node)) return integer;
  if (isBiasOfStoredCodes(scene, node)) return gone;
  if (!hasIntegerKernel(node)) {
    return inFloat(fmt::format("{} has no integer kernel", node.opType()));
  }
  const std::string rule = obstacle(scene, node);
  return rule.empty() ? integer : inFloat(rule);
}

}  // namespace

bool hasIntegerKernel(const Node& node) {
  // BatchNormalization, Relu and Clip end in the node or the quantizer beside them.
  static const Names kOperators = {
      "Add",     "AveragePool", "BatchNormalization", "Clip", "Concat", "Conv",    "Gemm",
      "GlobalAveragePool", "LeakyRelu", "MatMul", "Mul", "Relu", "Sigmoid", "Softmax", "Where"};
  return isOneOf(node, kOperators);
}

bool computesOtherwise(const Node& node) {
  if (node.op().qualifiedName() != "AveragePool") return false;
  const AttributeMap map = node.rawAttributes().toMap();
  const auto is_set = [&](const char* name) {
    const auto found = map.find(name);
    return found != map.end() && std::get<int64_t>(found->second) != 0;
  };
  return is_set("ceil_mode") && is_set("count_include_pad");
}

bool wantsQuantizedOperands(const Node& node) {
  static const Names kOperators = {"Add", "Concat", "Gemm", "MatMul", "Mul", "Where"};
  return isOneOf(node, kOperators);
}

bool feedsIntegerKernel(const Value* value) {
  return std::any_of(value->uses().begin(), value->uses().end(), [](const Use& use) {
    if (hasIntegerKernel(*use.node)) return true;
    const auto& outputs = use.node->outputs();
    const bool is_gone = use.node->op().quantization.output == OutputQuantization::kTransparent;
    return (is_gone || sharesQuantizer(*use.node)) && use.index == 0 &&
           std::any_of(outputs.begin(), outputs.end(), feedsIntegerKernel);
  });
}

std::string KernelPrediction::toString() const {
  switch (kernel) {
    case RuntimeKernel::kInteger:
      return "integer";
    case RuntimeKernel::kMovesCodes:
      return "moves codes";
    case RuntimeKernel::kGone:
      return "gone";
    case RuntimeKernel::kRefused:
      return "refused: " + reason;
    case RuntimeKernel::kFloat:
      break;
  }
  return "float: " + reason;
}

std::vector<const Node*> refusedNodes(const Graph& graph) {
  const std::unordered_set<const Node*> none;
  const Scene scene{graph, none};
  std::vector<const Node*> refused;
  for (const auto& node : graph.nodes()) {
    if (isRefused(scene, *node)) refused.push_back(node.get());
  }
  return refused;
}

bool hasSignedActivations(const Graph& graph) {
  const auto& nodes = graph.nodes();
  return std::any_of(nodes.begin(), nodes.end(), [](const auto& node) {
    if (!isFakeQuantize(*node) || node->input(0)->producer() == nullptr) return false;
    const auto& spec = node->template attributes<QuantizerSpec>();
    return spec.isSigned() && !spec.is_weight;
  });
}

std::unordered_map<const Node*, KernelPrediction> predictKernels(
    const Graph& graph, const std::unordered_set<const Node*>& approximated) {
  // It rewrites those as unsigned ones, where it can; behind an input it can.
  if (hasSignedActivations(graph)) return {};
  std::unordered_set<const Value*> data(graph.inputs.begin(), graph.inputs.end());
  const Scene scene{graph, approximated};
  std::unordered_map<const Node*, KernelPrediction> predictions;
  for (const auto& node : graph.nodes()) {
    const bool depends =
        node->output()->type.element == ElementType::kFloat &&
        std::any_of(node->inputs().begin(), node->inputs().end(), [&](const Value* input) {
          return input != nullptr && input->type.element == ElementType::kFloat &&
                 data.count(input) != 0;
        });
    if (!depends) continue;
    data.insert(node->outputs().begin(), node->outputs().end());
    if (!isFakeQuantize(*node)) predictions.emplace(node.get(), predict(scene, *node));
  }
  return predictions;
}

}  // namespace simaqat
