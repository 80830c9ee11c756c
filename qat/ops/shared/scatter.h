// What ScatterND and ScatterElements share: how an update joins what is there, and the gradient.
#pragma once

#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {

enum class ScatterReduction { kNone, kAdd, kMul, kMin, kMax };

// Fails naming the node where it is none of ONNX's.
ScatterReduction scatterReduction(const Node& node, const std::string& name);

// Fails where the opset does not have the reduction: it came with 16, min and max with 18.
void downgradeScatter(PortableNode& node, int opset);

template <class T>
T combine(ScatterReduction reduction, T present, T update) {
  switch (reduction) {
    case ScatterReduction::kNone:
      return update;
    case ScatterReduction::kAdd:
      return static_cast<T>(present + update);
    case ScatterReduction::kMul:
      return static_cast<T>(present * update);
    case ScatterReduction::kMin:
      return update < present || update != update ? update : present;
    case ScatterReduction::kMax:
      return update > present || update != update ? update : present;
  }
  return present;
}

// y = data with the updates, where join(y, updates, reduction) adds the latter in a fixed order.
template <class Join>
void evaluateScatter(const EvalContext& c, const std::string& reduction_name, Join join) {
  const ScatterReduction reduction = scatterReduction(c.node, reduction_name);
  copyBytes(c);
  visitElementType(c.out().type, [&](auto tag) {
    using T = decltype(tag);
    if (std::is_same_v<T, bool> && reduction != ScatterReduction::kNone) {
      c.node.fail("element type bool is not supported by reduction '{}'", reduction_name);
    }
    join(c.out().data<T>(), c.in(2).data<T>(), reduction);
  });
}

// How the two operators differ, for the one gradient rule.
struct ScatterForm {
  std::string gather;  // the operator that reads where this one writes
  std::unique_ptr<Attributes> gather_attributes;
  // This operator's attributes with another reduction.
  std::function<std::unique_ptr<Attributes>(const char* reduction)> scatter_attributes;
};
void scatterGradient(GradientContext& c, const std::string& reduction_name,
                     const ScatterForm& form);

}  // namespace simaqat::ops
