#include "kernels/quantized_conv.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/code_product.h"
#include "kernels/code_rows.h"
#include "kernels/depthwise_conv.h"
#include "kernels/isa.h"
#include "kernels/quantized_winograd.h"
#include "kernels/weight_codes.h"
#include "kernels/window_sum.h"
#include "kernels/workspace.h"

// Forward as in conv.cc, with words of four channels' codes in place of channels: `sum` below is a
// window sum over such words. A tile's buffer is filled with codes, padding has the code of zero,
// and what the zero point adds to a sum, x_zero_point times the channel's weights, is taken off at
// the end.

namespace simaqat::kernels {
namespace {

// Positions come in vectors of kLanes: where those are shorter, the lanes behind are not used.
static_assert(kLanes <= kCodeLanes);

constexpr int64_t kWord = kCodesOfWord;

WindowSum wordSum(const ConvShape& shape) {
  WindowSum sum = forwardSum(collapsed(shape));
  sum.source_channels = ceilDiv(sum.source_channels, kWord);
  return sum;
}

struct Memory {
  Memory(const WindowSum& sum, const Tiling& tiling, int threads, std::byte* workspace)
      : blocks(ceilDiv(sum.target_channels, kCodeChannels)), memory(workspace) {
    tap_offsets = memory.take<int64_t>(sum.taps());
    weights = memory.take<uint32_t>(sum.group * blocks * kCodeChannels * sum.taps());
    offset = memory.take<int32_t>(sum.group * sum.target_channels);
    factor = memory.take<float>(sum.group * sum.target_channels);
    vectors = memory.takeForThreads<PositionVector>(threads, tiling.vectors_of_tile);
    buffers = memory.takeForThreads<uint32_t>(threads, tiling.bufferSize() + kCodeLanes);
    moments = memory.take<PartialMoments>(tiling.tiles_of_group * sum.group * sum.target_channels);
  }
  int64_t blocks;  // of target channels of a group
  Workspace memory;
  int64_t* tap_offsets;
  uint32_t* weights;        // [group][block][taps][kCodeChannels]
  int32_t* offset;          // [group][channel]: x_zero_point times the sum of the codes
  float* factor;            // [group][channel]: the scales of x and of w
  ThreadArrays<PositionVector> vectors;  // [vectors of a tile]
  ThreadArrays<uint32_t> buffers;        // [a tile's buffer]
  PartialMoments* moments;  // [tile of a group][group][channel]
};

// The codes of one block of channels, their sums times the zero point, and what makes results of
// sums of codes: NaN where a weight is, which no code tells.
void packWeights(const WindowSum& sum, const float* w, int64_t group_channels, const float* w_scale,
                 int64_t channels, float x_scale, int32_t zero_point, uint32_t* packed,
                 int32_t* offset, float* factor) {
  const int64_t kernel = sum.kernelSize();
  std::fill(packed, packed + kCodeChannels * sum.taps(), 0u);
  for (int64_t c = 0; c < channels; ++c) {
    int32_t total = 0;
    factor[c] = x_scale * w_scale[c];
    for (int64_t s = 0; s < group_channels; ++s) {
      for (int64_t k = 0; k < kernel; ++k) {
        const float value = w[(c * group_channels + s) * kernel + k];
        if (value != value) factor[c] = value;
        const int32_t code = codeOfWeight(value, w_scale[c]);
        total += code;
        packed[(s / kWord * kernel + k) * kCodeChannels + c] |=
            (static_cast<uint32_t>(code) & 0xffu) << (8 * (s % kWord));
      }
    }
    offset[c] = zero_point * total;
  }
}

struct Arguments {
  const uint8_t* x;
  int32_t zero_point;
  const float* bias;
  const ConvResults& results;
  int64_t group_channels;  // source channels of a group
};

// Vectors whose results are put together: as floats they should stay in the L1 cache.
constexpr int64_t kVectorsTogether = 8 * kCodeVectors;
using Results = float[kCodeChannels][kVectorsTogether * kCodeLanes];

// The results of one block's channels at up to kCodeVectors vectors, from their sums. Those of a vector
// begin at at[v]; lanes behind its width are where the next one's will be.
void finish(const Arguments& a, const CodeSums& sums, const Memory& m, int64_t channel,
            int64_t channels, const int64_t* at, int64_t count, Results& results) {
  for (int64_t c = 0; c < channels; ++c) {
    const int64_t o = channel + c;
    const float factor = m.factor[o];
    const float bias = a.bias == nullptr ? 0.0f : a.bias[o];
    for (int64_t v = 0; v < count; ++v) {
      float* to = results[c] + at[v];
      for (int64_t i = 0; i < kCodeLanes; ++i) {
        to[i] = static_cast<float>(sums[c][v][i] - m.offset[o]) * factor + bias;
      }
    }
  }
}

// A channel's results at `count` vectors of positions, run by run of those that are neighbours.
void put(const Arguments& a, int64_t plane_begin, const PositionVector* vectors, int64_t count,
         float* values, PartialMoments* partial) {
  for (int64_t begin = 0; begin < count;) {
    int64_t v = begin;
    int64_t end = vectors[begin].target;
    for (; v < count && vectors[v].target == end; ++v) end += vectors[v].width;
    const int64_t n = end - vectors[begin].target;
    putResults(a.results, plane_begin + vectors[begin].target, values, n, partial);
    values += n;
    begin = v;
  }
}

void runTile(const WindowSum& sum, const Tiling& tiling, int64_t tile, const Arguments& a,
             const Memory& m, PositionVector* vectors, uint32_t* buffer) {
  const TileRange range(sum, tiling, tile % tiling.tiles_of_group);
  const int64_t count = fillVectors(sum, tiling, range, vectors);
  const int64_t first_group = tile / tiling.tiles_of_group * tiling.groups;
  const int64_t end_group = std::min(sum.group, first_group + tiling.groups);
  const auto multiply = kernels().multiplyCodes;
  for (int64_t g = first_group; g < end_group; ++g) {
    const CodeRows rows{a.x,
                        sum.group * a.group_channels,
                        sum.sourcePlane(),
                        sum.source_channels,
                        a.group_channels,
                        a.zero_point};
    fillBuffer(sum, tiling, range, rows, g * sum.source_channels, sum.source_channels, buffer);
    CodeProduct product{};
    product.source = buffer;
    product.offset = m.tap_offsets;
    product.taps = sum.taps();
    for (int64_t block = 0; block < m.blocks; ++block) {
      product.weights = m.weights + (g * m.blocks + block) * kCodeChannels * sum.taps();
      const int64_t channel = g * sum.target_channels + block * kCodeChannels;
      const int64_t channels =
          std::min(kCodeChannels, sum.target_channels - block * kCodeChannels);
      PartialMoments* partial = nullptr;
      if (a.results.moments != nullptr) {
        partial =
            m.moments + tile % tiling.tiles_of_group * sum.group * sum.target_channels + channel;
        std::fill_n(partial, channels, PartialMoments());
      }
      for (int64_t first = 0; first < count; first += kVectorsTogether) {
        const int64_t together = std::min(kVectorsTogether, count - first);
        Results results;
        int64_t at[kVectorsTogether];
        for (int64_t v = 0, end = 0; v < together; end += vectors[first + v++].width) at[v] = end;
        for (int64_t v = 0; v < together; v += kCodeVectors) {
          product.vectors = std::min(kCodeVectors, together - v);
          for (int64_t i = 0; i < kCodeVectors; ++i) {
            product.start[i] = vectors[std::min(first + v + i, count - 1)].source;
          }
          CodeSums sums;
          multiply(product, sums);
          finish(a, sums, m, channel, channels, at + v, product.vectors, results);
        }
        for (int64_t c = 0; c < channels; ++c) {
          put(a, (channel + c) * sum.targetPlane(), vectors + first, together, results[c],
              partial == nullptr ? nullptr : partial + c);
        }
      }
    }
  }
}

}  // namespace

bool quantizedConvFits(const ConvShape& shape) {
  if (isDepthwise(shape)) return depthwiseCodesFit(shape);
  const int64_t taps = shape.in_channels / shape.group * shape.kernel[0] * shape.kernel[1] *
                       shape.kernel[2];
  // The zero point's part is as large as the sum.
  return taps < std::numeric_limits<int32_t>::max() / (2 * 255 * 128);
}

size_t quantizedConvWorkspace(const ConvShape& shape, int threads) {
  if (isDepthwise(shape)) return depthwiseCodesWorkspace(shape, threads);
  if (quantizedWinogradFits(shape)) return quantizedWinogradWorkspace(shape, threads);
  const WindowSum sum = wordSum(shape);
  return Memory(sum, Tiling(sum, sum.source_channels, Tiling::kTiles), threads, nullptr)
      .memory.used();
}

void quantizedConv(const ConvShape& shape, const Codes& x, const float* w, const float* w_scale,
                   const float* bias, const ConvResults& results, std::byte* workspace,
                   ThreadPool& pool) {
  if (isDepthwise(shape)) {
    return depthwiseCodes(shape, x, w, w_scale, bias, results, workspace, pool);
  }
  if (quantizedWinogradFits(shape)) {
    return quantizedWinograd(shape, x, w, w_scale, bias, results, workspace, pool);
  }
  const WindowSum sum = wordSum(shape);
  const auto &a0 = sum.axis[0], &a1 = sum.axis[1], &a2 = sum.axis[2];
  if (sum.batch == 0 || a0.count <= 0 || a1.count <= 0 || a2.count <= 0) return;
  const Tiling tiling(sum, sum.source_channels, Tiling::kTiles);
  const Memory m(sum, tiling, pool.threads(), workspace);
  const auto zero_point = std::isfinite(x.zero_point) ? static_cast<int32_t>(x.zero_point) : 0;
  const Arguments a{x.codes, zero_point, bias, results, shape.in_channels / shape.group};

  fillTapOffsets(sum, tiling, m.tap_offsets);
  const int64_t channel_weights = a.group_channels * sum.kernelSize();
  pool.runRanges(sum.group * m.blocks, ceilDiv(1 << 12, channel_weights + 1),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) {
                     const int64_t in_group = i % m.blocks * kCodeChannels;
                     const int64_t o = i / m.blocks * sum.target_channels + in_group;
                     packWeights(sum, w + o * channel_weights, a.group_channels, w_scale + o,
                                 std::min(kCodeChannels, sum.target_channels - in_group), x.scale,
                                 zero_point, m.weights + i * kCodeChannels * sum.taps(),
                                 m.offset + o, m.factor + o);
                   }
                 });
  pool.run(tiling.tiles(), [&](int64_t tile, int worker) {
    runTile(sum, tiling, tile, a, m, m.vectors.of(worker), m.buffers.of(worker));
  });
  if (results.moments != nullptr) {
    addParts(m.moments, tiling.tiles_of_group, shape.out_channels, results.moments);
  }
}

}  // namespace simaqat::kernels
