#include "kernels/conv.h"

#include <algorithm>
#include <numeric>

#include "kernels/packet.h"
#include "kernels/tile_product.h"
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

int64_t ceilDiv(int64_t a, int64_t b) { return a / b + (a % b > 0 ? 1 : 0); }   // b > 0
int64_t floorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }  // b > 0

// One axis of a window sum. Output o in [0, count) goes to out_begin + o * out_step; its tap t,
// which stands for index kernel_begin + t * kernel_step of the kernel, reads source index
// o * step + tap_begin + t * tap_step, or zero if that is not in [0, size).
struct Axis {
  int64_t count, out_begin, out_step, out_size;
  int64_t size, step;
  int64_t taps, tap_begin, tap_step;
  int64_t kernel_begin, kernel_step, kernel_size;

  // Taps t, t + period, ... fall on the same residue modulo step: they share a phase, a copy of
  // every step-th source index.
  int64_t period() const { return step / std::gcd(step, tap_step); }
  int64_t phases() const { return std::min(taps, period()); }
  int64_t phase(int64_t t) const { return t % period(); }
  // Where tap t's value lies in its phase, against the phase's first tap.
  int64_t shift(int64_t t) const { return t / period() * (period() * tap_step / step); }
  int64_t reach() const { return taps == 0 ? 0 : shift(taps - 1); }
  // The source index of element `i` of a phase that starts at output `begin`.
  int64_t sourceIndex(int64_t begin, int64_t i, int64_t phase) const {
    return (begin + i) * step + tap_begin + phase * tap_step;
  }
};

// target[n, c, o] = bias[c] + sum over s, t of w[c, s, t] * source[n, s, position(o, t)].
// Channels are those of one group.
struct WindowSum {
  int64_t batch, group, source_channels, target_channels;
  std::array<Axis, 3> axis;

  int64_t kernelSize() const {
    return axis[0].kernel_size * axis[1].kernel_size * axis[2].kernel_size;
  }
  int64_t taps() const { return source_channels * axis[0].taps * axis[1].taps * axis[2].taps; }
  // Weights as multiplyTile wants them, of all groups.
  int64_t packedWeights() const {
    return group * channelBlocks(target_channels) * channelBlock(target_channels) * taps();
  }
  int64_t sourcePlane() const { return axis[0].size * axis[1].size * axis[2].size; }
  int64_t targetPlane() const { return axis[0].out_size * axis[1].out_size * axis[2].out_size; }
};

// A 1x1 convolution that moves nothing is one over a single long row. Its source is copied too,
// although it could be read in place: rows of many channels in turn are what caches are bad at, and
// the copy was the faster one at every size.
ConvShape collapsed(const ConvShape& shape) {
  const std::array<int64_t, 3> ones{1, 1, 1}, zeros{0, 0, 0};
  if (shape.kernel != ones || shape.stride != ones || shape.pad_begin != zeros ||
      shape.in != shape.out) {
    return shape;
  }
  ConvShape flat = shape;
  flat.in = flat.out = {1, 1, shape.in[0] * shape.in[1] * shape.in[2]};
  return flat;
}

WindowSum forwardSum(const ConvShape& shape) {
  WindowSum sum{shape.batch,
                shape.group,
                shape.in_channels / shape.group,
                shape.out_channels / shape.group,
                {}};
  for (size_t i = 0; i < 3; ++i) {
    sum.axis[i] = {shape.out[i],
                   0,
                   1,
                   shape.out[i],
                   shape.in[i],
                   shape.stride[i],
                   shape.kernel[i],
                   -shape.pad_begin[i],
                   shape.dilation[i],
                   0,
                   1,
                   shape.kernel[i]};
  }
  return sum;
}

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

// How a window sum is cut into tiles, and what a tile's buffer looks like. Follows from the shape
// alone. A tile is a few images, a few groups (one after the other), one output slice of axis 0,
// and a rectangle of axes 1 and 2, of `channels` source channels.
struct Tiling {
  // A tile's buffer should stay in the L2 cache, with as much again for weights.
  static constexpr int64_t kBufferFloats = 128 << 10;
  // Fewer tiles leave processors idle,
  static constexpr int64_t kTiles = 8;
  // but less work costs more to hand out than to do.
  static constexpr int64_t kWork = 1 << 18;

