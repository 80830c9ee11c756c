#include "kernels/conv.h"

#include <algorithm>
#include <numeric>

#include "kernels/window_sum.h"
#include "kernels/workspace.h"

// Forward and input gradient are one computation, a "window sum": each output position adds up
// taps of the source, and only where taps and outputs lie differs. A tile copies the part of the
// source it needs into a padded buffer, in which every tap is a constant shift of contiguous rows,
// and gives it to multiplyTile. Where windows move by a stride, the buffer holds one set of rows
// and columns for each residue of the stride that a tap falls on, so that rows are contiguous all
// the same. The gradient of a strided convolution is one window sum with stride 1 for each residue
// of the input's position.
//
// The weight gradient uses forward's buffer, and correlateTile.

namespace simaqat::kernels {
namespace {

// Input positions i with (i + pad) mod stride == residue, whose gradient comes from the kernel
// indices k with k * dilation mod stride == residue: i + pad = out * stride + k * dilation.
Axis inputGradAxis(const ConvShape& shape, size_t i, int64_t residue) {
  const int64_t stride = shape.stride[i], dilation = shape.dilation[i], pad = shape.pad_begin[i];
  const int64_t first = ceilDiv(pad - residue, stride);
  const int64_t last = floorDiv(shape.in[i] - 1 + pad - residue, stride);
  const int64_t kernel_step = stride / std::gcd(stride, dilation);
  int64_t k0 = 0;
  while (k0 < kernel_step && k0 * dilation % stride != residue) ++k0;
  const bool any = k0 < kernel_step && k0 < shape.kernel[i];
  const int64_t taps = any ? (shape.kernel[i] - 1 - k0) / kernel_step + 1 : 0;
  // The last kernel index reads the earliest output, so that taps go backwards through the kernel.
  const int64_t last_k = any ? k0 + (taps - 1) * kernel_step : 0;
  const int64_t tap_begin = any ? first - (last_k * dilation - residue) / stride : 0;
  return {last - first + 1,
          first * stride + residue - pad,
          stride,
          shape.in[i],
          shape.out[i],
          1,
          taps,
          tap_begin,
          kernel_step * dilation / stride,
          last_k,
          -kernel_step,
          shape.kernel[i]};
}

// Calls function(sum) for each window sum with positions that a convolution is made of: one
// forward, and backward one for each residue of the strides.
template <class Function>
void callIfAny(const WindowSum& sum, Function&& function) {
  const auto& a = sum.axis;
  if (sum.batch > 0 && a[0].count > 0 && a[1].count > 0 && a[2].count > 0) function(sum);
}

struct ForwardSums {
  template <class Function>
  void operator()(Function&& function) const {
    callIfAny(forwardSum(shape), function);
  }
  ConvShape shape;
};

struct InputGradSums {
  template <class Function>
  void operator()(Function&& function) const {
    WindowSum sum{shape.batch,
                  shape.group,
                  shape.out_channels / shape.group,
                  shape.in_channels / shape.group,
                  {}};
    for (int64_t d = 0; d < shape.stride[0]; ++d) {
      for (int64_t h = 0; h < shape.stride[1]; ++h) {
        for (int64_t w = 0; w < shape.stride[2]; ++w) {
          sum.axis = {inputGradAxis(shape, 0, d), inputGradAxis(shape, 1, h),
                      inputGradAxis(shape, 2, w)};
          callIfAny(sum, function);
        }
      }
    }
  }
  ConvShape shape;
};

// Rows of the source for fillBuffer, as T.
template <class T>
struct FloatRows {
  void copy(int64_t image, int64_t channel, int64_t at, const RowCut& cut, T* out) const {
    cut.copy(source + (image * image_channels + channel) * plane + at, out,
             [](float v) { return static_cast<T>(v); });
  }
  void outside(const RowCut& cut, T* out) const { cut.zero(out); }

