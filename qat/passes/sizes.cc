#include "qat/passes/sizes.h"

#include <algorithm>
#include <unordered_set>

#include "qat/ir/fake_quantize.h"
#include "qat/ir/op.h"
#include "qat/passes/stored.h"

namespace simaqat {
namespace {

// A scale or zero point of QuantizeLinear or DequantizeLinear.
bool belongsToQuantizer(const Value& value) {
  return std::all_of(value.uses().begin(), value.uses().end(), [](const Use& use) {
    const std::string& type = use.node->op().name;
    return (type == "QuantizeLinear" || type == "DequantizeLinear") && use.index > 0;
  });
}

// The codes and scales of a value that has a quantizer, else what it has.
int64_t quantizedBytes(const Value& value, int64_t elements, ElementType type) {
  for (const Use& use : value.uses()) {
    if (!isFakeQuantize(*use.node)) continue;
    const auto& spec = use.node->attributes<QuantizerSpec>();
    const int64_t scales =
        spec.hasOneScale() ? 1 : use.node->input(kFakeQuantizeScale)->variable->value.size();
    return bytesOf(elements, spec.codeType()) + 4 * scales;
  }
  return bytesOf(elements, type);
}

using Values = std::unordered_set<const Value*>;

// Whether something that is not computed from parameters alone takes the value: finalize evaluates
// all that is.
bool ships(const Value& value, const Values& stored) {
  const auto& uses = value.uses();
  return uses.empty() || std::any_of(uses.begin(), uses.end(), [&](const Use& use) {
           return stored.count(use.node->output()) == 0;
         });
}

}  // namespace

int64_t bytesOf(int64_t elements, ElementType type) {
  const bool is_narrow = storageType(type) != type;
  const int64_t bytes = elements * static_cast<int64_t>(elementSize(type));
  return is_narrow ? (bytes + 1) / 2 : bytes;
}

Sizes sizesOf(const Graph& graph) {
  const Values stored = storedValues(graph);
  Sizes sizes;
  for (const auto& value : graph.values()) {
    const bool is_weight =
        value->variable != nullptr && value->variable->role == VariableRole::kWeight;
    const bool is_constant = value->isConstant() && value->producer() == nullptr;
    const bool is_computed = value->producer() != nullptr && stored.count(value.get()) != 0;
    if (!is_weight && !is_constant && !(is_computed && value->type.isStatic())) continue;
    const int64_t elements = value->type.size();
    if (elements <= 1) continue;
    if (belongsToQuantizer(*value)) {
      sizes.quantized_bytes += bytesOf(elements, value->type.element);
      continue;
    }
    if (!is_computed) {
      sizes.parameters += elements;
      sizes.float_bytes += 4 * elements;
    }
    if (ships(*value, stored)) {
      sizes.quantized_bytes += quantizedBytes(*value, elements, value->type.element);
    }
  }
  return sizes;
}

}  // namespace simaqat
