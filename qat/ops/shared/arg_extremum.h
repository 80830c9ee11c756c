// What ArgMin and ArgMax share.
#pragma once

#include "qat/ops/shared/gather.h"

namespace simaqat::ops {

struct ArgExtremumAttributes : AxisAttributes {
  bool keepdims = true;
  bool select_last_index = false;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    AxisAttributes::fields(self, visit);
    visit("keepdims", self.keepdims);
    visit("select_last_index", self.select_last_index);
  }
};

void inferArgExtremum(InferContext& c);
void downgradeArgExtremum(PortableNode& node, int opset);
std::vector<OpExample> argExtremumExamples();

// `Pick` has goesBefore(a, b) for numbers; the first NaN goes before any of them.
template <class Pick>
void evaluateArgExtremum(const EvalContext& c) {
  const auto& attributes = c.node.attributes<ArgExtremumAttributes>();
  const AxisSplit split(c.node, attributes.axis, c.in(0).dims);
  if (split.size == 0) c.node.fail("the extremum of no elements");
  int64_t* y = c.out().data<int64_t>();
  visitNumber(c, c.in(0).type, [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.in(0).data<T>();
    c.pool.runRanges(
        c.out().size, kElementwiseGrain / (split.size + 1) + 1, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            const T* line = x + i / split.inner * split.size * split.inner + i % split.inner;
            int64_t best = 0;
            for (int64_t k = 1; k < split.size; ++k) {
              const T own = line[k * split.inner];
              const T other = line[best * split.inner];
              const bool ties = attributes.select_last_index && own == other;
              const bool before = other == other && (own != own || Pick::goesBefore(own, other));
              if (before || ties) best = k;
            }
            y[i] = best;
          }
        });
  });
}

template <class Pick>
OpDefinition argExtremumDefinition(const char* name) {
  OpDefinition op;
  op.name = name;
  op.make_attributes = &makeAttributes<ArgExtremumAttributes>;
  op.infer = inferArgExtremum;
  op.evaluate = evaluateArgExtremum<Pick>;
  op.downgrade = downgradeArgExtremum;
  op.examples = argExtremumExamples;
  return op;
}

}  // namespace simaqat::ops
