// What Softmax, LogSoftmax and Hardmax share.
#pragma once

#include <cmath>

#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gather.h"

namespace simaqat::ops {

struct SoftmaxAttributes {
  int64_t axis = -1;
  // The meaning before opset 13: over all axes from `axis` on. The pass flattened-softmaxes takes it
  // out of every model that is read.
  bool flatten = false;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("axis", self.axis);
    visit("flatten", self.flatten);
  }
};

void inferSoftmax(InferContext& c);
void upgradeSoftmax(PortableNode& node, int opset);
void downgradeSoftmax(PortableNode& node, int opset);
std::vector<OpExample> softmaxExamples();

// Calls line(first, size, stride) for each line of the tensor along the axis.
template <class Line>
void forEachLine(const EvalContext& c, Line line) {
  forEachLine(c, {c.node, c.node.attributes<SoftmaxAttributes>().axis, c.in(0).dims}, line);
}

// The largest element of a line, which is taken off before the exponential; NaN where one is.
template <class T>
T largestOf(const T* x, int64_t size, int64_t stride) {
  T largest = x[0];
  for (int64_t i = 1; i < size; ++i) {
    const T v = x[i * stride];
    if (!(v <= largest)) largest = v;
  }
  return largest;
}

// The sum over the node's axis, which stays as one of size 1.
Value* sumOverAxis(GradientContext& c, Value* value);

}  // namespace simaqat::ops
