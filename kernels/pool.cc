#include "kernels/pool.h"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "kernels/wide_sum.h"

// Windows are worked on a stretch of an output row at a time: for each tap, one vector loop over
// the stretch's windows, whose running results stay on the stack.

namespace simaqat::kernels {
namespace {

// Windows of a stretch.
constexpr int64_t kWindows = 128;
// Elements that outweigh what handing out a tile costs.
constexpr int64_t kGrain = 1 << 14;

int64_t sizeOf(const std::array<int64_t, 3>& a) { return a[0] * a[1] * a[2]; }

// Windows w of a row, [begin, end), whose tap at `offset` (w * stride + offset) is in [0, size).
struct Range {
  int64_t begin, end;
};
Range windowsInside(int64_t offset, int64_t stride, int64_t size, int64_t begin, int64_t end) {
  const int64_t first = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const int64_t last = offset >= size ? 0 : (size - 1 - offset) / stride + 1;
  const int64_t low = std::clamp(first, begin, end);
  return {low, std::clamp(last, low, end)};
}

struct Stretch {
  int64_t d, h;        // the output row
  int64_t begin, end;  // windows in it
  int64_t output;      // index of window `begin` in the output plane
};

template <class Body>
void forEachStretch(const PoolShape& s, Body&& body) {
  for (int64_t d = 0; d < s.out[0]; ++d) {
    for (int64_t h = 0; h < s.out[1]; ++h) {
      for (int64_t w = 0; w < s.out[2]; w += kWindows) {
        body(Stretch{d, h, w, std::min(s.out[2], w + kWindows), (d * s.out[1] + h) * s.out[2] + w});
      }
    }
  }
}

// Calls body(range, index) for each tap, in scan order, with the windows that it exists in;
// window w's tap is at `index + w * stride[2]` of the input plane.
template <class Body>
void forEachTap(const PoolShape& s, const Stretch& stretch, Body&& body) {
  for (int64_t i = 0; i < s.kernel[0]; ++i) {
    const int64_t d = stretch.d * s.stride[0] - s.pad_begin[0] + i * s.dilation[0];
    if (d < 0 || d >= s.in[0]) continue;
    for (int64_t j = 0; j < s.kernel[1]; ++j) {
      const int64_t h = stretch.h * s.stride[1] - s.pad_begin[1] + j * s.dilation[1];
      if (h < 0 || h >= s.in[1]) continue;
      for (int64_t k = 0; k < s.kernel[2]; ++k) {
        const int64_t offset = k * s.dilation[2] - s.pad_begin[2];
        body(windowsInside(offset, s.stride[2], s.in[2], stretch.begin, stretch.end),
             (d * s.in[1] + h) * s.in[2] + offset);
      }
    }
  }
}

// Later NaNs take the place of earlier ones, as in PyTorch.
bool isBetter(float v, float best) { return (v > best) | (v != v); }
bool isBetter(uint8_t v, uint8_t best) { return v > best; }

// What nothing is less than.
template <class T>
constexpr T leastValue() {
  using Limits = std::numeric_limits<T>;
  return Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
}

// Calls body(stride), with the strides that have vector instructions as constants.
template <class Body>
void withStride(int64_t stride, Body&& body) {
  if (stride == 1) {
    body(std::integral_constant<int64_t, 1>());
  } else if (stride == 2) {
    body(std::integral_constant<int64_t, 2>());
  } else {
    body(stride);
  }
}

template <class T>
void maxRun(const T* x, int64_t stride, int64_t count, T* best) {
  withStride(stride, [&](auto step) {
    for (int64_t i = 0; i < count; ++i) {
      const T v = x[i * step];
      best[i] = isBetter(v, best[i]) ? v : best[i];
    }
  });
}

// The first maximum of each window of a stretch, found tap by tap.
template <class T>
class FirstMaxima {
 public:
  explicit FirstMaxima(int64_t count) {
    std::fill_n(best_, count, leastValue<T>());
    std::fill_n(index_, count, kNone);
  }
  // The windows [begin, end), whose values are at x; `index` is window 0's in the plane.
  void add(const T* x, int64_t stride, int64_t begin, int64_t end, int32_t index) {
    // Where all is the least value, the first tap is the maximum.
    for (int64_t w = begin; w < end; ++w) index_[w] = index_[w] == kNone ? index : index_[w];
    for (int64_t w = begin; w < end; ++w) {
      const T v = x[(w - begin) * stride];
      const bool better = isBetter(v, best_[w]);
      best_[w] = better ? v : best_[w];
      index_[w] = better ? index : index_[w];
    }
  }
  bool has(int64_t w) const { return index_[w] != kNone; }
  int64_t index(int64_t w) const { return index_[w]; }

