#include <cmath>
#include <vector>

#include "kernels/fake_quantize.h"
#include "qat/ir/range_search.h"
#include "qat/ops/shared/fake_quantize.h"

namespace simaqat::ops {
namespace {

// Where a learned scale starts, from (x, scale, zero point or offset), and what they are where it
// has one already: of a batch x "lsq" makes the scale 2 mean(|x|) / sqrt(Qp) and a zero point, qmin
// where no value is negative and the quantizer is not symmetric, else the middle of the codes
// (Esser 2020); "lsq_plus" scale and offset of the range with the least squared error over the
// batch, its lower end (Bhalgat 2020). A batch that is not finite starts nothing.

void infer(InferContext& c) {
  for (size_t i = 0; i < 2; ++i) c.setOutput(i, c.input(1 + i).element, c.input(1 + i).shape);
}

double meanAbs(const float* x, int64_t size) {
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += std::fabs(static_cast<double>(x[i]));
  return size == 0 ? 0 : sum / static_cast<double>(size);
}

Range rangeOfLeastError(QuantizerSpec spec, const float* x, int64_t size, float max_abs) {
  spec.observer = "mse";
  const float limit = histogramLimit(max_abs);
  std::vector<uint32_t> bins(kHistogramBins);
  for (int64_t i = 0; i < size; ++i) {
    if (x[i] != 0) ++bins[static_cast<size_t>(histogramBin(x[i], limit))];
  }
  const std::vector<float> counts(bins.begin(), bins.end());
  return rangeOfHistogram(spec, counts.data(), limit);
}

void evaluate(const EvalContext& c) {
  QuantizerSpec spec = c.node.attributes<QuantizerSpec>();
  const float* x = c.in(0).data<float>();
  float lo = 0;
  float hi = 0;
  kernels::minMax(x, c.in(0).size, &lo, &hi, c.pool);
  float* scale = c.out(0).data<float>();
  float* second = c.out(1).data<float>();
  const float max_abs = std::max(-lo, hi);
  if (*c.in(1).data<float>() != kUnsetScale || !std::isfinite(max_abs)) {
    *scale = *c.in(1).data<float>();
    *second = *c.in(2).data<float>();
    return;
  }
  if (spec.learnsOffset()) {
    const Range range =
        max_abs > 0 ? rangeOfLeastError(spec, x, c.in(0).size, max_abs) : Range{0, 0};
    *scale = scaleFromRange(spec, range.lo, range.hi).scale;
    *second = std::min(range.lo, 0.0f);
    return;
  }
  spec.symmetric = spec.symmetric || lo < 0;
  const int32_t zero_point = scaleOfUnit(spec, 1).zero_point;
  *scale = learnedScaleStart(meanAbs(x, c.in(0).size), spec.qmax - zero_point);
  *second = static_cast<float>(zero_point);
}

}  // namespace

OpDefinition defineStartScale() {
  OpDefinition op;
  op.name = "StartScale";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 3;
  op.min_outputs = op.max_outputs = 2;
  op.make_attributes = &makeAttributes<QuantizerSpec>;
  op.infer = infer;
  op.evaluate = evaluate;
  return op;
}

}  // namespace simaqat::ops
