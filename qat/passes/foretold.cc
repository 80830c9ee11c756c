#include "qat/passes/foretold.h"

#include <algorithm>
#include <set>
#include <sstream>

#include "qat/ir/op.h"
#include "qat/passes/match.h"
#include "qat/passes/onnxruntime_kernels.h"
#include "qat/passes/stored.h"

namespace simaqat {
namespace {

bool isByte(ElementType type) { return type == ElementType::kUint8 || type == ElementType::kInt8; }

const Value* codesOf(const Value* value) {
  const Node* dequantize = producer(value, "DequantizeLinear");
  return dequantize == nullptr ? nullptr : dequantize->input(0);
}

// ONNX Runtime quantizes the stored float weights of these itself.
bool takesFloatWeight(const Node& node) {
  return node.opType() == "Conv" || node.opType() == "Gemm";
}

bool hasFloatWeight(const Node& node) {
  const int index = node.op().quantization.weight_input;
  return index >= 0 && isStored(node.input(static_cast<size_t>(index))) &&
         codesOf(node.input(static_cast<size_t>(index))) == nullptr;
}

bool operandsAreCodes(const Node& node) {
  const QuantizationTraits& traits = node.op().quantization;
  for (size_t i = 0; i < node.inputCount(); ++i) {
    const Value* input = node.input(i);
    if (input == nullptr || input->type.element != ElementType::kFloat) continue;
    const Value* codes = codesOf(input);
    if (static_cast<int>(i) == traits.bias_input) {
      if (!isStored(input) && (codes == nullptr || !codes->isConstant())) return false;
    } else if (static_cast<int>(i) == traits.weight_input && hasFloatWeight(node)) {
      if (!takesFloatWeight(node)) return false;
    } else if (codes == nullptr || !isByte(codes->type.element)) {
      return false;
    }
  }
  return true;
}

// `past_batch_norm`: which a runtime folds into float weights.
bool goesIntoCodes(const Graph& graph, const Value* value, bool past_batch_norm) {
  if (graph.useCount(value) != 1 || value->uses().size() != 1) return false;
  const Node& user = *value->uses()[0].node;
  if (user.op().qualifiedName() == "QuantizeLinear") return isByte(user.output()->type.element);
  const auto is_activation = user.op().quantization.is_activation;
  const bool passes = sharesQuantizer(user) || (is_activation != nullptr && is_activation(user)) ||
                      (past_batch_norm && user.op().qualifiedName() == "BatchNormalization");
  return passes && goesIntoCodes(graph, user.output(), past_batch_norm);
}

// Codes of a weight beside float data: MatMulNBits.
bool multipliesStoredCodes(const Node& node) {
  const Value* codes = node.opType() == "MatMul" ? codesOf(node.input(1)) : nullptr;
  return codes != nullptr && codes->isConstant() && codesOf(node.input(0)) == nullptr;
}

}  // namespace

void storeForetold(Graph& scaffolded, const std::vector<PlacementEntry>& placement) {
  std::string names;
  for (const PlacementEntry& entry : placement) {
    if (entry.kernel == "integer") names += (names.empty() ? "" : "\n") + entry.node;
  }
  if (!names.empty()) scaffolded.metadata[kForetoldKey] = names;
}

bool hasIntegerForm(const Graph& graph, const Node& node) {
  if (multipliesStoredCodes(node)) return true;
  const bool may_end_in_float = node.opType() == "Gemm" || node.opType() == "MatMul";
  return hasIntegerKernel(node) && operandsAreCodes(node) &&
         (may_end_in_float || goesIntoCodes(graph, node.output(), hasFloatWeight(node)));
}

std::vector<std::string> foretoldButFloat(const Graph& finalized) {
  const auto entry = finalized.metadata.find(kForetoldKey);
  if (entry == finalized.metadata.end()) return {};
  std::set<std::string> foretold;
  std::istringstream lines(entry->second);
  for (std::string line; std::getline(lines, line);) foretold.insert(line);
  std::vector<std::string> floats;
  for (const auto& node : finalized.nodes()) {
    if (foretold.count(node->name()) != 0 && !hasIntegerForm(finalized, *node)) {
      floats.push_back(node->describe());
    }
  }
  return floats;
}

}  // namespace simaqat
