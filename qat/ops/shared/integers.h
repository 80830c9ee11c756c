// Lists of integers that operators take as inputs: axes, starts, repeats, indices.
#pragma once

#include <optional>
#include <vector>

#include "qat/ir/op.h"

namespace simaqat::ops {

// The list where it is known when compiling. Fails naming the node unless it is a list of integers.
std::optional<std::vector<int64_t>> constantIntegers(const InferContext& c, size_t input);

// How many numbers the list has, where that is known.
std::optional<int64_t> listLength(const InferContext& c, size_t input);

// Element i of a view of int32 or int64.
int64_t integerAt(const TensorView& view, int64_t i);

// An index that may count from the end of `size` elements; fails naming the node out of range.
inline int64_t checkedIndex(const Node& node, int64_t index, int64_t size) {
  if (index < -size || index >= size) node.fail("index {} is out of range for {}", index, size);
  return index < 0 ? index + size : index;
}

// Which of `rank` axes a list names. Fails naming the node where one is out of range or repeated.
std::vector<bool> markAxes(const Node& node, const std::vector<int64_t>& axes, size_t rank);

// A shape of which no more than the rank is known.
Shape unknownShape(size_t rank);

// The rule of an operator that has had a list as an attribute before it became input 1.
template <int kSinceOpset>
void upgradeAxes(PortableNode& node, int opset) {
  if (opset < kSinceOpset) node.attributeToInput("axes", 1);
}
template <int kSinceOpset>
void downgradeAxes(PortableNode& node, int opset) {
  if (opset < kSinceOpset) node.inputToAttribute(1, "axes");
}

}  // namespace simaqat::ops