  // `tiles`: how many tiles there should be at least, if there is work for them.
  Tiling(const WindowSum& sum, int64_t channels, int64_t tiles) : channels(channels) {
    const Axis &a0 = sum.axis[0], &a1 = sum.axis[1], &a2 = sum.axis[2];
    rows = a1.count;
    columns = a2.count;
    while (bufferFloats(sum, 1, columns) > kBufferFloats && columns > 4 * kLanes) halve(columns);
    while (bufferFloats(sum, rows, columns) > kBufferFloats && rows > 1) rows = ceilDiv(rows, 2);
    const int64_t work_of_position =
        sum.taps() / sum.source_channels * channels * sum.target_channels;
    const int64_t outer = sum.batch * sum.group * a0.count;
    while (outer * ceilDiv(a1.count, rows) * ceilDiv(a2.count, columns) < tiles &&
           rows * columns * work_of_position > kWork && (rows > 1 || columns > 4 * kLanes)) {
      if (rows > 1) {
        rows = ceilDiv(rows, 2);
      } else {
        halve(columns);
      }
    }
    row_tiles = ceilDiv(a1.count, rows);
    rows = ceilDiv(a1.count, row_tiles);
    column_tiles = ceilDiv(a2.count, columns);

    row_stride = a2.phases() * phaseColumns(a2);
    slice = a1.phases() * (rows + a1.reach()) * row_stride;
    channel_stride = a0.taps * slice;
    image_floats = channels * channel_stride;

    images = 1;
    if (row_tiles == 1 && column_tiles == 1) {
      const int64_t fit = kBufferFloats / std::max<int64_t>(image_floats, 1);
      const int64_t vectors = rows * ceilDiv(columns, kLanes);
      const int64_t enough = ceilDiv(kVectors, std::max<int64_t>(vectors, 1));
      const int64_t fair = sum.batch * sum.group / tiles;
      images = std::max<int64_t>(1, std::min({fit, enough, fair, sum.batch}));
    }
    image_tiles = ceilDiv(sum.batch, images);
    const int64_t work = std::max<int64_t>(images * rows * columns * work_of_position, 1);
    groups = std::min(sum.group, ceilDiv(kWork, work));
    group_tiles = ceilDiv(sum.group, groups);
    tiles_of_group = image_tiles * a0.count * row_tiles * column_tiles;
    vectors_of_tile = images * rows * ceilDiv(columns, kLanes);
  }

  // Positions of a tile with several images: enough to forget what starting it costs.
  static constexpr int64_t kVectors = 128;

  static void halve(int64_t& columns) { columns = roundUpToLanes(ceilDiv(columns, 2)); }
  static int64_t phaseColumns(const Axis& a, int64_t columns) {
    return roundUpToLanes(roundUpToLanes(columns) + a.reach());
  }
  int64_t phaseColumns(const Axis& a) const { return phaseColumns(a, columns); }
  int64_t bufferFloats(const WindowSum& sum, int64_t r, int64_t c) const {
    return channels * sum.axis[0].taps * sum.axis[1].phases() * (r + sum.axis[1].reach()) *
           sum.axis[2].phases() * phaseColumns(sum.axis[2], c);
  }
  int64_t tiles() const { return group_tiles * tiles_of_group; }
  int64_t bufferSize() const { return images * image_floats; }

  int64_t channels;
  int64_t images, groups, rows, columns;
  int64_t image_tiles, group_tiles, row_tiles, column_tiles;
  int64_t tiles_of_group;  // tiles that a group, or a tile of groups, is cut into
  int64_t vectors_of_tile;
  int64_t row_stride, slice, channel_stride, image_floats;  // of the buffer
};

// Which part of a window sum a tile is.
struct TileRange {
  TileRange(const WindowSum& sum, const Tiling& tiling, int64_t tile) {
    const Axis &a1 = sum.axis[1], &a2 = sum.axis[2];
    column = tile % tiling.column_tiles * tiling.columns;
    tile /= tiling.column_tiles;
    row = tile % tiling.row_tiles * tiling.rows;
    tile /= tiling.row_tiles;
    slice = tile % sum.axis[0].count;
    image = tile / sum.axis[0].count * tiling.images;
    columns = std::min(tiling.columns, a2.count - column);
    rows = std::max<int64_t>(0, std::min(tiling.rows, a1.count - row));
    images = std::min(tiling.images, sum.batch - image);
  }
  int64_t image, images, slice, row, rows, column, columns;
};

// The table of tap offsets into a tile's buffer, in the order [channel, tap 0, tap 1, tap 2].
void fillTapOffsets(const WindowSum& sum, const Tiling& tiling, int64_t* offset) {
  const Axis &a0 = sum.axis[0], &a1 = sum.axis[1], &a2 = sum.axis[2];
  for (int64_t c = 0; c < tiling.channels; ++c) {
    for (int64_t d = 0; d < a0.taps; ++d) {
      for (int64_t h = 0; h < a1.taps; ++h) {
        const int64_t row = a1.phase(h) * (tiling.rows + a1.reach()) + a1.shift(h);
        for (int64_t w = 0; w < a2.taps; ++w) {
          *offset++ = c * tiling.channel_stride + d * tiling.slice + row * tiling.row_stride +
                      a2.phase(w) * tiling.phaseColumns(a2) + a2.shift(w);
        }
      }
    }
  }
}

