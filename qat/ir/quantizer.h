// The contract of the numbers: what a quantizer is, and how its scale and zero point follow from a
// range. docs/NUMERICS.md states the same in words; every other place in the code calls these.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "qat/base/element_type.h"
#include "qat/base/span.h"

namespace simaqat {

// How a quantizer comes by its scale. An activation's observer sees what flows through:
//   "moving_average_min_max": r += c * (batch - r); the first batch sets the range
//   "min_max": the least and the greatest value so far
//   "percentile", "mse", "entropy": chosen from a histogram of all values so far (range_search.h)
// a weight's looks at the weight as it is, at each step:
//   "channel_max": scale = max(abs) / qmax
//   "channel_mse": the scale with the least squared error (range_search.h)
//   "folded_max", "folded_mse": of a weight that ships with one scale: that of the weight with the
//     BatchNormalization behind it folded in, a_c W_c, over |a_c| for each channel
//     (qat/ops/internal/FoldedWeightScale.cc)
//   "tensor_range": the tensor's least and greatest value, affine, one scale for all
// and either may learn it, from the gradient of the loss:
//   "lsq": Esser 2020; the zero point is that of a symmetric quantizer
//   "folded_lsq": the same of the scale of a folded weight, over |a_c| for each channel
//   "lsq_plus": Bhalgat 2020; the offset is learned too
//   "fixed": scale and zero point stay as they are
struct QuantizerSpec {
  int64_t qmin = 0;
  int64_t qmax = 255;
  // The output-channel axis for one scale per channel; -1 for one scale per tensor.
  int64_t axis = -1;
  // More than 1 of the weight [Cin, Cout / groups, ...] of a ConvTranspose, with axis 1. Channels
  // of different groups share an index along the axis, so that each [Cin, Cout / groups] has a
  // scale.
  int64_t groups = 1;
  // Of a weight, and not of an activation, whose dimension 0 counts samples.
  bool is_weight = false;
  // The zero point is in the middle of the codes, whatever the range: 0 where they are signed.
  bool symmetric = false;
  std::string observer = "moving_average_min_max";
  float averaging_constant = 0.01f;
  // What share of the values "percentile" keeps within its range, in per cent.
  float percentile = 99.99f;
  // The largest value the quantizer may represent: b behind a Clip to [0, b].
  float upper_bound = std::numeric_limits<float>::infinity();

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    // Always written: the function that files define reads them.
    visit.required("qmin", self.qmin);
    visit.required("qmax", self.qmax);
    visit("axis", self.axis);
    visit("groups", self.groups);
    visit("is_weight", self.is_weight);
    visit("symmetric", self.symmetric);
    visit("observer", self.observer);
    visit("averaging_constant", self.averaging_constant);
    visit("percentile", self.percentile);
    visit("upper_bound", self.upper_bound);
  }
  bool perChannel() const { return axis >= 0; }
  bool isSigned() const { return qmin < 0; }
  // From activations, into variables of its own.
  bool observesRange() const { return observesMinMax() || usesHistogram(); }
  bool observesMinMax() const {
    return observer == "moving_average_min_max" || observer == "min_max";
  }
  bool usesHistogram() const {
    return observer == "percentile" || observer == "mse" || observer == "entropy";
  }
  // From the tensor itself.
  bool followsWeight() const {
    return observer == "channel_max" || observer == "channel_mse" || followsFoldedWeight();
  }
  // And from the BatchNormalization behind it.
  bool followsFoldedWeight() const {
    return observer == "folded_max" || observer == "folded_mse" || learnsFoldedScale();
  }
  // Of what ships.
  bool hasOneScale() const { return !perChannel() || followsFoldedWeight(); }
  bool followsTensor() const { return observer == "tensor_range"; }
  bool learnsScale() const { return observer == "lsq" || learnsFoldedScale() || learnsOffset(); }
  bool learnsFoldedScale() const { return observer == "folded_lsq"; }
  bool learnsOffset() const { return observer == "lsq_plus"; }
  bool isKnown() const {
    return observesRange() || followsWeight() || followsTensor() || learnsScale() ||
           observer == "fixed";
  }
  // The narrowest ONNX type that holds the codes.
  ElementType codeType() const;
  // "uint8 per tensor", "int8 per channel (axis 0)"; "int8 (7 bits) per tensor"
  std::string toString() const;
};

