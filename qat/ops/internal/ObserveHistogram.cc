#include <cmath>

#include "kernels/fake_quantize.h"
#include "qat/ir/range_search.h"
#include "qat/ops/shared/fake_quantize.h"

namespace simaqat::ops {
namespace {

// The histogram after a batch x and its limit (qat/ir/range_search.h), from (x, histogram, limit):
// counts so far, times 1 - averaging_constant, and the batch's. A batch that is not finite changes
// nothing.

void infer(InferContext& c) {
  for (size_t i = 0; i < 2; ++i) c.setOutput(i, c.input(1 + i).element, c.input(1 + i).shape);
}

// Pieces of the tensor and their counts; sums of whole numbers do not depend on their order.
constexpr int64_t kPieces = 16;

int64_t workspace(const Node&, int) {
  return kPieces * kHistogramBins * static_cast<int64_t>(sizeof(uint32_t));
}

void evaluate(const EvalContext& c) {
  const float* x = c.in(0).data<float>();
  const int64_t size = c.in(0).size;
  float* counts = c.out(0).data<float>();
  const float old_limit = *c.in(2).data<float>();
  float lo = 0;
  float hi = 0;
  kernels::minMax(x, size, &lo, &hi, c.pool);
  const float max_abs = std::max(-lo, hi);
  std::copy_n(c.in(1).data<float>(), kHistogramBins, counts);
  *c.out(1).data<float>() = old_limit;
  if (!std::isfinite(max_abs) || max_abs == 0) return;
  const float limit = std::max(old_limit, histogramLimit(max_abs));
  *c.out(1).data<float>() = limit;
  if (old_limit > 0) widenHistogram(counts, old_limit, limit);

  auto* pieces = reinterpret_cast<uint32_t*>(c.workspace);
  const int64_t grain = (size + kPieces - 1) / kPieces;
  c.pool.run(kPieces, [&](int64_t piece, int) {
    uint32_t* bins = pieces + piece * kHistogramBins;
    std::fill_n(bins, kHistogramBins, 0u);
    const int64_t end = std::min(size, (piece + 1) * grain);
    for (int64_t i = piece * grain; i < end; ++i) {
      if (x[i] != 0) ++bins[histogramBin(x[i], limit)];
    }
  });
  const float kept = 1.0f - c.node.attributes<QuantizerSpec>().averaging_constant;
  for (int64_t bin = 0; bin < kHistogramBins; ++bin) {
    int64_t count = 0;
    for (int64_t piece = 0; piece < kPieces; ++piece) {
      count += pieces[piece * kHistogramBins + bin];
    }
    counts[bin] = counts[bin] * kept + static_cast<float>(count);
  }
}

}  // namespace

OpDefinition defineObserveHistogram() {
  OpDefinition op;
  op.name = "ObserveHistogram";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 3;
  op.min_outputs = op.max_outputs = 2;
  op.make_attributes = &makeAttributes<QuantizerSpec>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.workspace = workspace;
  return op;
}

}  // namespace simaqat::ops