// The tile's positions, row by row; returns their number of vectors.
int64_t fillVectors(const WindowSum& sum, const Tiling& tiling, const TileRange& range,
                    PositionVector* vectors) {
  const Axis &a0 = sum.axis[0], &a1 = sum.axis[1], &a2 = sum.axis[2];
  const int64_t target_image = sum.group * sum.target_channels * sum.targetPlane();
  int64_t count = 0;
  for (int64_t n = 0; n < range.images; ++n) {
    for (int64_t r = 0; r < range.rows; ++r) {
      const int64_t source_row = n * tiling.image_floats + r * tiling.row_stride;
      const int64_t d = a0.out_begin + range.slice * a0.out_step;
      const int64_t h = a1.out_begin + (range.row + r) * a1.out_step;
      const int64_t target_row =
          (range.image + n) * target_image + (d * a1.out_size + h) * a2.out_size + a2.out_begin;
      for (int64_t c = 0; c < range.columns; c += kLanes) {
        vectors[count++] = {source_row + c, target_row + (range.column + c) * a2.out_step,
                            std::min<int64_t>(kLanes, range.columns - c)};
      }
    }
  }
  return count;
}

// How a row of a phase is cut out of a row of the source: out[i] = row[begin + i * step], for i in
// [0, count), and zero where that is outside the row. count is in whole vectors.
struct RowCut {
  RowCut(int64_t size, int64_t begin, int64_t step, int64_t count)
      : begin(begin),
        step(step),
        count(count),
        first(std::clamp<int64_t>(ceilDiv(-begin, step), 0, count)),
        end(std::clamp<int64_t>(ceilDiv(size - begin, step), first, count)) {}

  template <class T>
  void zero(T* out) const {
    zero(out, 0, count);
  }
  template <class T>
  void copy(const float* row, T* out) const {
    zero(out, 0, first);
    zero(out, end / kLanes * kLanes, count);
    const float* from = row + begin;
    int64_t i = first;
    if (step == 1) {
      for (; i + kLanes <= end; i += kLanes) copyLanes(from + i, out + i);
    } else if (step == 2) {
      // The compiler has vector instructions for a stride that it knows.
      for (; i < end; ++i) out[i] = from[i * 2];
    }
    for (; i < end; ++i) out[i] = from[i * step];
  }

  int64_t begin, step, count;
  int64_t first, end;  // the part that is inside

 private:
  // Whole vectors, of which the last may reach beyond `to`.
  template <class T>
  static void zero(T* out, int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i += kLanes) Lanes<T>::broadcast(0).store(out + i);
  }
  // A loop of constant length is vector instructions, whatever T.
  template <class T>
  static void copyLanes(const float* from, T* to) {
    for (int i = 0; i < kLanes; ++i) to[i] = from[i];
  }
};

// Copies what a tile needs of source channels [channel, channel + tiling.channels), at most
// `channels` of them, into its buffer; `source` is the whole array.
template <class T>
void fillBuffer(const WindowSum& sum, const Tiling& tiling, const TileRange& range,
                const float* source, int64_t channel, int64_t channels, T* buffer) {
  const Axis &a0 = sum.axis[0], &a1 = sum.axis[1], &a2 = sum.axis[2];
  const int64_t columns = tiling.phaseColumns(a2);
  for (int64_t n = 0; n < range.images; ++n) {
    for (int64_t c = 0; c < channels; ++c) {
      const float* plane =
          source +
          ((range.image + n) * sum.group * sum.source_channels + channel + c) * sum.sourcePlane();
      for (int64_t t = 0; t < a0.taps; ++t) {
        const int64_t d = a0.sourceIndex(range.slice, 0, 0) + t * a0.tap_step;
        const bool slice_exists = d >= 0 && d < a0.size;
        T* out =
            buffer + n * tiling.image_floats + c * tiling.channel_stride + t * tiling.slice;
        for (int64_t q = 0; q < a2.phases(); ++q) {
          const RowCut cut(a2.size, a2.sourceIndex(range.column, 0, q), a2.step, columns);
          for (int64_t p = 0; p < a1.phases(); ++p) {
            T* to = out + p * (tiling.rows + a1.reach()) * tiling.row_stride + q * columns;
            for (int64_t r = 0; r < range.rows + a1.reach(); ++r, to += tiling.row_stride) {
              const int64_t h = a1.sourceIndex(range.row, r, p);
              if (slice_exists && h >= 0 && h < a1.size) {
                cut.copy(plane + (d * a1.size + h) * a2.size, to);
              } else {
                cut.zero(to);
              }
            }
          }
        }
      }
    }
  }
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
    fillBuffer(sum, tiling, range, arrays.source, g * sum.source_channels, sum.source_channels,
               buffer);
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

void convWeightGrad(const ConvShape& shape, const float* x, const float* dy, float* dw,
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
        fillBuffer(sum, tiling, range, x, g * sum.source_channels + channel, channels, buffer);
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

}  // namespace simaqat::kernels
