// The two products that convolution and matrix multiplication are made of, for one tile.
//
// Both read their source "through a table": element (k, position) is
// source[tap_offset[k] + position], so that a convolution needs no im2col matrix: the taps of a
// kernel window are shifts of one padded image (Dukhan 2019, "The Indirect Convolution
// Algorithm", has the same idea with pointers). Positions come in vectors of kLanes neighbours.
#pragma once

#include <cstdint>

namespace simaqat::kernels {

// kLanes neighbouring positions, of which the first `width` exist.
struct PositionVector {
  int64_t source;  // where the first one starts in the source, to which a tap's offset is added
  int64_t target;  // where the first one goes in a channel of the target
  int64_t width;
};

// How many target channels share a packed block of weights: 1 for a single channel (depthwise
// convolutions), else kChannelBlock.
constexpr int64_t kChannelBlock = 4;
inline int64_t channelBlock(int64_t channels) { return channels == 1 ? 1 : kChannelBlock; }
inline int64_t channelBlocks(int64_t channels) {
  return (channels + channelBlock(channels) - 1) / channelBlock(channels);
}
// Taps that are worth a pass: with more, a block of weights leaves the L1 cache.
constexpr int64_t kTapBlock = 512;

// target[c * channel_stride + p * target_step] =
//     start + sum over k in [0, taps) of weights(k, c) * source[tap_offset[k] + p]
// over the channels c and the positions p of all vectors; start is beta times the target's old
// value, or where beta is 0, bias[c], or 0 where bias is null. Whatever the tile, one element is
// one chain of fused multiply-adds in the order of k, in T: float, or double for a sum whose
// rounding should not show.
template <class T>
struct TileProduct {
  const T* source;
  const int64_t* tap_offset;
  int64_t taps;
  // In blocks of `channel_block` channels, [block][taps of the whole sum][channel_block], zeros
  // behind the last channel.
  const T* weights;
  int64_t channel_block;  // channelBlock() of the packed channels, of which this may be a part
  int64_t weight_block_stride;
  int64_t channels;
  const PositionVector* vectors;
  int64_t vector_count;
  float* target;
  int64_t channel_stride;
  int64_t target_step;
  const float* bias;
  float beta;
};
template <class T>
void multiplyTile(const TileProduct<T>& product);

// The same in blocks of kTapBlock taps, for a sum of any length.
template <class T>
void multiplyTileBlocked(TileProduct<T> product);

// result[c * result_stride + k] (+)= sum over positions p of
//     gradient[c * gradient_stride + p] * source[tap_offset[k] + p]
// for channels c and taps k; vectors follow one another in the gradient, whose lanes behind a
// vector's width are zero and whose channels are padded to whole channel blocks.
struct TileCorrelation {
  const float* source;
  const int64_t* tap_offset;
  int64_t taps;
  const PositionVector* vectors;
  int64_t vector_count;
  const float* gradient;
  int64_t gradient_stride;
  int64_t channels;
  float* result;
  int64_t result_stride;
  bool accumulate;
};
void correlateTile(const TileCorrelation& correlation);

}  // namespace simaqat::kernels
