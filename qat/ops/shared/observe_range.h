// What ObserveRange and its fused form share.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "qat/ir/quantizer.h"

namespace simaqat::ops {

// [lo, hi] becomes the least range that holds [low, high] too; NaN where one is.
inline void widenRange(float low, float high, float& lo, float& hi) {
  const bool bad = std::isnan(low) || std::isnan(lo);
  lo = bad ? std::numeric_limits<float>::quiet_NaN() : std::min(lo, low);
  hi = bad ? std::numeric_limits<float>::quiet_NaN() : std::max(hi, high);
}

// The range after a batch of range [lo, hi]: r += c * (batch - r), or the wider of both for
// "min_max", and the batch's own where nothing was observed yet.
inline void observe(const QuantizerSpec& spec, float lo, float hi, float old_lo, float old_hi,
                    float& new_lo, float& new_hi) {
  const bool first = isUnsetRange(old_lo, old_hi);
  const auto moved = [&](float old, float now, bool is_wider) {
    if (first) return now;
    if (spec.observer == "min_max") return is_wider || std::isnan(now) ? now : old;
    return old + spec.averaging_constant * (now - old);
  };
  new_lo = moved(old_lo, lo, lo < old_lo);
  new_hi = moved(old_hi, hi, hi > old_hi);
}

}  // namespace simaqat::ops
