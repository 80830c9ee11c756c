// The geometry that convolution's passes have in common: a "window sum", its tiles, and the padded
// buffer of a tile. conv.cc says how they are used.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <type_traits>

#include "kernels/conv.h"
#include "kernels/packet.h"

namespace simaqat::kernels {

inline int64_t ceilDiv(int64_t a, int64_t b) { return a / b + (a % b > 0 ? 1 : 0); }   // b > 0
inline int64_t floorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }  // b > 0

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
  int64_t sourcePlane() const { return axis[0].size * axis[1].size * axis[2].size; }
  int64_t targetPlane() const { return axis[0].out_size * axis[1].out_size * axis[2].out_size; }
};

// A 1x1 convolution that moves nothing is one over a single long row. Its source is copied too,
// although it could be read in place: rows of many channels in turn are what caches are bad at, and
// the copy was the faster one at every size.
ConvShape collapsed(const ConvShape& shape);

WindowSum forwardSum(const ConvShape& shape);

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
  // buffer_floats: what a buffer should not exceed.
  Tiling(const WindowSum& sum, int64_t channels, int64_t tiles,
         int64_t buffer_floats = kBufferFloats)
      : channels(channels) {
    const Axis &a0 = sum.axis[0], &a1 = sum.axis[1], &a2 = sum.axis[2];
    rows = a1.count;
    columns = a2.count;
    while (bufferFloats(sum, 1, columns) > buffer_floats && columns > 4 * kLanes) halve(columns);
    while (bufferFloats(sum, rows, columns) > buffer_floats && rows > 1) rows = ceilDiv(rows, 2);
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
      const int64_t fit = buffer_floats / std::max<int64_t>(image_floats, 1);
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
  int64_t positions() const { return images * rows * columns; }

  int64_t channels;
  int64_t images, groups, rows, columns;
  int64_t image_tiles, group_tiles, row_tiles, column_tiles;
  int64_t tiles_of_group;  // tiles that a group, or a tile of groups, is cut into
  int64_t vectors_of_tile;
  int64_t row_stride, slice, channel_stride, image_floats;  // of the buffer
};

// Which part of a window sum a tile is.
struct TileRange {
  // Cut: a Tiling, or TileBlocks.
  template <class Cut>
  TileRange(const WindowSum& sum, const Cut& cut, int64_t tile) {
    const Axis &a1 = sum.axis[1], &a2 = sum.axis[2];
    column = tile % cut.column_tiles * cut.columns;
    tile /= cut.column_tiles;
    row = tile % cut.row_tiles * cut.rows;
    tile /= cut.row_tiles;
    slice = tile % sum.axis[0].count;
    image = tile / sum.axis[0].count * cut.images;
    columns = std::min(cut.columns, a2.count - column);
    rows = std::max<int64_t>(0, std::min(cut.rows, a1.count - row));
    images = std::min(cut.images, sum.batch - image);
  }
  int64_t image, images, slice, row, rows, column, columns;
};

// The table of tap offsets into a tile's buffer, in the order [channel, tap 0, tap 1, tap 2].
void fillTapOffsets(const WindowSum& sum, const Tiling& tiling, int64_t* offset);

// `lanes` neighbouring positions, of which the first `width` exist.
struct PositionVector {
  int64_t source;  // where the first one lies in the tile's buffer
  int64_t target;  // and in a channel of the target
  int64_t width;
};
// The tile's positions, row by row, in vectors of `lanes`; returns their number of vectors.
int64_t fillVectors(const WindowSum& sum, const Tiling& tiling, const TileRange& range,
                    PositionVector* vectors, int64_t lanes = kLanes);

// Where each position of a tile lies in the tile's buffer, and in a channel of the target.
struct TilePositions {
  int64_t* source;
  int64_t* target;
};
// The tile's positions, row by row; returns how many.
int64_t fillPositions(const WindowSum& sum, const Tiling& tiling, const TileRange& range,
                      const TilePositions& positions);
// Only where they lie in a channel of the target.
int64_t fillTargets(const WindowSum& sum, const TileRange& range, int64_t* target);

// How a row of a phase is cut out of a row of the source: out[i] = row[begin + i * step], for i in
// [0, count), and zero where that is outside the row. count is in whole vectors.
struct RowCut {
  RowCut(int64_t size, int64_t begin, int64_t step, int64_t count)
      : begin(begin),
        step(step),
        count(count),
        first(std::clamp<int64_t>(stepsTo(-begin), 0, count)),
        end(std::clamp<int64_t>(stepsTo(size - begin), first, count)) {}

