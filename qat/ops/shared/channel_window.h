// Sums over neighbouring channels, for LRN and its gradient.
#pragma once

#include <algorithm>

#include "qat/ops/shared/gather.h"

namespace simaqat::ops {

// A channel's window: so many channels before it and behind it, where there are any.
struct ChannelWindow {
  int64_t before = 0;
  int64_t after = 0;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("before", self.before);
    visit("after", self.after);
  }

  // The sum of term(x) over the window of `channel`; channels lie `stride` apart.
  template <class T, class Term>
  double sum(const T* x, int64_t channel, int64_t channels, int64_t stride, Term term) const {
    double result = 0;
    const int64_t last = std::min(channels - 1, channel + after);
    for (int64_t k = std::max<int64_t>(0, channel - before); k <= last; ++k) {
      result += term(static_cast<double>(x[k * stride]));
    }
    return result;
  }
};

}  // namespace simaqat::ops
