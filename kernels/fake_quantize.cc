#include "kernels/fake_quantize.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "kernels/isa.h"
#include "kernels/quantizer_formula.h"

namespace simaqat::kernels {
namespace {

// Elements of a tile: enough to outweigh what handing it out costs.
constexpr int64_t kGrain = 1 << 15;

// Calls body(begin, end, c) for runs of elements [begin, end) of one channel, and row(begin, end,
// c) instead for runs over neighbouring channels from c where inner is 1.
template <class Run, class Row>
void forEachChannelRun(int64_t outer, int64_t channels, int64_t inner, ThreadPool& pool, Run&& run,
                       Row&& row) {
  if (channels == 0 || inner == 0) return;
  pool.runRanges(outer * channels * inner, kGrain, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t c = begin / inner % channels;
      const int64_t run_end = inner == 1 ? begin - c + channels : (begin / inner + 1) * inner;
      const int64_t stop = std::min(end, run_end);
      if (inner == 1) {
        row(begin, stop, c);
      } else {
        run(begin, stop, c);
      }
      begin = stop;
    }
  });
}

float zeroPointOf(const float* zero_point, int64_t c) {
  return zero_point == nullptr ? 0.0f : zero_point[c];
}

// The code kernels that stand in the table, and a loop for the other types.
template <class Code>
void quantizeRun(const float* x, int64_t n, float scale, float zero_point, float qmin, float qmax,
                 Code* codes) {
  if constexpr (std::is_same_v<Code, uint8_t>) {
    kernels().quantizeUint8(x, n, scale, zero_point, qmin, qmax, codes);
  } else if constexpr (std::is_same_v<Code, int8_t>) {
    kernels().quantizeInt8(x, n, scale, zero_point, qmin, qmax, codes);
  } else {
    for (int64_t i = 0; i < n; ++i) {
      codes[i] =
          static_cast<Code>(static_cast<int32_t>(integerCode(x[i], scale, zero_point, qmin, qmax)));
    }
  }
}

template <class Code>
void dequantizeRun(const Code* codes, int64_t n, float scale, float zero_point, float* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = (static_cast<float>(codes[i]) - zero_point) * scale;
}

float nanOr(bool bad, float v) { return bad ? std::numeric_limits<float>::quiet_NaN() : v; }

}  // namespace

void fakeQuantize(const float* x, int64_t n, float scale, float zero_point, float qmin, float qmax,
                  float* y, ThreadPool& pool) {
  pool.runRanges(n, kGrain, [&](int64_t begin, int64_t end) {
    kernels().fakeQuantize(x + begin, end - begin, scale, zero_point, qmin, qmax, y + begin);
  });
}

void fakeQuantizePerChannel(const float* x, int64_t outer, int64_t channels, int64_t inner,
                            const float* scale, const float* zero_point, float qmin, float qmax,
                            float* y, ThreadPool& pool) {
  forEachChannelRun(
      outer, channels, inner, pool,
      [&](int64_t begin, int64_t end, int64_t c) {
        kernels().fakeQuantize(x + begin, end - begin, scale[c], zeroPointOf(zero_point, c), qmin,
                               qmax, y + begin);
      },
      [&](int64_t begin, int64_t end, int64_t c) {
        for (int64_t i = begin; i < end; ++i, ++c) {
          y[i] = fakeQuantized(x[i], scale[c], zeroPointOf(zero_point, c), qmin, qmax);
        }
      });
}

void fakeQuantizeGrad(const float* x, const float* dy, int64_t n, float scale, float zero_point,
                      float qmin, float qmax, float* dx, ThreadPool& pool) {
  pool.runRanges(n, kGrain, [&](int64_t begin, int64_t end) {
    kernels().fakeQuantizeGrad(x + begin, dy + begin, end - begin, scale, zero_point, qmin, qmax,
                               dx + begin);
  });
}

void fakeQuantizeGradPerChannel(const float* x, const float* dy, int64_t outer, int64_t channels,
                                int64_t inner, const float* scale, const float* zero_point,
                                float qmin, float qmax, float* dx, ThreadPool& pool) {
  forEachChannelRun(
      outer, channels, inner, pool,
      [&](int64_t begin, int64_t end, int64_t c) {
        kernels().fakeQuantizeGrad(x + begin, dy + begin, end - begin, scale[c],
                                   zeroPointOf(zero_point, c), qmin, qmax, dx + begin);
      },
      [&](int64_t begin, int64_t end, int64_t c) {
        for (int64_t i = begin; i < end; ++i, ++c) {
          dx[i] = fakeQuantizedGrad(x[i], dy[i], scale[c], zeroPointOf(zero_point, c), qmin, qmax);
        }
      });
}

template <class Code>
void quantize(const float* x, int64_t n, float scale, float zero_point, float qmin, float qmax,
              Code* codes, ThreadPool& pool) {
  pool.runRanges(n, kGrain, [&](int64_t begin, int64_t end) {
    quantizeRun(x + begin, end - begin, scale, zero_point, qmin, qmax, codes + begin);
  });
}

