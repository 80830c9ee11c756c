#include "qat/ir/quantizer.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace simaqat {
namespace {

constexpr float kSmallestNormal = std::numeric_limits<float>::min();
// The largest magnitude of an INT32 bias code.
constexpr double kBiasLimit = 1073741824.0;  // 2^30
// What a channel of zero codes lets its bias have: room for the bias in 23 bits.
constexpr double kZeroChannelBiasCodes = 8388608.0;  // 2^23

// Rounded up: 128 of 0 to 255, 0 of -128 to 127 and of -127 to 127.
int32_t middleCode(const QuantizerSpec& spec) {
  const int64_t sum = spec.qmin + spec.qmax;
  return static_cast<int32_t>(sum > 0 ? (sum + 1) / 2 : sum / 2);
}

}  // namespace

ElementType QuantizerSpec::codeType() const {
  if (isSigned()) {
    if (qmin >= -8 && qmax <= 7) return ElementType::kInt4;
    return qmin >= -128 && qmax <= 127 ? ElementType::kInt8 : ElementType::kInt16;
  }
  if (qmax <= 15) return ElementType::kUint4;
  return qmax <= 255 ? ElementType::kUint8 : ElementType::kUint16;
}

std::string QuantizerSpec::toString() const {
  int64_t bits = 1;
  while ((int64_t{1} << bits) <= qmax - qmin) ++bits;
  const bool whole = bits == 4 || bits == 8 || bits == 16;
  return elementTypeName(codeType()) + (whole ? "" : fmt::format(" ({} bits)", bits)) +
         (symmetric && !is_weight ? " symmetric" : "") +
         (hasOneScale() ? " per tensor" : fmt::format(" per channel (axis {})", axis));
}

bool operator==(const QuantizerSpec& a, const QuantizerSpec& b) {
  const auto fields = [](const QuantizerSpec& s) {
    return std::tie(s.qmin, s.qmax, s.axis, s.groups, s.is_weight, s.symmetric, s.observer,
                    s.averaging_constant, s.percentile, s.upper_bound);
  };
  return fields(a) == fields(b);
}

QuantizerSpec activationQuantizer() { return QuantizerSpec{}; }

QuantizerSpec weightQuantizer(int64_t axis) {
  QuantizerSpec spec;
  setWeightBits(spec, 8);
  spec.axis = axis;
  spec.is_weight = true;
  spec.symmetric = true;
  spec.observer = "channel_max";
  return spec;
}

std::vector<int64_t> scaleDims(const QuantizerSpec& spec, Span<const int64_t> dims) {
  if (!spec.perChannel()) return {};
  std::vector<int64_t> result(dims.size(), 1);
  const auto axis = static_cast<size_t>(spec.axis);
  result[axis] = dims[axis];
  if (spec.groups > 1) result[0] = dims[0];
  return result;
}

int64_t channelOfScale(const QuantizerSpec& spec, Span<const int64_t> dims, int64_t i) {
  if (spec.groups == 1) return i;
  const int64_t in_group = dims[1];
  const int64_t group = i / in_group / (dims[0] / spec.groups);
  return group * in_group + i % in_group;
}

int firstOpsetOf(ElementType codes) {
  const bool is_narrow = storageType(codes) != codes;
  const bool is_wide = codes == ElementType::kInt16 || codes == ElementType::kUint16;
  return is_narrow || is_wide ? 21 : 10;
}

void setActivationBits(QuantizerSpec& spec, int64_t bits, bool is_signed) {
  const int64_t half = int64_t{1} << (bits - 1);
  spec.qmin = is_signed ? -half : 0;
  spec.qmax = is_signed ? half - 1 : 2 * half - 1;
}

void setWeightBits(QuantizerSpec& spec, int64_t bits) {
  spec.qmax = (int64_t{1} << (bits - 1)) - 1;
  spec.qmin = -spec.qmax;
}