// A learned scale that has not been started yet: calibration sets it.
constexpr float kUnsetScale = 0;

bool operator==(const QuantizerSpec& a, const QuantizerSpec& b);

QuantizerSpec activationQuantizer();
QuantizerSpec weightQuantizer(int64_t axis);

// The dimensions of the scales of a tensor of these dimensions, which broadcast against it: [C, 1,
// 1] for axis 0, [Cin, Cout / groups, 1] with groups, [] for one scale.
std::vector<int64_t> scaleDims(const QuantizerSpec& spec, Span<const int64_t> dims);
// The output channel that the i-th of these scales is about.
int64_t channelOfScale(const QuantizerSpec& spec, Span<const int64_t> dims, int64_t i);

// The opset from which on QuantizeLinear and DequantizeLinear take codes of the type.
int firstOpsetOf(ElementType codes);

// All codes of so many bits: what ONNX's QuantizeLinear saturates to, with 4, 8 and 16.
void setActivationBits(QuantizerSpec& spec, int64_t bits, bool is_signed);
// Without the least, so that the codes are symmetric: -127 to 127.
void setWeightBits(QuantizerSpec& spec, int64_t bits);

struct ScaleAndZeroPoint {
  float scale = 1;
  int32_t zero_point = 0;
};

// A range nothing was observed for is [+inf, -inf].
constexpr float kUnsetMin = std::numeric_limits<float>::infinity();
constexpr float kUnsetMax = -std::numeric_limits<float>::infinity();
inline bool isUnsetRange(float lo, float hi) { return !(lo <= hi); }

// Affine: lo = min(lo, 0), hi = max(hi, 0), s = (hi - lo) / (qmax - qmin),
// z = clamp(roundHalfToEven(qmin - lo / s), qmin, qmax). Symmetric: z in the middle of the codes and
// s = max(-lo, hi) / (qmax - z). No scale is below the smallest normal float: a range too small for
// one gets scale 1 and zero point qmin (0 where codes are signed, the middle where symmetric).
ScaleAndZeroPoint scaleFromRange(const QuantizerSpec& spec, float lo, float hi);

// What a learned scale may be at most, so that no code stands for more than upper_bound.
float learnedScaleLimit(const QuantizerSpec& spec);

// Of a learned offset, the value of code qmin: clamp(roundHalfToEven(qmin - offset / s), qmin, qmax).
// A whole number, as what ships has it; LSQ+ itself leaves it fractional.
float zeroPointOfOffset(const QuantizerSpec& spec, float scale, float offset);

// For values known to lie in [0, limit]: an affine quantizer's s = limit / (qmax - qmin + 1) and
// z = qmin, so that Sigmoid's is 1/256; a symmetric one's s = limit / (qmax - z + 1).
ScaleAndZeroPoint scaleOfUnit(const QuantizerSpec& spec, float limit);

// Symmetric: s = max_abs / (qmax - z); scale 1 where that is below the smallest normal.
float scaleFromMaxAbs(const QuantizerSpec& spec, float max_abs);

// clamp(roundHalfToEven(x / s) + z, qmin, qmax), the definition of a code.
int32_t quantizeOne(float x, float scale, int32_t zero_point, int64_t qmin, int64_t qmax);

// The largest value a quantizer with these parameters represents, in float32.
float largestValue(const QuantizerSpec& spec, const ScaleAndZeroPoint& parameters);

// A channel of codes with its scale, and the INT32 bias behind it.
struct QuantizedChannel {
  std::vector<int32_t> codes;
  float scale = 1;
  int32_t bias = 0;
};

// The codes of one output channel of weights whose quantizer has scale `scale`, multiplied by
// `factor` (BatchNorm's gamma / sigma; negative flips the codes' signs), with a bias that fits 30
// bits at scale input_scale * result.scale. Raises the scale and quantizes again where the bias
// would not fit; a channel of zero codes takes the scale its bias asks for.
QuantizedChannel quantizeChannel(const QuantizerSpec& spec, Span<const float> weights, float scale,
                                 double factor, double bias, float input_scale);

}  // namespace simaqat