template <class Code>
void quantizePerChannel(const float* x, int64_t outer, int64_t channels, int64_t inner,
                        const float* scale, const float* zero_point, float qmin, float qmax,
                        Code* codes, ThreadPool& pool) {
  forEachChannelRun(
      outer, channels, inner, pool,
      [&](int64_t begin, int64_t end, int64_t c) {
        quantizeRun(x + begin, end - begin, scale[c], zeroPointOf(zero_point, c), qmin, qmax,
                    codes + begin);
      },
      [&](int64_t begin, int64_t end, int64_t c) {
        for (int64_t i = begin; i < end; ++i, ++c) {
          codes[i] = static_cast<Code>(static_cast<int32_t>(
              integerCode(x[i], scale[c], zeroPointOf(zero_point, c), qmin, qmax)));
        }
      });
}

template <class Code>
void dequantize(const Code* codes, int64_t n, float scale, float zero_point, float* y,
                ThreadPool& pool) {
  pool.runRanges(n, kGrain, [&](int64_t begin, int64_t end) {
    dequantizeRun(codes + begin, end - begin, scale, zero_point, y + begin);
  });
}

template <class Code>
void dequantizePerChannel(const Code* codes, int64_t outer, int64_t channels, int64_t inner,
                          const float* scale, const float* zero_point, float* y, ThreadPool& pool) {
  forEachChannelRun(
      outer, channels, inner, pool,
      [&](int64_t begin, int64_t end, int64_t c) {
        dequantizeRun(codes + begin, end - begin, scale[c], zeroPointOf(zero_point, c), y + begin);
      },
      [&](int64_t begin, int64_t end, int64_t c) {
        for (int64_t i = begin; i < end; ++i, ++c) {
          y[i] = (static_cast<float>(codes[i]) - zeroPointOf(zero_point, c)) * scale[c];
        }
      });
}

#define SIMAQAT_INSTANTIATE_QUANTIZE(Code)                                                      \
  template void quantize<Code>(const float*, int64_t, float, float, float, float, Code*,        \
                               ThreadPool&);                                                    \
  template void quantizePerChannel<Code>(const float*, int64_t, int64_t, int64_t, const float*, \
                                         const float*, float, float, Code*, ThreadPool&);
#define SIMAQAT_INSTANTIATE_DEQUANTIZE(Code)                                                     \
  template void dequantize<Code>(const Code*, int64_t, float, float, float*, ThreadPool&);       \
  template void dequantizePerChannel<Code>(const Code*, int64_t, int64_t, int64_t, const float*, \
                                           const float*, float*, ThreadPool&);
SIMAQAT_INSTANTIATE_QUANTIZE(uint8_t)
SIMAQAT_INSTANTIATE_QUANTIZE(int8_t)
SIMAQAT_INSTANTIATE_QUANTIZE(uint16_t)
SIMAQAT_INSTANTIATE_QUANTIZE(int16_t)
SIMAQAT_INSTANTIATE_DEQUANTIZE(uint8_t)
SIMAQAT_INSTANTIATE_DEQUANTIZE(int8_t)
SIMAQAT_INSTANTIATE_DEQUANTIZE(uint16_t)
SIMAQAT_INSTANTIATE_DEQUANTIZE(int16_t)
SIMAQAT_INSTANTIATE_DEQUANTIZE(int32_t)
#undef SIMAQAT_INSTANTIATE_QUANTIZE
#undef SIMAQAT_INSTANTIATE_DEQUANTIZE

void minMax(const float* x, int64_t n, float* lo, float* hi, ThreadPool& pool) {
  // Minima may be taken in any order, so few tiles, whose results fit on the stack, will do.
  constexpr int64_t kTiles = 64;
  float low[kTiles], high[kTiles];
  const int64_t tiles = std::clamp<int64_t>(n / kGrain, 1, kTiles);
  pool.run(tiles, [&](int64_t tile, int) {
    const int64_t begin = n * tile / tiles;
    const int64_t end = n * (tile + 1) / tiles;
    kernels().minMax(x + begin, end - begin, &low[tile], &high[tile]);
  });
  *lo = low[0];
  *hi = high[0];
  for (int64_t tile = 1; tile < tiles; ++tile) {
    const bool bad = std::isnan(*lo) || std::isnan(low[tile]);
    *lo = nanOr(bad, std::min(*lo, low[tile]));
    *hi = nanOr(bad, std::max(*hi, high[tile]));
  }
}

void channelAbsMax(const float* x, int64_t outer, int64_t channels, int64_t inner, float* absmax,
                   ThreadPool& pool) {
  const int64_t per_channel = std::max<int64_t>(outer * inner, 1);
  pool.runRanges(channels, (kGrain + per_channel - 1) / per_channel,
                 [&](int64_t begin, int64_t end) {
                   std::fill(absmax + begin, absmax + end, 0.0f);
                   for (int64_t o = 0; o < outer; ++o) {
                     if (inner == 1) {
                       for (int64_t c = begin; c < end; ++c) {
                         const float v = std::fabs(x[o * channels + c]);
                         // False where v is NaN, which then comes in, and where the maximum is,
                         // which then stays.
                         absmax[c] = (v <= absmax[c]) | (absmax[c] != absmax[c]) ? absmax[c] : v;
                       }
                       continue;
                     }
                     for (int64_t c = begin; c < end; ++c) {
                       float lo, hi;
                       kernels().minMax(x + (o * channels + c) * inner, inner, &lo, &hi);
                       const bool bad = std::isnan(lo) || std::isnan(absmax[c]);
                       if (inner > 0) {
                         absmax[c] = nanOr(bad, std::max({absmax[c], -lo, hi}));
                       }
                     }
                   }
                 });
}

}  // namespace simaqat::kernels
