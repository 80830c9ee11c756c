#include "kernels/conv.h"

#include <algorithm>
#include <numeric>

#include "kernels/depthwise_conv.h"
#include "kernels/float_rows.h"
#include "kernels/input_grad_sums.h"
#include "kernels/pair_rows.h"
#include "kernels/panel_planes.h"
#include "kernels/panel_product.h"
#include "kernels/plane_input_grad.h"
#include "kernels/window_sum.h"
#include "kernels/workspace.h"

// Forward and input gradient are one computation, a "window sum": each output position adds up
// taps of the source, and only where taps and outputs lie differs. A tile copies the part of the
// source it needs into a padded buffer, in which every tap is a constant shift of contiguous rows,
// and multiplies it with panels of weights. Where windows move by a stride, the buffer holds one
// set of rows and columns for each residue of the stride that a tap falls on, so that rows are
// contiguous all the same. The gradient of a strided convolution is one window sum with stride 1
// for each residue of the input's position.

// T is what sums are made of: float or double, or pairs of bfloat16 numbers, of two channels, which
// take the place of a channel.

namespace simaqat::kernels {
namespace {

template <class T>
constexpr int64_t kChannels = 1;
template <>
constexpr int64_t kChannels<Bfloat16Pair> = 2;

// Calls function(sum, channels) for each sum of T, where `channels` are those of a group's source.
template <class T, class Sums>
struct SumsOf {
  template <class Function>
  void operator()(Function&& function) const {
    sums([&](WindowSum sum) {
      const int64_t channels = sum.source_channels;
      sum.source_channels = ceilDiv(channels, kChannels<T>);
      function(sum, channels);
    });
  }
  Sums sums;
};

template <class T>
FloatRows<T> rowsOf(const WindowSum& sum, int64_t channels, const float* source, T /*element*/) {
  return {source, sum.group * channels, sum.sourcePlane()};
}
ChannelPairRows rowsOf(const WindowSum& sum, int64_t channels, const float* source,
                       Bfloat16Pair /*element*/) {
  return {source, sum.group * channels, sum.sourcePlane(), sum.source_channels, channels};
}

// The elements of w: (c, s, k) of group g is w[g * group + c * channel + s * source + k].
struct WeightStrides {
  int64_t group, channel, source;
};

// The weight of a channel of the source, or of two where the second exists.
template <class T>
T weightOf(const float* w, int64_t /*stride*/, bool /*has_second*/) {
  return *w;
}
template <>
Bfloat16Pair weightOf(const float* w, int64_t stride, bool has_second) {
  return pairOf(*w, has_second ? w[stride] : 0.0f);
}

// The panel of one group's channels from `first`, zero behind the last channel.
template <class T>
void packWeights(const WindowSum& sum, int64_t channels, const float* w,
                 const WeightStrides& strides, int64_t first, T* panel) {
  const Axis &a0 = sum.axis[0], &a1 = sum.axis[1], &a2 = sum.axis[2];
  for (int64_t s = 0; s < channels; s += kChannels<T>) {
    for (int64_t d = 0; d < a0.taps; ++d) {
      for (int64_t h = 0; h < a1.taps; ++h) {
        for (int64_t x = 0; x < a2.taps; ++x, panel += kPanel<T>) {
          const int64_t k = ((a0.kernel_begin + d * a0.kernel_step) * a1.kernel_size +
                             a1.kernel_begin + h * a1.kernel_step) *
                                a2.kernel_size +
                            a2.kernel_begin + x * a2.kernel_step;
          const float* from = w + first * strides.channel + s * strides.source + k;
          for (int64_t c = 0; c < kPanel<T>; ++c) {
            panel[c] =
                first + c < sum.target_channels
                    ? weightOf<T>(from + c * strides.channel, strides.source, s + 1 < channels)
                    : T{0};
          }
        }
      }
    }
  }
}

template <class T>
int64_t packedWeights(const WindowSum& sum) {
  return sum.group * panels<T>(sum.target_channels) * kPanel<T> * sum.taps();
}

// Positions that are finished together, whose results stay in the L1 cache.
constexpr int64_t kPositions = 252;

// Scratch memory of all sums of a convolution: tables and weights for each, and for each thread
// buffers that fit any of them.
template <class T>
struct WindowSumMemory {
  template <class Sums>
  WindowSumMemory(const Sums& sums, int threads, std::byte* workspace) : memory(workspace) {
    int64_t all_taps = 0, all_weights = 0;
    sums([&](const WindowSum& sum, int64_t) {
      const Tiling tiling(sum, sum.source_channels, Tiling::kTiles);
      all_taps += sum.taps();
      all_weights += packedWeights<T>(sum);
      positions_size = std::max(positions_size, tiling.positions());
      buffer_size = std::max(buffer_size, tiling.bufferSize());
      tiles = std::max(tiles, tiling.tiles());
    });
    tap_offsets = memory.take<int64_t>(all_taps);
    weights = memory.take<T>(all_weights);
    positions = memory.takeForThreads<int64_t>(threads, 2 * positions_size);
    results = memory.takeForThreads<SumOf<T>>(threads, kPanelsTogether * kPositions * kPanel<T>);
    buffers = memory.takeForThreads<T>(threads, buffer_size);
  }
  Workspace memory;
  int64_t positions_size = 0, buffer_size = 0;
  int64_t tiles = 0;     // of the sum that has most
  int64_t* tap_offsets;  // [sum][taps]
  T* weights;            // [sum][group][panel][taps][kPanel]
  ThreadArrays<int64_t> positions;  // [in the buffer, in the target][positions_size]
  ThreadArrays<SumOf<T>> results;   // [kPanelsTogether][kPositions][kPanel]
  ThreadArrays<T> buffers;          // [buffer_size]
};

// The arrays of a convolution, and where in the tables and weights those of a sum begin.
template <class T>
struct WindowSumArrays {
  const float* source;
  const float* bias;
  float* target;
  const int64_t* tap_offsets;
  const T* weights;
};

// What a thread works with.
template <class T>
struct TileMemory {
  TilePositions positions;
  SumOf<T>* results;
  T* buffer;
};

// The target of a group's channels at a tile's positions.
template <class T>
void runGroup(const WindowSum& sum, const WindowSumArrays<T>& arrays, int64_t group,
              int64_t positions, const TileMemory<T>& memory) {
  const int64_t group_panels = panels<T>(sum.target_channels);
  const int64_t taps = sum.taps();
  for (int64_t p = 0; p < positions; p += kPositions) {
    const int64_t count = std::min(kPositions, positions - p);
    for (int64_t panel = 0; panel < group_panels; panel += panelsTogether()) {
      const int64_t some = std::min(panelsTogether(), group_panels - panel);
      const int64_t channel = group * sum.target_channels + panel * kPanel<T>;
      constexpr int64_t kResults = kPositions * kPanel<T>;
      const auto channels = [&](int64_t i) {
        return columnsOfPanel<T>(sum.target_channels, panel + i);
      };
      for (int64_t i = 0; i < some; ++i) {
        SumOf<T> start[kPanel<T>] = {};
        if (arrays.bias != nullptr) {
          std::copy_n(arrays.bias + channel + i * kPanel<T>, channels(i), start);
        }
        for (int64_t k = 0; k < count; ++k) {
          std::copy_n(start, kPanel<T>, memory.results + i * kResults + k * kPanel<T>);
        }
      }
      const T* weights = arrays.weights + (group * group_panels + panel) * taps * kPanel<T>;
      for (int64_t k = 0; k < taps; k += kPanelDepth) {
        multiplyPanel(PanelProduct<T>{memory.buffer, memory.positions.source + p, count,
                                      arrays.tap_offsets + k, std::min(kPanelDepth, taps - k),
                                      weights + k * kPanel<T>, channels(some - 1), memory.results,
                                      kPanel<T>, true, some, taps * kPanel<T>, kResults});
      }
      for (int64_t i = 0; i < some; ++i) {
        const int64_t first = channel + i * kPanel<T>;
        storeResults(memory.results + i * kResults, channels(i), memory.positions.target + p, count,
                     arrays.target + first * sum.targetPlane(), sum.targetPlane());
      }
    }
  }
}

template <class T>
void runTile(const WindowSum& sum, int64_t channels, const Tiling& tiling, int64_t tile,
             const WindowSumArrays<T>& arrays, const TileMemory<T>& memory) {
  const TileRange range(sum, tiling, tile % tiling.tiles_of_group);
  const int64_t count = fillPositions(sum, tiling, range, memory.positions);
  const int64_t first_group = tile / tiling.tiles_of_group * tiling.groups;
  const int64_t end_group = std::min(sum.group, first_group + tiling.groups);
  for (int64_t g = first_group; g < end_group; ++g) {
    fillBuffer(sum, tiling, range, rowsOf(sum, channels, arrays.source, T{}),
               g * sum.source_channels, sum.source_channels, memory.buffer);
    runGroup(sum, arrays, g, count, memory);
  }
}

template <class T, class Sums>
size_t windowSumsWorkspace(const Sums& sums, int threads) {
  return WindowSumMemory<T>(SumsOf<T, Sums>{sums}, threads, nullptr).memory.used();
}

template <class T, class Sums>
void runWindowSums(const Sums& all_sums, const float* source, const float* w,
                   const WeightStrides& strides, const float* bias, float* target,
                   std::byte* workspace, ThreadPool& pool) {
  const SumsOf<T, Sums> sums{all_sums};
  const WindowSumMemory<T> m(sums, pool.threads(), workspace);
  const WindowSumArrays<T> all{source, bias, target, m.tap_offsets, m.weights};

  int64_t* tap_offsets = m.tap_offsets;
  T* weights = m.weights;
  sums([&](const WindowSum& sum, int64_t channels) {
    fillTapOffsets(sum, Tiling(sum, sum.source_channels, Tiling::kTiles), tap_offsets);
    const int64_t group_panels = panels<T>(sum.target_channels);
    const int64_t panel_size = kPanel<T> * sum.taps();
    pool.runRanges(sum.group * group_panels, ceilDiv(1 << 14, panel_size + 1),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) {
                       packWeights(sum, channels, w + i / group_panels * strides.group, strides,
                                   i % group_panels * kPanel<T>, weights + i * panel_size);
                     }
                   });
    tap_offsets += sum.taps();
    weights += packedWeights<T>(sum);
  });