  const float* source;
  int64_t image_channels, plane;
};

// The same from codes.
struct CodeValueRows {
  void copy(int64_t image, int64_t channel, int64_t at, const RowCut& cut, float* out) const {
    cut.copy(codes.codes + (image * image_channels + channel) * plane + at, out,
             [scale = codes.scale, zero = codes.zero_point](uint8_t code) {
               return (static_cast<float>(code) - zero) * scale;
             });
  }
  void outside(const RowCut& cut, float* out) const { cut.zero(out); }

  Codes codes;
  int64_t image_channels, plane;
};

FloatRows<float> rowsOfSource(const WindowSum& sum, const float* x) {
  return {x, sum.group * sum.source_channels, sum.sourcePlane()};
}
CodeValueRows rowsOfSource(const WindowSum& sum, const Codes& x) {
  return {x, sum.group * sum.source_channels, sum.sourcePlane()};
}

template <class T>
FloatRows<T> rowsOf(const WindowSum& sum, const float* source) {
  return {source, sum.group * sum.source_channels, sum.sourcePlane()};
}

// The elements of w: (c, s, k) of group g is w[g * group + c * channel + s * source + k].
struct WeightStrides {
  int64_t group, channel, source;
};

// Weights as multiplyTile wants them, for one block of channels of one group, at w.
template <class T>
void packWeights(const WindowSum& sum, const float* w, const WeightStrides& strides,
                 int64_t block_index, T* packed) {
  const Axis &a0 = sum.axis[0], &a1 = sum.axis[1], &a2 = sum.axis[2];
  const int64_t block = channelBlock(sum.target_channels);
  const int64_t first = block_index * block;
  for (int64_t s = 0; s < sum.source_channels; ++s) {
    for (int64_t d = 0; d < a0.taps; ++d) {
      for (int64_t h = 0; h < a1.taps; ++h) {
        for (int64_t x = 0; x < a2.taps; ++x, packed += block) {
          const int64_t k = ((a0.kernel_begin + d * a0.kernel_step) * a1.kernel_size +
                             a1.kernel_begin + h * a1.kernel_step) *
                                a2.kernel_size +
                            a2.kernel_begin + x * a2.kernel_step;
          const float* from = w + first * strides.channel + s * strides.source + k;
          for (int64_t c = 0; c < block; ++c) {
            packed[c] = first + c < sum.target_channels ? from[c * strides.channel] : 0.0f;
          }
        }
      }
    }
  }
}

// Scratch memory of all sums of a convolution: tables and weights for each, and for each thread
// buffers that fit any of them. T is what sums are taken in.
template <class T>
struct WindowSumMemory {
  template <class Sums>
  WindowSumMemory(const Sums& sums, int threads, std::byte* workspace) : memory(workspace) {
    int64_t all_taps = 0, all_weights = 0;
    sums([&](const WindowSum& sum) {
      const Tiling tiling(sum, sum.source_channels, Tiling::kTiles);
      all_taps += sum.taps();
      all_weights += sum.packedWeights();
      vector_size = std::max(vector_size, tiling.vectors_of_tile);
      buffer_size = std::max(buffer_size, tiling.bufferSize());
      tiles = std::max(tiles, tiling.tiles());
    });
    tap_offsets = memory.take<int64_t>(all_taps);
    weights = memory.take<T>(all_weights);
    vectors = memory.take<PositionVector>(threads * vector_size);
    buffers = memory.take<T>(threads * buffer_size);
  }
  Workspace memory;
  int64_t vector_size = 0, buffer_size = 0;
  int64_t tiles = 0;        // of the sum that has most
  int64_t* tap_offsets;     // [sum][taps]
  T* weights;               // [sum][group][packed]
  PositionVector* vectors;  // [thread][vector_size]
  T* buffers;               // [thread][buffer_size]
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

template <class T>
void runTile(const WindowSum& sum, const Tiling& tiling, int64_t tile,
             const WindowSumArrays<T>& arrays, PositionVector* vectors, T* buffer) {
  const TileRange range(sum, tiling, tile % tiling.tiles_of_group);
  const int64_t count = fillVectors(sum, tiling, range, vectors);
  const int64_t first_group = tile / tiling.tiles_of_group * tiling.groups;
  const int64_t end_group = std::min(sum.group, first_group + tiling.groups);
  for (int64_t g = first_group; g < end_group; ++g) {
    const int64_t target_channel = g * sum.target_channels;
    fillBuffer(sum, tiling, range, rowsOf<T>(sum, arrays.source), g * sum.source_channels,
               sum.source_channels, buffer);
    TileProduct<T> product{};
    product.source = buffer;
    product.tap_offset = arrays.tap_offsets;
    product.taps = sum.taps();
    product.weights = arrays.weights + g * (sum.packedWeights() / sum.group);
    product.channel_block = channelBlock(sum.target_channels);
    product.weight_block_stride = product.channel_block * sum.taps();
    product.channels = sum.target_channels;
    product.vectors = vectors;
    product.vector_count = count;
    product.target = arrays.target + target_channel * sum.targetPlane();
    product.channel_stride = sum.targetPlane();
    product.target_step = sum.axis[2].out_step;
    product.bias = arrays.bias == nullptr ? nullptr : arrays.bias + target_channel;
    multiplyTileBlocked(product);
  }
}

template <class T, class Sums>
void runWindowSums(const Sums& sums, const float* source, const float* w,
                   const WeightStrides& strides, const float* bias, float* target,
                   std::byte* workspace, ThreadPool& pool) {
  const WindowSumMemory<T> m(sums, pool.threads(), workspace);
  const WindowSumArrays<T> all{source, bias, target, m.tap_offsets, m.weights};

  int64_t* tap_offsets = m.tap_offsets;
  T* weights = m.weights;
  sums([&](const WindowSum& sum) {
    fillTapOffsets(sum, Tiling(sum, sum.source_channels, Tiling::kTiles), tap_offsets);
    const int64_t blocks = channelBlocks(sum.target_channels);
    const int64_t block_size = channelBlock(sum.target_channels) * sum.taps();
    pool.runRanges(sum.group * blocks, ceilDiv(1 << 14, block_size + 1),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) {
                       packWeights(sum, w + i / blocks * strides.group, strides, i % blocks,
                                   weights + i * block_size);
                     }
                   });
    tap_offsets += sum.taps();
    weights += sum.packedWeights();
  });

