#include "qat/ir/range_search.h"
#include "qat/ops/shared/fake_quantize.h"

namespace simaqat::ops {
namespace {

// The two ends of the range that the observer chooses, from (histogram, limit).

void infer(InferContext& c) {
  for (size_t i = 0; i < 2; ++i) c.setOutput(i, c.input(1).element, c.input(1).shape);
}

void evaluate(const EvalContext& c) {
  const Range range =
      rangeOfHistogram(c.node.attributes<QuantizerSpec>(), c.in(0).data<float>(),
                       *c.in(1).data<float>());
  *c.out(0).data<float>() = range.lo;
  *c.out(1).data<float>() = range.hi;
}

}  // namespace

OpDefinition defineHistogramToRange() {
  OpDefinition op;
  op.name = "HistogramToRange";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 2;
  op.min_outputs = op.max_outputs = 2;
  op.make_attributes = &makeAttributes<QuantizerSpec>;
  op.infer = infer;
  op.evaluate = evaluate;
  return op;
}

}  // namespace simaqat::ops