  // A piece does its share of every sum, so that what they write side by side in the target meets
  // in the cache.
  pool.run(m.tiles, [&](int64_t piece, int worker) {
    WindowSumArrays<T> arrays = all;
    int64_t* const table = m.positions.of(worker);
    const TileMemory<T> memory{
        {table, table + m.positions_size}, m.results.of(worker), m.buffers.of(worker)};
    sums([&](const WindowSum& sum, int64_t channels) {
      const Tiling tiling(sum, sum.source_channels, Tiling::kTiles);
      const int64_t end = tiling.tiles() * (piece + 1) / m.tiles;
      for (int64_t tile = tiling.tiles() * piece / m.tiles; tile < end; ++tile) {
        runTile(sum, channels, tiling, tile, arrays, memory);
      }
      arrays.tap_offsets += sum.taps();
      arrays.weights += packedWeights<T>(sum);
    });
  });
}

}  // namespace

size_t convForwardWorkspace(const ConvShape& shape, Sums sums, int threads) {
  if (isDepthwise(shape)) return depthwiseForwardWorkspace(shape, sums, threads);
  const ForwardSums forward{collapsed(shape)};
  return sums == Sums::kFloat ? windowSumsWorkspace<float>(forward, threads)
                              : windowSumsWorkspace<double>(forward, threads);
}