  // A piece does its share of every sum, so that what they write side by side in the target meets
  // in the cache.
  pool.run(m.tiles, [&](int64_t piece, int worker) {
    WindowSumArrays<T> arrays = all;
    sums([&](const WindowSum& sum) {
      const Tiling tiling(sum, sum.source_channels, Tiling::kTiles);
      const int64_t end = tiling.tiles() * (piece + 1) / m.tiles;
      for (int64_t tile = tiling.tiles() * piece / m.tiles; tile < end; ++tile) {
        runTile(sum, tiling, tile, arrays, m.vectors + worker * m.vector_size,
                m.buffers + worker * m.buffer_size);
      }
      arrays.tap_offsets += sum.taps();
      arrays.weights += sum.packedWeights();
    });
  });
}

// How the weight gradient is cut: into pieces of the sum over positions, whose partial sums are
// added in order at the end, times groups, times blocks of input channels.
struct WeightGradPlan {
  // Input channels of a block: their buffer stays small where there are many, and blocks make
  // enough pieces where partial sums are large.
  static constexpr int64_t kChannels = 64;
  static constexpr int64_t kPieces = 16;

  explicit WeightGradPlan(const ConvShape& shape)
      : sum(forwardSum(shape)),
        channels(std::min(sum.source_channels, kChannels)),
        channel_blocks(ceilDiv(sum.source_channels, channels)),
        tiling(sum, channels, ceilDiv(kPieces, channel_blocks)),
        cuts(std::clamp<int64_t>(kPieces / (channel_blocks * tiling.group_tiles), 1,
                                 std::max<int64_t>(tiling.tiles_of_group, 1))),
        weights(shape.out_channels * sum.source_channels * sum.kernelSize()),
        block_taps(channels * sum.kernelSize()),
        // Not a power of two: its rows would compete for the same lines of the cache.
        gradient_stride((tiling.vectors_of_tile + 2) * kLanes),
        padded_channels(channelBlocks(sum.target_channels) * channelBlock(sum.target_channels)) {}