  template <class T>
  void zero(T* out) const {
    zero(out, 0, count);
  }
  // With value(row[..]) in place of row[..].
  template <class S, class T, class Value>
  void copy(const S* row, T* out, const Value& value) const {
    zero(out, 0, first);
    zero(out, end / kLanes * kLanes, count);
    const S* from = row + begin;
    int64_t i = first;
    if (step == 1) {
      copyVectors<kLanes>(from, out, i, value);
      copyVectors<kLanes / 2>(from, out, i, value);
    } else if (step == 2) {
      if constexpr (std::is_same_v<S, uint8_t>) copyEvenCodes(from, out, i, value);
      // The compiler has vector instructions for a stride that it knows.
      for (; i < end; ++i) out[i] = value(from[i * 2]);
    }
    for (; i < end; ++i) out[i] = value(from[i * step]);
  }

  int64_t begin, step, count;
  int64_t first, end;  // the part that is inside

 private:
  // There is a cut for each plane, which may be small: a division is worth leaving out.
  int64_t stepsTo(int64_t index) const { return step == 1 ? index : ceilDiv(index, step); }
  // Whole vectors, of which the last may reach beyond `to`.
  template <class T>
  static void zero(T* out, int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i += kLanes) Lanes<T>::broadcast(0).store(out + i);
  }
  // Elements [i, end), of which those before may be copied again, where they fill a vector.
  template <int kSize, class S, class T, class Value>
  void copyVectors(const S* from, T* out, int64_t& i, const Value& value) const {
    for (; i + kSize <= end; i += kSize) copyLanes<kSize>(from + i, out + i, value);
    if (i == end || end - first < kSize) return;
    copyLanes<kSize>(from + end - kSize, out + end - kSize, value);
    i = end;
  }
  // All but the last vector, which would read beyond the row.
  template <class T, class Value>
  void copyEvenCodes(const uint8_t* from, T* out, int64_t& i, const Value& value) const {
    for (; i + kLanes < end; i += kLanes) {
      float floats[kLanes];
      expandEvenCodes(from + i * 2, floats);
      for (int k = 0; k < kLanes; ++k) out[i + k] = value(floats[k]);
    }
  }
  // A loop of constant length is vector instructions, whatever T; but for bytes.
  template <int kSize, class S, class T, class Value>
  static void copyLanes(const S* from, T* to, const Value& value) {
    if constexpr (std::is_same_v<S, uint8_t>) {
      float floats[kSize];
      expandCodes<kSize>(from, floats);
      for (int i = 0; i < kSize; ++i) to[i] = value(floats[i]);
    } else {
      for (int i = 0; i < kSize; ++i) to[i] = value(from[i]);
    }
  }
};

// Copies what a tile needs of source channels [channel, channel + channels) into its buffer:
// rows.copy(image, channel, at, cut, out) where a row exists (its first element is `at` elements
// into the channel), and rows.outside(cut, out) where it does not.
template <class Rows, class T>
void fillBuffer(const WindowSum& sum, const Tiling& tiling, const TileRange& range,
                const Rows& rows, int64_t channel, int64_t channels, T* buffer) {
  const Axis &a0 = sum.axis[0], &a1 = sum.axis[1], &a2 = sum.axis[2];
  // Planes may be small: what is the same for all is not computed for each.
  const int64_t columns = tiling.phaseColumns(a2);
  const int64_t row_phases = a1.phases();
  const int64_t column_phases = a2.phases();
  const int64_t phase_size = (tiling.rows + a1.reach()) * tiling.row_stride;
  const int64_t phase_rows = range.rows + a1.reach();
  for (int64_t n = 0; n < range.images; ++n) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t t = 0; t < a0.taps; ++t) {
        const int64_t d = a0.sourceIndex(range.slice, 0, 0) + t * a0.tap_step;
        const bool slice_exists = d >= 0 && d < a0.size;
        T* out = buffer + n * tiling.image_floats + c * tiling.channel_stride + t * tiling.slice;
        for (int64_t q = 0; q < column_phases; ++q) {
          const RowCut cut(a2.size, a2.sourceIndex(range.column, 0, q), a2.step, columns);
          for (int64_t p = 0; p < row_phases; ++p) {
            T* to = out + p * phase_size + q * columns;
            for (int64_t r = 0; r < phase_rows; ++r, to += tiling.row_stride) {
              const int64_t h = a1.sourceIndex(range.row, r, p);
              if (slice_exists && h >= 0 && h < a1.size) {
                rows.copy(range.image + n, channel + c, (d * a1.size + h) * a2.size, cut, to);
              } else {
                rows.outside(cut, to);
              }
            }
          }
        }
      }
    }
  }
}

}  // namespace simaqat::kernels