void convForward(const ConvShape& shape, Sums sums, const float* x, const float* w,
                 const float* bias, float* y, std::byte* workspace, ThreadPool& pool) {
  if (isDepthwise(shape)) return depthwiseForward(shape, sums, x, w, bias, y, workspace, pool);
  const int64_t kernel = shape.kernel[0] * shape.kernel[1] * shape.kernel[2];
  const int64_t channel = shape.in_channels / shape.group * kernel;
  const WeightStrides strides{shape.out_channels / shape.group * channel, channel, kernel};
  const ForwardSums forward{collapsed(shape)};
  if (sums == Sums::kFloat) {
    runWindowSums<float>(forward, x, w, strides, bias, y, workspace, pool);
  } else {
    runWindowSums<double>(forward, x, w, strides, bias, y, workspace, pool);
  }
}

size_t convInputGradWorkspace(const ConvShape& shape, Operands operands, int threads) {
  if (isDepthwise(shape)) return depthwiseInputGradWorkspace(shape, threads);
  if (operands == Operands::kFloat && PlaneLines::fits(shape)) {
    return planeInputGradWorkspace(shape, threads);
  }
  const InputGradSums sums{collapsed(shape)};
  return operands == Operands::kFloat ? windowSumsWorkspace<float>(sums, threads)
                                      : windowSumsWorkspace<Bfloat16Pair>(sums, threads);
}

void convInputGrad(const ConvShape& shape, Operands operands, const float* dy, const float* w,
                   float* dx, std::byte* workspace, ThreadPool& pool) {
  if (isDepthwise(shape)) return depthwiseInputGrad(shape, dy, w, dx, workspace, pool);
  if (operands == Operands::kFloat && PlaneLines::fits(shape)) {
    return planeInputGrad(shape, dy, w, dx, workspace, pool);
  }
  const int64_t kernel = shape.kernel[0] * shape.kernel[1] * shape.kernel[2];
  const int64_t channel = shape.in_channels / shape.group * kernel;
  const WeightStrides strides{shape.out_channels / shape.group * channel, kernel, channel};
  const InputGradSums sums{collapsed(shape)};
  if (operands == Operands::kFloat) {
    runWindowSums<float>(sums, dy, w, strides, nullptr, dx, workspace, pool);
  } else {
    runWindowSums<Bfloat16Pair>(sums, dy, w, strides, nullptr, dx, workspace, pool);
  }
}

}  // namespace simaqat::kernels
