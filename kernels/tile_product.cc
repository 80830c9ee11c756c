#include "kernels/tile_product.h"

#include <algorithm>

#include "kernels/packet.h"

// Arrays of sums are registers only where every index to them is a constant.
#define SIMAQAT_UNROLL _Pragma("GCC unroll 16")

namespace simaqat::kernels {
namespace {

template <class T>
Lanes<T> loadTarget(const float* p, int64_t step, int64_t width) {
  T lanes[kLanes] = {};
  if (step == 1 && width == kLanes) {
    SIMAQAT_UNROLL
    for (int i = 0; i < kLanes; ++i) lanes[i] = p[i];
  } else {
    for (int64_t i = 0; i < width; ++i) lanes[i] = p[i * step];
  }
  return Lanes<T>::load(lanes);
}

template <class T>
void storeTarget(float* p, int64_t step, int64_t width, const Lanes<T>& v) {
  T lanes[kLanes];
  v.store(lanes);
  if (step == 1 && width == kLanes) {
    SIMAQAT_UNROLL
    for (int i = 0; i < kLanes; ++i) p[i] = static_cast<float>(lanes[i]);
  } else if (width == kLanes) {
    SIMAQAT_UNROLL
    for (int i = 0; i < kLanes; ++i) p[i * step] = static_cast<float>(lanes[i]);
  } else {
    for (int64_t i = 0; i < width; ++i) p[i * step] = static_cast<float>(lanes[i]);
  }
}

// The block of channels from c0, and up to kVectors vectors from v0, whose kVectors x kChannels
// sums stay in registers. Where there are fewer vectors, the last one is computed again and not
// stored.
template <int kVectors, int kChannels, class T>
inline void multiplyBlock(const TileProduct<T>& t, int64_t c0, int64_t v0) {
  const int channels = static_cast<int>(std::min<int64_t>(kChannels, t.channels - c0));
  const int vectors = static_cast<int>(std::min<int64_t>(kVectors, t.vector_count - v0));
  const T* base[kVectors];
  for (int v = 0; v < kVectors; ++v) {
    base[v] = t.source + t.vectors[v0 + std::min(v, vectors - 1)].source;
  }
  Lanes<T> sum[kChannels][kVectors];
  for (int c = 0; c < kChannels; ++c) {
    const T start = t.bias == nullptr || c >= channels ? 0.0f : t.bias[c0 + c];
    for (int v = 0; v < kVectors; ++v) sum[c][v] = Lanes<T>::broadcast(start);
  }
  if (t.beta != 0) {
    SIMAQAT_UNROLL
    for (int c = 0; c < kChannels; ++c) {
      SIMAQAT_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        if (c >= channels || v >= vectors) continue;
        const PositionVector& vector = t.vectors[v0 + v];
        const float* p = t.target + (c0 + c) * t.channel_stride + vector.target;
        sum[c][v] = Lanes<T>::broadcast(0);
        sum[c][v].multiplyAdd(Lanes<T>::broadcast(t.beta),
                              loadTarget<T>(p, t.target_step, vector.width));
      }
    }
  }

  const T* w = t.weights + c0 / kChannels * t.weight_block_stride;
  for (int64_t k = 0; k < t.taps; ++k, w += kChannels) {
    const int64_t offset = t.tap_offset[k];
    Lanes<T> x[kVectors];
    for (int v = 0; v < kVectors; ++v) x[v] = Lanes<T>::load(base[v] + offset);
    for (int c = 0; c < kChannels; ++c) {
      const Lanes<T> weight = Lanes<T>::broadcast(w[c]);
      for (int v = 0; v < kVectors; ++v) sum[c][v].multiplyAdd(x[v], weight);
    }
  }

  SIMAQAT_UNROLL
  for (int c = 0; c < kChannels; ++c) {
    SIMAQAT_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      if (c >= channels || v >= vectors) continue;
      const PositionVector& vector = t.vectors[v0 + v];
      float* p = t.target + (c0 + c) * t.channel_stride + vector.target;
      storeTarget(p, t.target_step, vector.width, sum[c][v]);
    }
  }
}