ScaleAndZeroPoint scaleFromRange(const QuantizerSpec& spec, float lo, float hi) {
  lo = std::min(lo, 0.0f);
  hi = std::max(hi, 0.0f);
  ScaleAndZeroPoint result;
  result.zero_point = spec.symmetric ? middleCode(spec)
                                     : static_cast<int32_t>(spec.isSigned() ? 0 : spec.qmin);
  float scale;
  if (spec.symmetric) {
    scale = std::max(-lo, hi) / static_cast<float>(spec.qmax - result.zero_point);
  } else {
    const float steps = static_cast<float>(spec.qmax - spec.qmin);
    // Halves, since hi - lo itself can overflow.
    scale = std::isinf(hi - lo) ? (hi / steps - lo / steps) : (hi - lo) / steps;
  }
  if (!(scale >= kSmallestNormal)) return result;
  result.scale = scale;
  if (!spec.symmetric) {
    const float zero = std::nearbyint(static_cast<float>(spec.qmin) - lo / scale);
    result.zero_point = static_cast<int32_t>(
        std::clamp(zero, static_cast<float>(spec.qmin), static_cast<float>(spec.qmax)));
  }
  // Zero is on every grid, so that a bound below it binds nothing.
  const auto beyond = [&] {
    return spec.upper_bound > 0 && result.scale > kSmallestNormal &&
           largestValue(spec, result) > spec.upper_bound;
  };
  if (beyond()) {
    const auto codes = static_cast<float>(spec.qmax - result.zero_point);
    result.scale = std::max(std::min(result.scale, spec.upper_bound / codes), kSmallestNormal);
  }
  // The quotient may have been rounded up.
  while (beyond()) result.scale = std::nextafter(result.scale, 0.0f);
  return result;
}

float learnedScaleLimit(const QuantizerSpec& spec) {
  const bool is_bound = spec.upper_bound > 0 && !std::isinf(spec.upper_bound);
  return is_bound ? scaleFromRange(spec, 0, spec.upper_bound).scale
                  : std::numeric_limits<float>::max();
}

float zeroPointOfOffset(const QuantizerSpec& spec, float scale, float offset) {
  const auto qmin = static_cast<float>(spec.qmin);
  return std::clamp(std::nearbyint(qmin - offset / scale), qmin, static_cast<float>(spec.qmax));
}

ScaleAndZeroPoint scaleOfUnit(const QuantizerSpec& spec, float limit) {
  const auto zero_point =
      spec.symmetric ? middleCode(spec) : static_cast<int32_t>(spec.qmin);
  return {limit / static_cast<float>(spec.qmax - zero_point + 1), zero_point};
}

float scaleFromMaxAbs(const QuantizerSpec& spec, float max_abs) {
  const float scale = max_abs / static_cast<float>(spec.qmax - middleCode(spec));
  return scale >= kSmallestNormal ? scale : 1.0f;
}

int32_t quantizeOne(float x, float scale, int32_t zero_point, int64_t qmin, int64_t qmax) {
  const float code = std::nearbyint(x / scale) + static_cast<float>(zero_point);
  return static_cast<int32_t>(
      std::clamp(code, static_cast<float>(qmin), static_cast<float>(qmax)));
}

float largestValue(const QuantizerSpec& spec, const ScaleAndZeroPoint& parameters) {
  return static_cast<float>(spec.qmax - parameters.zero_point) * parameters.scale;
}

QuantizedChannel quantizeChannel(const QuantizerSpec& spec, Span<const float> weights, float scale,
                                 double factor, double bias, float input_scale) {
  QuantizedChannel channel;
  channel.codes.resize(weights.size());
  const double magnitude = std::fabs(factor);
  float folded = static_cast<float>(scale * magnitude);
  bool all_zero = true;
  if (magnitude > 0 && folded >= kSmallestNormal) {
    for (size_t i = 0; i < weights.size(); ++i) {
      const int32_t code = quantizeOne(weights[i], scale, 0, spec.qmin, spec.qmax);
      channel.codes[i] = factor < 0 ? -code : code;
      all_zero = all_zero && code == 0;
    }
  }
  // The scale of the bias must stay a normal float too, and its code within 30 bits.
  const double smallest_scale =
      std::max({static_cast<double>(kSmallestNormal), kSmallestNormal / static_cast<double>(input_scale),
                std::fabs(bias) / (static_cast<double>(input_scale) * kBiasLimit)});
  if (all_zero) {
    std::fill(channel.codes.begin(), channel.codes.end(), 0);
    folded = static_cast<float>(std::fabs(bias) / (input_scale * kZeroChannelBiasCodes));
    if (bias == 0) folded = 1.0f;
  }
  if (folded < smallest_scale) {
    folded = std::nextafter(static_cast<float>(smallest_scale),
                            std::numeric_limits<float>::infinity());
    if (!all_zero) {
      for (size_t i = 0; i < weights.size(); ++i) {
        // What training saw is the code times the old scale, so that is what is quantized again.
        const double trained = static_cast<double>(channel.codes[i]) * scale * magnitude;
        channel.codes[i] =
            quantizeOne(static_cast<float>(trained), folded, 0, spec.qmin, spec.qmax);
      }
    }
  }
  channel.scale = folded;
  const float bias_scale = input_scale * folded;
  channel.bias = static_cast<int32_t>(
      std::clamp(std::nearbyint(bias / bias_scale), -kBiasLimit, kBiasLimit));
  return channel;
}

}  // namespace simaqat
