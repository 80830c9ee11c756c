#include <algorithm>
#include <cmath>

#include "kernels/wide_sum.h"
#include "qat/ops/shared/fake_quantize.h"

namespace simaqat::ops {
namespace {

// The gradients of a learned scale and offset from (dy, x, scale, zero_point), by LSQ (Esser 2020)
// and LSQ+ (Bhalgat 2020). With v = x / s + z: within the codes ds takes dy (round(v) - v), and the
// offset nothing; beyond them ds takes dy (limit - z) where the zero point stays, dy (limit - qmin)
// where the offset is learned, and the offset dy. All times 1 / sqrt(N Qp): N elements share the
// scale, of one sample (dimension 0) for an activation; Qp codes lie above the zero point.

// Pieces of the tensor that are summed on their own, in this order, whatever the threads.
constexpr int64_t kGrain = 1 << 14;

int64_t piecesOf(const ChannelLayout& layout) {
  const int64_t elements = layout.outer * layout.inner;
  return layout.channels * ((elements + kGrain - 1) / kGrain);
}

struct Sums {
  double scale = 0;
  double offset = 0;
};

int64_t workspace(const Node& node, int) {
  const int64_t elements = node.input(1)->type.size();
  const int64_t channels = node.input(2)->type.size();
  return (elements / kGrain + channels + 1) * 2 * static_cast<int64_t>(sizeof(Sums));
}

void infer(InferContext& c) {
  for (size_t i = 0; i < 2; ++i) c.setOutput(i, c.input(2).element, c.input(2).shape);
}

class Formula {
 public:
  Formula(const QuantizerSpec& spec, float scale, float zero_point)
      : scale_(scale),
        zero_(zero_point),
        qmin_(static_cast<float>(spec.qmin)),
        qmax_(static_cast<float>(spec.qmax)),
        origin_(spec.learnsOffset() ? qmin_ : zero_point) {}

  // Adds the part of n neighbours.
  void add(const float* x, const float* dy, int64_t n) {
    for (; n > 0; n -= kBlock, x += kBlock, dy += kBlock) addBlock(x, dy, std::min(n, kBlock));
  }
  Sums sums() const { return {scale_sum_.total(), offset_sum_.total()}; }

 private:
  static constexpr int64_t kBlock = 256;

  void addBlock(const float* x, const float* dy, int64_t n) {
    float factor[kBlock];
    float beyond[kBlock];  // dy where the code is beyond its range
    for (int64_t i = 0; i < n; ++i) {
      const float quotient = x[i] / scale_;
      const float code = quotient + zero_;
      const bool is_within = (code >= qmin_) & (code <= qmax_);
      const float limit = code < qmin_ ? qmin_ : qmax_;
      factor[i] = is_within ? std::nearbyint(quotient) - quotient : limit - origin_;
      beyond[i] = is_within ? 0.0f : dy[i];
    }
    using kernels::loadDouble4;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
      scale_sum_.add(loadDouble4(dy + i) * loadDouble4(factor + i),
                     loadDouble4(dy + i + 4) * loadDouble4(factor + i + 4));
      offset_sum_.add(loadDouble4(beyond + i), loadDouble4(beyond + i + 4));
    }
    for (; i < n; ++i) {
      scale_sum_.add(static_cast<double>(dy[i]) * factor[i]);
      offset_sum_.add(static_cast<double>(beyond[i]));
    }
  }

  float scale_, zero_, qmin_, qmax_, origin_;
  kernels::WideSum scale_sum_, offset_sum_;
};

void evaluate(const EvalContext& c) {
  const auto& spec = c.node.attributes<QuantizerSpec>();
  const ChannelLayout layout = channelLayout(c.in(1), c.in(2).size, spec);
  const float* dy = c.in(0).data<float>();
  const float* x = c.in(1).data<float>();
  const int64_t elements = layout.outer * layout.inner;
  const int64_t pieces = piecesOf(layout) / layout.channels;
  auto* sums = reinterpret_cast<Sums*>(c.workspace);
  c.pool.run(layout.channels * pieces, [&](int64_t tile, int) {
    const int64_t channel = tile / pieces;
    Formula formula(spec, c.in(2).data<float>()[channel], c.in(3).data<float>()[channel]);
    const int64_t end = std::min(elements, (tile % pieces + 1) * kGrain);
    for (int64_t i = tile % pieces * kGrain; i < end;) {
      const int64_t in_row = i % layout.inner;
      const int64_t n = std::min(layout.inner - in_row, end - i);
      const int64_t at = (i / layout.inner * layout.channels + channel) * layout.inner + in_row;
      formula.add(x + at, dy + at, n);
      i += n;
    }
    sums[tile] = formula.sums();
  });
  const int64_t samples = spec.is_weight ? 1 : std::max<int64_t>(c.in(1).dim(0), 1);
  for (int64_t channel = 0; channel < layout.channels; ++channel) {
    Sums sum;
    for (int64_t piece = 0; piece < pieces; ++piece) {
      sum.scale += sums[channel * pieces + piece].scale;
      sum.offset += sums[channel * pieces + piece].offset;
    }
    const double codes = static_cast<double>(spec.qmax) - c.in(3).data<float>()[channel];
    const int64_t sharing = spec.hasOneScale() ? c.in(1).size : elements;
    const double shared = static_cast<double>(sharing) / static_cast<double>(samples);
    const double factor = 1 / std::sqrt(std::max(shared * std::max(codes, 1.0), 1.0));
    c.out(0).data<float>()[channel] = static_cast<float>(sum.scale * factor);
    c.out(1).data<float>()[channel] = static_cast<float>(sum.offset * factor);
  }
}

}  // namespace

OpDefinition defineLearnedScaleGradient() {
  OpDefinition op;
  op.name = "LearnedScaleGradient";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 4;
  op.min_outputs = op.max_outputs = 2;
  op.make_attributes = &makeAttributes<QuantizerSpec>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.workspace = workspace;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