template <int kChannels, int kTaps>
void correlate(const TileCorrelation& t) {
  for (int64_t k0 = 0; k0 < t.taps; k0 += kTaps) {
    const int taps = static_cast<int>(std::min<int64_t>(kTaps, t.taps - k0));
    const float* tap[kTaps];
    for (int k = 0; k < kTaps; ++k) tap[k] = t.source + t.tap_offset[k0 + std::min(k, taps - 1)];
    for (int64_t c0 = 0; c0 < t.channels; c0 += kChannels) {
      const float* gradient = t.gradient + c0 * t.gradient_stride;
      Packet sum[kChannels][kTaps];
      for (int c = 0; c < kChannels; ++c) {
        for (int k = 0; k < kTaps; ++k) sum[c][k] = broadcast(0.0f);
      }
      for (int64_t v = 0; v < t.vector_count; ++v) {
        const int64_t position = t.vectors[v].source;
        Packet x[kTaps];
        for (int k = 0; k < kTaps; ++k) x[k] = load(tap[k] + position);
        for (int c = 0; c < kChannels; ++c) {
          const Packet g = load(gradient + c * t.gradient_stride + v * kLanes);
          for (int k = 0; k < kTaps; ++k) sum[c][k] = multiplyAdd(x[k], g, sum[c][k]);
        }
      }
      const int channels = static_cast<int>(std::min<int64_t>(kChannels, t.channels - c0));
      SIMAQAT_UNROLL
      for (int c = 0; c < kChannels; ++c) {
        SIMAQAT_UNROLL
        for (int k = 0; k < kTaps; ++k) {
          if (c >= channels || k >= taps) continue;
          float& result = t.result[(c0 + c) * t.result_stride + k0 + k];
          const float value = sumOfLanes(sum[c][k]);
          result = t.accumulate ? result + value : value;
        }
      }
    }
  }
}

}  // namespace

// For float, 12 sums and their operands fill the 16 registers of AVX2; 8 are enough to hide their
// latency. A single channel shares no loads, and wants many vectors for the latency alone. A vector
// of doubles is two registers.
template <class T>
void multiplyTile(const TileProduct<T>& t) {
  constexpr bool kNarrow = sizeof(T) == sizeof(float);
  constexpr int kMost = kNarrow ? 3 : 1;
  constexpr int kFew = kNarrow ? 2 : 1;
  for (int64_t c = 0; c < t.channels; c += t.channel_block) {
    for (int64_t v = 0; v < t.vector_count;) {
      const int64_t left = t.vector_count - v;
      if (t.channel_block == 1) {
        if (left > 4 && kNarrow) {
          multiplyBlock<8, 1>(t, c, v);
          v += 8;
        } else {
          multiplyBlock<4, 1>(t, c, v);
          v += 4;
        }
      } else if (left == 3 || left > 4) {
        multiplyBlock<kMost, kChannelBlock>(t, c, v);
        v += kMost;
      } else {
        multiplyBlock<kFew, kChannelBlock>(t, c, v);
        v += kFew;
      }
    }
  }
}
template void multiplyTile(const TileProduct<float>&);
template void multiplyTile(const TileProduct<double>&);

template <class T>
void multiplyTileBlocked(TileProduct<T> product) {
  const int64_t all = product.taps;
  int64_t begin = 0;
  do {
    product.taps = std::min(kTapBlock, all - begin);
    multiplyTile(product);
    product.tap_offset += kTapBlock;
    product.weights += kTapBlock * product.channel_block;
    product.beta = 1;
    begin += kTapBlock;
  } while (begin < all);
}
template void multiplyTileBlocked(TileProduct<float>);
template void multiplyTileBlocked(TileProduct<double>);

void correlateTile(const TileCorrelation& correlation) {
  if (correlation.channels == 1) {
    correlate<1, 5>(correlation);
  } else {
    correlate<kChannelBlock, 3>(correlation);
  }
}

}  // namespace simaqat::kernels