  WindowSum sum;
  int64_t channels, channel_blocks;
  Tiling tiling;
  int64_t cuts;
  int64_t weights;     // elements of dw
  int64_t block_taps;  // of a block of channels
  int64_t gradient_stride, padded_channels;
};

struct WeightGradMemory {
  WeightGradMemory(const WeightGradPlan& plan, int threads, std::byte* workspace)
      : memory(workspace) {
    tap_offset = memory.take<int64_t>(plan.block_taps);
    partial = memory.take<float>(plan.cuts == 1 ? 0 : plan.cuts * plan.weights);
    vectors = memory.take<PositionVector>(threads * plan.tiling.vectors_of_tile);
    buffers = memory.take<float>(threads * plan.tiling.bufferSize());
    gradients = memory.take<float>(threads * plan.padded_channels * plan.gradient_stride);
  }
  Workspace memory;
  int64_t* tap_offset;
  float* partial;           // [cut][dw]; not needed where there is one cut
  PositionVector* vectors;  // [thread][vectors of a tile]
  float* buffers;           // [thread][a tile's buffer]
  float* gradients;         // [thread][padded_channels][gradient_stride]
};

// The gradient of one group's output at a tile's positions, as correlateTile wants it.
void fillGradient(const WeightGradPlan& plan, const PositionVector* vectors, int64_t count,
                  const float* dy, float* out) {
  for (int64_t c = 0; c < plan.padded_channels; ++c, out += plan.gradient_stride) {
    if (c >= plan.sum.target_channels) {
      std::fill(out, out + count * kLanes, 0.0f);
      continue;
    }
    const float* channel = dy + c * plan.sum.targetPlane();
    for (int64_t v = 0; v < count; ++v) {
      const float* from = channel + vectors[v].target;
      float* to = out + v * kLanes;
      if (vectors[v].width == kLanes) {
        store(to, load(from));
      } else {
        for (int64_t i = 0; i < kLanes; ++i) to[i] = i < vectors[v].width ? from[i] : 0.0f;
      }
    }
  }
}

bool isEmpty(const ConvShape& shape) {
  return shape.batch == 0 || shape.out[0] == 0 || shape.out[1] == 0 || shape.out[2] == 0;
}

}  // namespace

size_t convForwardWorkspace(const ConvShape& shape, Sums sums, int threads) {
  const ForwardSums forward{collapsed(shape)};
  return sums == Sums::kFloat ? WindowSumMemory<float>(forward, threads, nullptr).memory.used()
                              : WindowSumMemory<double>(forward, threads, nullptr).memory.used();
}

