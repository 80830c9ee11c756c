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

// How a quantizer comes by its range.
//   "moving_average_min_max": r += c * (batch - r); the first batch sets the range
//   "channel_max": of the tensor itself, each time: scale = max(abs) / qmax
//   "fixed": scale and zero point stay as they are
struct QuantizerSpec {
  int64_t qmin = 0;
  int64_t qmax = 255;
  // The output-channel axis for one scale per channel; -1 for one scale per tensor.
  int64_t axis = -1;
  std::string observer = "moving_average_min_max";
  float averaging_constant = 0.01f;
  // The largest value the quantizer may represent: b behind a Clip to [0, b].
  float upper_bound = std::numeric_limits<float>::infinity();

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    // Always written: the function that files define reads them.
    visit.required("qmin", self.qmin);
    visit.required("qmax", self.qmax);
    visit("axis", self.axis);
    visit("observer", self.observer);
    visit("averaging_constant", self.averaging_constant);
    visit("upper_bound", self.upper_bound);
  }
  bool perChannel() const { return axis >= 0; }
  bool isSigned() const { return qmin < 0; }
  bool observesRange() const { return observer == "moving_average_min_max"; }
  // The narrowest ONNX type that holds the codes.
  ElementType codeType() const;
  // "uint8 per tensor", "int8 per channel (axis 0)"
  std::string toString() const;
};

QuantizerSpec activationQuantizer();
QuantizerSpec weightQuantizer(int64_t axis);

struct ScaleAndZeroPoint {
  float scale = 1;
  int32_t zero_point = 0;
};

// A range nothing was observed for is [+inf, -inf].
constexpr float kUnsetMin = std::numeric_limits<float>::infinity();
constexpr float kUnsetMax = -std::numeric_limits<float>::infinity();
inline bool isUnsetRange(float lo, float hi) { return !(lo <= hi); }

// Affine: lo = min(lo, 0), hi = max(hi, 0), s = (hi - lo) / (qmax - qmin),
// z = clamp(roundHalfToEven(qmin - lo / s), qmin, qmax). No scale is below the smallest normal
// float: a range too small for one gets scale 1 and zero point qmin (0 where codes are signed).
ScaleAndZeroPoint scaleFromRange(const QuantizerSpec& spec, float lo, float hi);

// Symmetric: s = max_abs / qmax, z = 0; scale 1 where max_abs / qmax is below the smallest normal.
float scaleFromMaxAbs(const QuantizerSpec& spec, float max_abs);

// clamp(roundHalfToEven(x / s) + z, qmin, qmax), the definition of a code.
int32_t quantizeOne(float x, float scale, int32_t zero_point, int64_t qmin, int64_t qmax);

// The largest value a quantizer with these parameters represents, in float32.
float largestValue(const QuantizerSpec& spec, const ScaleAndZeroPoint& parameters);

// A channel of codes with its scale, and the INT32 bias behind it.
struct QuantizedChannel {
  std::vector<int8_t> codes;
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