 private:
  static constexpr int32_t kNone = std::numeric_limits<int32_t>::min();
  T best_[kWindows];
  int32_t index_[kWindows];
};

// Of codes, where windows are not too large: with the number of the tap, counted down, behind the
// code, the greatest number is that of the first maximum.
class FirstMaximaOfCodes {
 public:
  static constexpr int64_t kMostTaps = 254;

  explicit FirstMaximaOfCodes(int64_t count) { std::fill_n(best_, count, uint16_t{0}); }
  void add(const uint8_t* x, int64_t stride, int64_t begin, int64_t end, int32_t index) {
    index_[++taps_] = index;
    const auto behind = static_cast<uint16_t>(kMostTaps + 1 - taps_);
    uint16_t* best = best_ + begin;
    withStride(stride, [&](auto step) {
      for (int64_t i = 0; i < end - begin; ++i) {
        const auto v = static_cast<uint16_t>(x[i * step] << 8 | behind);
        best[i] = v > best[i] ? v : best[i];
      }
    });
  }
  bool has(int64_t w) const { return best_[w] != 0; }
  int64_t index(int64_t w) const { return index_[kMostTaps + 1 - (best_[w] & 0xff)]; }

 private:
  int64_t taps_ = 0;
  uint16_t best_[kWindows];
  int32_t index_[kMostTaps + 1];  // [tap, from 1 on]
};

// Calls body(x's offset, y's offset) for every plane.
template <class Body>
void forEachPlane(const PoolShape& shape, ThreadPool& pool, Body&& body) {
  const int64_t in = sizeOf(shape.in), out = sizeOf(shape.out);
  const int64_t work = in + out * sizeOf(shape.kernel) + 1;
  pool.runRanges(shape.planes, (kGrain + work - 1) / work, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) body(p * in, p * out);
  });
}

// How many of a window's taps count, on one axis.
int64_t tapsCounted(const PoolShape& s, size_t axis, int64_t window, bool include_pad) {
  const int64_t start = window * s.stride[axis] - s.pad_begin[axis];
  const int64_t limit = s.in[axis] + (include_pad ? s.pad_end[axis] : 0);
  int64_t taps = 0;
  for (int64_t t = 0; t < s.kernel[axis]; ++t) {
    const int64_t at = start + t * s.dilation[axis];
    taps += (include_pad || at >= 0) && at < limit;
  }
  return taps;
}

// The sizes of a stretch's windows.
void windowSizes(const PoolShape& s, const Stretch& stretch, bool include_pad, float* size) {
  const int64_t rows =
      tapsCounted(s, 0, stretch.d, include_pad) * tapsCounted(s, 1, stretch.h, include_pad);
  for (int64_t w = stretch.begin; w < stretch.end; ++w) {
    // A window that holds nothing has the mean 0.
    size[w - stretch.begin] =
        static_cast<float>(std::max<int64_t>(1, rows * tapsCounted(s, 2, w, include_pad)));
  }
}

}  // namespace

template <class T>
void maxPool(const PoolShape& shape, const T* x, T* y, ThreadPool& pool) {
  const int64_t stride = shape.stride[2];
  forEachPlane(shape, pool, [&](int64_t in, int64_t out) {
    forEachStretch(shape, [&](const Stretch& stretch) {
      T* best = y + out + stretch.output;
      std::fill_n(best, stretch.end - stretch.begin, leastValue<T>());
      forEachTap(shape, stretch, [&](const Range& range, int64_t index) {
        maxRun(x + in + index + range.begin * stride, stride, range.end - range.begin,
               best + range.begin - stretch.begin);
      });
    });
  });
}

template void maxPool(const PoolShape&, const float*, float*, ThreadPool&);
template void maxPool(const PoolShape&, const uint8_t*, uint8_t*, ThreadPool&);