void convForward(const ConvShape& shape, Sums sums, const float* x, const float* w,
                 const float* bias, float* y, std::byte* workspace, ThreadPool& pool) {
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

size_t convInputGradWorkspace(const ConvShape& shape, int threads) {
  return WindowSumMemory<float>(InputGradSums{collapsed(shape)}, threads, nullptr).memory.used();
}

void convInputGrad(const ConvShape& shape, const float* dy, const float* w, float* dx,
                   std::byte* workspace, ThreadPool& pool) {
  const int64_t kernel = shape.kernel[0] * shape.kernel[1] * shape.kernel[2];
  const int64_t channel = shape.in_channels / shape.group * kernel;
  const WeightStrides strides{shape.out_channels / shape.group * channel, kernel, channel};
  runWindowSums<float>(InputGradSums{collapsed(shape)}, dy, w, strides, nullptr, dx, workspace, pool);
}

size_t convWeightGradWorkspace(const ConvShape& shape, int threads) {
  if (isEmpty(shape)) return 0;
  return WeightGradMemory(WeightGradPlan(collapsed(shape)), threads, nullptr).memory.used();
}

namespace {

// Source is x as floats or as codes.
template <class Source>
void weightGrad(const ConvShape& shape, const Source& x, const float* dy, float* dw,
                std::byte* workspace, ThreadPool& pool) {
  if (isEmpty(shape)) {
    std::fill_n(dw,
                shape.out_channels * (shape.in_channels / shape.group) * shape.kernel[0] *
                    shape.kernel[1] * shape.kernel[2],
                0.0f);
    return;
  }
  const WeightGradPlan plan(collapsed(shape));
  const WindowSum& sum = plan.sum;
  const Tiling& tiling = plan.tiling;
  const WeightGradMemory m(plan, pool.threads(), workspace);
  fillTapOffsets(sum, tiling, m.tap_offset);
  const int64_t group_weights = sum.target_channels * sum.source_channels * sum.kernelSize();

  const int64_t pieces = plan.cuts * tiling.group_tiles * plan.channel_blocks;
  pool.run(pieces, [&](int64_t piece, int worker) {
    const int64_t channel = piece % plan.channel_blocks * plan.channels;
    const int64_t group_tile = piece / plan.channel_blocks % tiling.group_tiles;
    const int64_t cut = piece / plan.channel_blocks / tiling.group_tiles;
    const int64_t channels = std::min(plan.channels, sum.source_channels - channel);
    const int64_t end_group = std::min(sum.group, (group_tile + 1) * tiling.groups);
    float* result = plan.cuts == 1 ? dw : m.partial + cut * plan.weights;
    float* buffer = m.buffers + worker * tiling.bufferSize();
    float* gradient = m.gradients + worker * plan.padded_channels * plan.gradient_stride;
    PositionVector* vectors = m.vectors + worker * tiling.vectors_of_tile;
    const int64_t begin = tiling.tiles_of_group * cut / plan.cuts;
    const int64_t end = tiling.tiles_of_group * (cut + 1) / plan.cuts;
    for (int64_t tile = begin; tile < end; ++tile) {
      const TileRange range(sum, tiling, tile);
      const int64_t count = fillVectors(sum, tiling, range, vectors);
      for (int64_t g = group_tile * tiling.groups; g < end_group; ++g) {
        TileCorrelation correlation{};
        fillBuffer(sum, tiling, range, rowsOfSource(sum, x), g * sum.source_channels + channel,
                   channels, buffer);
        correlation.source = buffer;
        fillGradient(plan, vectors, count, dy + g * sum.target_channels * sum.targetPlane(),
                     gradient);
        correlation.tap_offset = m.tap_offset;
        correlation.taps = channels * sum.kernelSize();
        correlation.vectors = vectors;
        correlation.vector_count = count;
        correlation.gradient = gradient;
        correlation.gradient_stride = plan.gradient_stride;
        correlation.channels = sum.target_channels;
        correlation.result = result + g * group_weights + channel * sum.kernelSize();
        correlation.result_stride = sum.source_channels * sum.kernelSize();
        correlation.accumulate = tile > begin;
        correlateTile(correlation);
      }
    }
  });

  if (plan.cuts == 1) return;
  pool.runRanges(plan.weights, 1 << 12, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) dw[i] = m.partial[i];
    for (int64_t cut = 1; cut < plan.cuts; ++cut) {
      const float* partial = m.partial + cut * plan.weights;
      for (int64_t i = begin; i < end; ++i) dw[i] += partial[i];
    }
  });
}

}  // namespace

void convWeightGrad(const ConvShape& shape, const float* x, const float* dy, float* dw,
                    std::byte* workspace, ThreadPool& pool) {
  weightGrad(shape, x, dy, dw, workspace, pool);
}

void convWeightGrad(const ConvShape& shape, const Codes& x, const float* dy, float* dw,
                    std::byte* workspace, ThreadPool& pool) {
  weightGrad(shape, x, dy, dw, workspace, pool);
}

}  // namespace simaqat::kernels
