#include "qat/passes/sizes.h"

#include <algorithm>

#include "qat/ir/fake_quantize.h"
#include "qat/ir/op.h"

namespace simaqat {
namespace {

// A scale or zero point of QuantizeLinear or DequantizeLinear.
bool belongsToQuantizer(const Value& value) {
  return std::all_of(value.uses().begin(), value.uses().end(), [](const Use& use) {
    const std::string& type = use.node->op().name;
    return (type == "QuantizeLinear" || type == "DequantizeLinear") && use.index > 0;
  });
}

// The codes and scales of a weight that has a quantizer, else what it has.
int64_t quantizedBytes(const Value& value, const Tensor& tensor) {
  for (const Use& use : value.uses()) {
    if (!isFakeQuantize(*use.node)) continue;
    const auto& spec = use.node->attributes<QuantizerSpec>();
    const int64_t scales =
        spec.hasOneScale() ? 1 : use.node->input(kFakeQuantizeScale)->variable->value.size();
    return bytesOf(tensor.size(), spec.codeType()) + 4 * scales;
  }
  return bytesOf(tensor.size(), tensor.type());
}

}  // namespace

int64_t bytesOf(int64_t elements, ElementType type) {
  const bool is_narrow = storageType(type) != type;
  const int64_t bytes = elements * static_cast<int64_t>(elementSize(type));
  return is_narrow ? (bytes + 1) / 2 : bytes;
}

Sizes sizesOf(const Graph& graph) {
  Sizes sizes;
  for (const auto& value : graph.values()) {
    const bool is_weight =
        value->variable != nullptr && value->variable->role == VariableRole::kWeight;
    const bool is_constant = value->isConstant() && value->producer() == nullptr;
    if (!is_weight && !is_constant) continue;
    const Tensor& tensor = is_weight ? value->variable->value : value->constant;
    if (tensor.size() <= 1) continue;
    if (belongsToQuantizer(*value)) {
      sizes.quantized_bytes += bytesOf(tensor.size(), tensor.type());
      continue;
    }
    sizes.parameters += tensor.size();
    sizes.float_bytes += 4 * tensor.size();
    sizes.quantized_bytes += quantizedBytes(*value, tensor);
  }
  return sizes;
}

}  // namespace simaqat