namespace {

// Maxima finds each stretch's.
template <class Maxima, class T>
void maxPoolGradOf(const PoolShape& shape, const T* x, const float* dy, float* dx,
                   ThreadPool& pool) {
  const int64_t stride = shape.stride[2];
  forEachPlane(shape, pool, [&](int64_t in, int64_t out) {
    std::fill_n(dx + in, sizeOf(shape.in), 0.0f);
    forEachStretch(shape, [&](const Stretch& stretch) {
      const int64_t count = stretch.end - stretch.begin;
      Maxima maxima(count);
      forEachTap(shape, stretch, [&](const Range& range, int64_t index) {
        maxima.add(x + in + index + range.begin * stride, stride, range.begin - stretch.begin,
                   range.end - stretch.begin, static_cast<int32_t>(index));
      });
      for (int64_t w = 0; w < count; ++w) {
        if (!maxima.has(w)) continue;
        dx[in + maxima.index(w) + (stretch.begin + w) * stride] += dy[out + stretch.output + w];
      }
    });
  });
}

}  // namespace

template <class T>
void maxPoolGrad(const PoolShape& shape, const T* x, const float* dy, float* dx, ThreadPool& pool) {
  if constexpr (std::is_same_v<T, uint8_t>) {
    if (sizeOf(shape.kernel) <= FirstMaximaOfCodes::kMostTaps) {
      return maxPoolGradOf<FirstMaximaOfCodes>(shape, x, dy, dx, pool);
    }
  }
  maxPoolGradOf<FirstMaxima<T>>(shape, x, dy, dx, pool);
}
template void maxPoolGrad(const PoolShape&, const float*, const float*, float*, ThreadPool&);
template void maxPoolGrad(const PoolShape&, const uint8_t*, const float*, float*, ThreadPool&);

void averagePool(const PoolShape& shape, bool count_include_pad, const float* x, float* y,
                 ThreadPool& pool) {
  const int64_t stride = shape.stride[2];
  forEachPlane(shape, pool, [&](int64_t in, int64_t out) {
    forEachStretch(shape, [&](const Stretch& stretch) {
      const int64_t count = stretch.end - stretch.begin;
      float* sum = y + out + stretch.output;
      std::fill_n(sum, count, 0.0f);
      forEachTap(shape, stretch, [&](const Range& range, int64_t index) {
        for (int64_t w = range.begin; w < range.end; ++w) {
          sum[w - stretch.begin] += x[in + index + w * stride];
        }
      });
      float size[kWindows];
      windowSizes(shape, stretch, count_include_pad, size);
      for (int64_t w = 0; w < count; ++w) sum[w] /= size[w];
    });
  });
}

void averagePoolGrad(const PoolShape& shape, bool count_include_pad, const float* dy, float* dx,
                     ThreadPool& pool) {
  const int64_t stride = shape.stride[2];
  forEachPlane(shape, pool, [&](int64_t in, int64_t out) {
    std::fill_n(dx + in, sizeOf(shape.in), 0.0f);
    forEachStretch(shape, [&](const Stretch& stretch) {
      float share[kWindows];
      windowSizes(shape, stretch, count_include_pad, share);
      const int64_t count = stretch.end - stretch.begin;
      for (int64_t w = 0; w < count; ++w) share[w] = dy[out + stretch.output + w] / share[w];
      forEachTap(shape, stretch, [&](const Range& range, int64_t index) {
        for (int64_t w = range.begin; w < range.end; ++w) {
          dx[in + index + w * stride] += share[w - stretch.begin];
        }
      });
    });
  });
}

void globalAveragePool(const float* x, int64_t planes, int64_t size, float* y, ThreadPool& pool) {
  pool.runRanges(planes, kGrain / (size + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const float* plane = x + p * size;
      WideSum sum;
      int64_t i = 0;
      for (; i + 8 <= size; i += 8) sum.add(loadDouble4(plane + i), loadDouble4(plane + i + 4));
      for (; i < size; ++i) sum.add(static_cast<double>(plane[i]));
      y[p] = static_cast<float>(sum.total() / static_cast<double>(size));
    }
  });
}

void globalAveragePoolGrad(const float* dy, int64_t planes, int64_t size, float* dx,
                           ThreadPool& pool) {
  pool.runRanges(planes, kGrain / (size + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      std::fill_n(dx + p * size, size, dy[p] / static_cast<float>(size));
    }
  });
}

}  // namespace simaqat::kernels
