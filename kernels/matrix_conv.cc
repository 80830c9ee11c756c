#include "kernels/matrix_conv.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/code_rows.h"
#include "kernels/input_grad_sums.h"
#include "kernels/isa.h"
#include "kernels/matrix_tiles.h"
#include "kernels/split_float.h"
#include "kernels/window_sum.h"
#include "kernels/workspace.h"

// Forward and input gradient are window sums (window_sum.h) whose source has words of several
// channels: four codes, or two bfloat16 numbers in three planes. A right tile is 16 words along the
// depth of the sum, at 16 neighbouring positions; it is read where it lies in a tile's buffer where
// words come in sixteens, and else gathered row by row. A left tile has the weights of 16 target
// channels. The input gradient's weights are codes, and their scales are multiplied into dy.

namespace simaqat::kernels {
namespace {

constexpr int64_t kDepthRows = 16;    // words of a right tile
constexpr int64_t kMostTiles = 4096;  // of a sum's depth

// How a window sum of words is done in tiles.
struct MatrixPlan {
  MatrixPlan(const WindowSum& channels, int64_t word, int64_t planes)
      : sum(channels),
        word(word),
        planes(planes),
        words(ceilDiv(channels.source_channels, word)),
        tiling(withWords(channels, words), words, Tiling::kTiles,
               Tiling::kBufferFloats / (planes == 1 ? 1 : 2)),
        spatial_taps(sum.axis[0].taps * sum.axis[1].taps * sum.axis[2].taps),
        in_place(words % kDepthRows == 0),
        depth(in_place ? spatial_taps * (words / kDepthRows)
                       : ceilDiv(spatial_taps * words, kDepthRows)),
        row_blocks(ceilDiv(sum.target_channels, kTileRows)),
        // Reading sixteen words reaches beyond the last position.
        plane_words(tiling.bufferSize() + kDepthRows) {
    sum.source_channels = words;
  }

  static WindowSum withWords(WindowSum sum, int64_t words) {
    sum.source_channels = words;
    return sum;
  }
  int64_t leftBytes() const { return sum.group * row_blocks * depth * kTileBytes; }
  int64_t gatheredBytes() const { return in_place ? 0 : 2 * planes * depth * kTileBytes; }

  WindowSum sum;
  int64_t word, planes, words;
  Tiling tiling;
  int64_t spatial_taps;
  bool in_place;
  int64_t depth, row_blocks;
  int64_t plane_words;
};

// A word of the depth: which tap it belongs to, and its number.
struct DepthWord {
  int64_t tap, word;
};
DepthWord depthWord(const MatrixPlan& plan, int64_t row) {
  return {row / plan.words, row % plan.words};
}

// The index within a kernel of a sum's tap.
int64_t kernelIndex(const WindowSum& sum, int64_t tap) {
  const Axis &a0 = sum.axis[0], &a1 = sum.axis[1], &a2 = sum.axis[2];
  const int64_t w = tap % a2.taps, h = tap / a2.taps % a1.taps, d = tap / a2.taps / a1.taps;
  return ((a0.kernel_begin + d * a0.kernel_step) * a1.kernel_size + a1.kernel_begin +
          h * a1.kernel_step) *
             a2.kernel_size +
         a2.kernel_begin + w * a2.kernel_step;
}

// Where a code of the weights is: (target channel, source channel, kernel index) of a group.
struct CodeStrides {
  int64_t group, target, source;
};

// One left tile: rows of 64 bytes, one a target channel.
void packLeft(const MatrixPlan& plan, const int8_t* codes, const CodeStrides& strides,
              int64_t source_channels, int64_t row_block, int64_t tile, std::byte* packed) {
  std::memset(packed, 0, kTileBytes);
  const int64_t channels = std::min(kTileRows, plan.sum.target_channels - row_block * kTileRows);
  codes += row_block * kTileRows * strides.target;
  for (int64_t r = 0; r < kDepthRows; ++r) {
    const DepthWord at = depthWord(plan, tile * kDepthRows + r);
    if (at.tap >= plan.spatial_taps) break;
    const int64_t s = at.word * plan.word;
    const int64_t count = std::min(plan.word, source_channels - s);
    const int8_t* from = codes + s * strides.source + kernelIndex(plan.sum, at.tap);
    std::byte* to = packed + r * 4;
    for (int64_t m = 0; m < channels; ++m, from += strides.target, to += 64) {
      for (int64_t e = 0; e < count; ++e) {
        const int8_t code = from[e * strides.source];
        if (plan.word == kCodesOfWord) {
          std::memcpy(to + e, &code, 1);
        } else {
          const auto half = static_cast<uint16_t>(roundedToBfloat16(code) >> 16);
          std::memcpy(to + 2 * e, &half, 2);
        }
      }
    }
  }
}

// The weights' codes, one row of w an output channel.
void weightCodes(const float* w, const float* scale, int64_t channels, int64_t per_channel,
                 int8_t* codes, ThreadPool& pool) {
  pool.runRanges(channels, ceilDiv(1 << 14, per_channel + 1), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      kernels().quantizeInt8(w + o * per_channel, per_channel, scale[o], 0, -128, 127,
                             codes + o * per_channel);
    }
  });
}

// Memory that the sums of a convolution have in common.
struct MatrixMemory {
  template <class Sums>
  MatrixMemory(const Sums& sums, int64_t word, int64_t planes, int64_t all_weights, int threads,
               std::byte* workspace)
      : memory(workspace) {
    int64_t all_left = 0, all_offsets = 0;
    sums([&](const WindowSum& sum) {
      const MatrixPlan plan(sum, word, planes);
      all_left += plan.leftBytes();
      all_offsets += plan.depth * kDepthRows;
      plane_words = std::max(plane_words, plan.plane_words);
      gathered_bytes = std::max(gathered_bytes, plan.gatheredBytes());
      vector_size = std::max(vector_size, plan.tiling.vectors_of_tile);
      most_taps = std::max(most_taps, plan.spatial_taps);
      tiles = std::max(tiles, plan.tiling.tiles());
    });
    codes = memory.take<int8_t>(all_weights);
    left = memory.take<std::byte>(all_left);
    offsets = memory.take<int64_t>(all_offsets);
    taps = memory.take<int64_t>(most_taps);
    vectors = memory.takeForThreads<PositionVector>(threads, vector_size);
    buffers = memory.takeForThreads<uint32_t>(threads, planes * plane_words);
    gathered = memory.takeForThreads<std::byte>(threads, gathered_bytes);
    tile_sums = memory.takeForThreads<int32_t>(threads, 4 * kTileSums);
  }
  Workspace memory;
  int64_t plane_words = 0, gathered_bytes = 0, vector_size = 0, most_taps = 0, tiles = 0;
  int8_t* codes;
  std::byte* left;          // [sum][group][row block][tile]
  int64_t* offsets;         // [sum][word of the depth]: in a buffer, words
  int64_t* taps;            // the offsets of one word's taps
  ThreadArrays<PositionVector> vectors;
  ThreadArrays<uint32_t> buffers;    // [plane]
  ThreadArrays<std::byte> gathered;  // [2][plane][tile]
  ThreadArrays<int32_t> tile_sums;   // [2][2][kTileSums]
};

// The offsets of all words of the depth; those behind the last are the first's.
void fillOffsets(const MatrixPlan& plan, int64_t* taps, int64_t* offsets) {
  Tiling one_word = plan.tiling;
  one_word.channels = 1;
  fillTapOffsets(plan.sum, one_word, taps);
  for (int64_t row = plan.depth * kDepthRows; row-- > 0;) {
    const DepthWord at = depthWord(plan, row);
    offsets[row] = at.tap < plan.spatial_taps
                       ? taps[at.tap] + at.word * plan.tiling.channel_stride
                       : taps[0];
  }
}

// Positions of a tile, sixteen at a time.
int64_t fillSixteens(const MatrixPlan& plan, const TileRange& range, PositionVector* vectors) {
  return fillVectors(plan.sum, plan.tiling, range, vectors, kTileRows);
}

// Copies the right tiles of up to two vectors of positions together.
void gather(const MatrixPlan& plan, const int64_t* offsets, const uint32_t* buffer,
            int64_t plane_words, const PositionVector* vectors, int64_t count, std::byte* to) {
  for (int64_t j = 0; j < count; ++j) {
    for (int64_t plane = 0; plane < plan.planes; ++plane) {
      const uint32_t* from = buffer + plane * plane_words + vectors[j].source;
      for (int64_t row = 0; row < plan.depth * kDepthRows; ++row, to += 64) {
        std::memcpy(to, from + offsets[row], 64);
      }
    }
  }
}

// Everything a tile needs: `Task` fills a buffer and finishes sums.
template <class Task>
void runTile(const Task& task, const MatrixPlan& plan, const MatrixMemory& m, const std::byte* left,
             const int64_t* offsets, int64_t tile, int worker) {
  const TileRange range(plan.sum, plan.tiling, tile % plan.tiling.tiles_of_group);
  PositionVector* vectors = m.vectors.of(worker);
  const int64_t count = fillSixteens(plan, range, vectors);
  uint32_t* buffer = m.buffers.of(worker);
  std::byte* gathered = m.gathered.of(worker);
  int32_t* sums = m.tile_sums.of(worker);
  const int64_t first_group = tile / plan.tiling.tiles_of_group * plan.tiling.groups;
  const int64_t end_group = std::min(plan.sum.group, first_group + plan.tiling.groups);

  MatrixProduct p{};
  p.left_stride = plan.depth * kTileBytes;
  p.depth = plan.depth;
  p.sums = sums;
  // Offsets of tiles in place: those of each tile's first word.
  int64_t tile_offset[kMostTiles];
  for (int64_t k = 0; k < plan.depth; ++k) {
    tile_offset[k] = plan.in_place ? offsets[k * kDepthRows] * int64_t{sizeof(uint32_t)}
                                   : k * kTileBytes;
  }
  p.right_offset = tile_offset;
  p.right_row_stride = plan.in_place ? plan.tiling.channel_stride * int64_t{sizeof(uint32_t)} : 64;
  p.plane_stride = plan.in_place ? m.plane_words * int64_t{sizeof(uint32_t)}
                                 : plan.depth * kTileBytes;

  const auto multiply = [&](int64_t g, int64_t block, int64_t v) {
    p.rows = static_cast<int>(std::min<int64_t>(2, plan.row_blocks - block));
    p.columns = static_cast<int>(std::min<int64_t>(2, count - v));
    p.left = left + (g * plan.row_blocks + block) * p.left_stride;
    for (int64_t j = 0; j < p.columns; ++j) {
      p.right[j] = plan.in_place ? reinterpret_cast<const std::byte*>(buffer + vectors[v + j].source)
                                 : gathered + j * plan.planes * plan.depth * kTileBytes;
    }
    Task::multiply(p);
    for (int64_t i = 0; i < p.rows; ++i) {
      for (int64_t j = 0; j < p.columns; ++j) {
        const int64_t channel = g * plan.sum.target_channels + (block + i) * kTileRows;
        const int64_t channels = std::min(
            kTileRows, plan.sum.target_channels - (block + i) * kTileRows);
        task.finish(plan.sum, sums + (i * p.columns + j) * kTileSums, channel, channels,
                    vectors[v + j]);
      }
    }
  };

  for (int64_t g = first_group; g < end_group; ++g) {
    task.fill(plan, range, g, m.plane_words, buffer);
    if (plan.in_place) {
      // A block's weights stay in the cache while all positions go by.
      for (int64_t block = 0; block < plan.row_blocks; block += 2) {
        for (int64_t v = 0; v < count; v += 2) multiply(g, block, v);
      }
    } else {
      for (int64_t v = 0; v < count; v += 2) {
        gather(plan, offsets, buffer, m.plane_words, vectors + v, std::min<int64_t>(2, count - v),
               gathered);
        for (int64_t block = 0; block < plan.row_blocks; block += 2) multiply(g, block, v);
      }
    }
  }
}

template <class Task, class Sums>
void runSums(const Task& task, const Sums& sums, const MatrixMemory& m, const CodeStrides& strides,
             ThreadPool& pool) {
  std::byte* left = m.left;
  int64_t* offsets = m.offsets;
  sums([&](const WindowSum& sum) {
    const MatrixPlan plan(sum, Task::kWord, Task::kSumPlanes);
    fillOffsets(plan, m.taps, offsets);
    const int64_t tiles = sum.group * plan.row_blocks * plan.depth;
    pool.runRanges(tiles, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t block = i / plan.depth;
        packLeft(plan, m.codes + block / plan.row_blocks * strides.group, strides,
                 sum.source_channels, block % plan.row_blocks, i % plan.depth,
                 left + i * kTileBytes);
      }
    });
    left += plan.leftBytes();
    offsets += plan.depth * kDepthRows;
  });

  // As in conv.cc, a piece does its share of every sum.
  pool.run(m.tiles, [&](int64_t piece, int worker) {
    const MatrixTiles tiles;
    const std::byte* own_left = m.left;
    const int64_t* own_offsets = m.offsets;
    sums([&](const WindowSum& sum) {
      const MatrixPlan plan(sum, Task::kWord, Task::kSumPlanes);
      const int64_t end = plan.tiling.tiles() * (piece + 1) / m.tiles;
      for (int64_t tile = plan.tiling.tiles() * piece / m.tiles; tile < end; ++tile) {
        runTile(task, plan, m, own_left, own_offsets, tile, worker);
      }
      own_left += plan.leftBytes();
      own_offsets += plan.depth * kDepthRows;
    });
  });
}

// ---- Forward -------------------------------------------------------------------------------

struct ForwardTask {
  static constexpr int64_t kWord = 4, kSumPlanes = 1;
  static void multiply(const MatrixProduct& p) { multiplyCodeTiles(p); }

  void fill(const MatrixPlan& plan, const TileRange& range, int64_t g, int64_t,
            uint32_t* buffer) const {
    const CodeRows rows{x.codes,
                        plan.sum.group * group_channels,
                        plan.sum.sourcePlane(),
                        plan.words,
                        group_channels,
                        zero_point};
    fillBuffer(plan.sum, plan.tiling, range, rows, g * plan.words, plan.words, buffer);
  }

  void finish(const WindowSum& sum, const int32_t* sums, int64_t channel, int64_t channels,
              const PositionVector& vector) const {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t o = channel + c;
      const float factor = x.scale * w_scale[o];
      const float start = bias == nullptr ? 0.0f : bias[o];
      float lanes[kTileRows];
      for (int64_t i = 0; i < kTileRows; ++i) {
        lanes[i] = static_cast<float>(sums[c * kTileRows + i] - offset[o]) * factor + start;
      }
      putResults(results, o * sum.targetPlane() + vector.target, lanes, vector.width, nullptr);
    }
  }

  Codes x;
  int32_t zero_point;
  int64_t group_channels;
  const float* w_scale;
  const float* bias;
  const int32_t* offset;  // zero_point times the sum of a channel's codes
  const ConvResults& results;
};

// ---- Input gradient ------------------------------------------------------------------------

// Rows of words of two channels of dy, times the channels' scales, in three planes.
struct SplitRows {
  void copy(int64_t image, int64_t word, int64_t at, const RowCut& cut, uint32_t* out) const {
    outside(cut, 0, cut.first, out);
    outside(cut, cut.end, cut.count, out);
    const int64_t group = word / group_words;
    const int64_t channel = word % group_words * 2;
    const int64_t second = std::min(channel + 1, group_channels - 1);
    const int64_t from = image * image_channels + group * group_channels;
    const float* low = source + (from + channel) * plane + at + cut.begin;
    const float* high = source + (from + second) * plane + at + cut.begin;
    const float low_scale = scale[group * group_channels + channel];
    // Behind the last channel the weights are zero, and dy has to be finite.
    const float high_scale =
        channel + 1 < group_channels ? scale[group * group_channels + second] : 0.0f;
    if (cut.step == 1) {
      words(low, high, low_scale, high_scale, cut.first, cut.end, 1, out);
    } else {
      words(low, high, low_scale, high_scale, cut.first, cut.end, cut.step, out);
    }
  }
  void words(const float* low, const float* high, float low_scale, float high_scale, int64_t begin,
             int64_t end, int64_t step, uint32_t* out) const {
    uint32_t* mid = out + plane_words;
    uint32_t* lo = out + 2 * plane_words;
    for (int64_t i = begin; i < end; ++i) {
      const Split a = split(low[i * step] * low_scale);
      const Split b = split(high[i * step] * high_scale);
      out[i] = a.hi >> 16 | b.hi;
      mid[i] = a.mid >> 16 | b.mid;
      lo[i] = a.lo >> 16 | b.lo;
    }
  }
  void outside(const RowCut& cut, uint32_t* out) const { outside(cut, 0, cut.count, out); }
  void outside(const RowCut&, int64_t begin, int64_t end, uint32_t* out) const {
    for (int64_t p = 0; p < kPlanes; ++p) std::fill(out + begin, out + end, 0u), out += plane_words;
  }

  const float* source;
  int64_t image_channels, plane;
  int64_t group_words, group_channels;
  const float* scale;
  int64_t plane_words;
};

struct InputGradTask {
  static constexpr int64_t kWord = 2, kSumPlanes = kPlanes;
  static void multiply(const MatrixProduct& p) { multiplySplitTiles(p); }

  void fill(const MatrixPlan& plan, const TileRange& range, int64_t g, int64_t plane_words,
            uint32_t* buffer) const {
    const SplitRows rows{dy,
                         plan.sum.group * group_channels,
                         plan.sum.sourcePlane(),
                         plan.words,
                         group_channels,
                         w_scale,
                         plane_words};
    fillBuffer(plan.sum, plan.tiling, range, rows, g * plan.words, plan.words, buffer);
  }

  void finish(const WindowSum& sum, const int32_t* sums, int64_t channel, int64_t channels,
              const PositionVector& vector) const {
    const int64_t step = sum.axis[2].out_step;
    for (int64_t c = 0; c < channels; ++c) {
      const int32_t* from = sums + c * kTileRows;
      float* to = dx + (channel + c) * sum.targetPlane() + vector.target;
      if (step == 1) {
        std::memcpy(to, from, static_cast<size_t>(vector.width) * sizeof(float));
      } else {
        for (int64_t i = 0; i < vector.width; ++i) std::memcpy(to + i * step, from + i, sizeof(float));
      }
    }
  }

  const float* dy;
  int64_t group_channels;
  const float* w_scale;
  float* dx;
};

int64_t perOutputChannel(const ConvShape& shape) {
  return shape.in_channels / shape.group * shape.kernel[0] * shape.kernel[1] * shape.kernel[2];
}

MatrixMemory forwardMemory(const ConvShape& shape, int threads, std::byte* workspace) {
  return MatrixMemory(ForwardSums{collapsed(shape)}, ForwardTask::kWord, ForwardTask::kSumPlanes,
                      shape.out_channels * perOutputChannel(shape), threads, workspace);
}

MatrixMemory inputGradMemory(const ConvShape& shape, int threads, std::byte* workspace) {
  return MatrixMemory(InputGradSums{collapsed(shape)}, InputGradTask::kWord,
                      InputGradTask::kSumPlanes, shape.out_channels * perOutputChannel(shape),
                      threads, workspace);
}

}  // namespace

bool convFitsMatrixTiles(const ConvShape& shape) {
  if (kernels().isa != Isa::kAmx) return false;
  const int64_t in = shape.in_channels / shape.group, out = shape.out_channels / shape.group;
  const int64_t taps = shape.kernel[0] * shape.kernel[1] * shape.kernel[2];
  return out >= 8 && in * taps >= 16 &&
         ceilDiv(std::max(in, out), 2) * taps <= kMostTiles * kDepthRows;
}

size_t matrixConvWorkspace(const ConvShape& shape, int threads) {
  Workspace offset(nullptr);
  offset.take<int32_t>(shape.out_channels);
  return offset.used() + forwardMemory(shape, threads, nullptr).memory.used();
}

void matrixConv(const ConvShape& shape, const Codes& x, const float* w, const float* w_scale,
                const float* bias, const ConvResults& results, std::byte* workspace,
                ThreadPool& pool) {
  Workspace head(workspace);
  auto* offset = head.take<int32_t>(shape.out_channels);
  const MatrixMemory m = forwardMemory(shape, pool.threads(), workspace + head.used());
  const int64_t per_channel = perOutputChannel(shape);
  weightCodes(w, w_scale, shape.out_channels, per_channel, m.codes, pool);
  const auto zero_point = std::isfinite(x.zero_point) ? static_cast<int32_t>(x.zero_point) : 0;
  pool.runRanges(shape.out_channels, ceilDiv(1 << 14, per_channel + 1),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t o = begin; o < end; ++o) {
                     int32_t sum = 0;
                     for (int64_t i = 0; i < per_channel; ++i) sum += m.codes[o * per_channel + i];
                     offset[o] = zero_point * sum;
                   }
                 });
  const int64_t kernel = shape.kernel[0] * shape.kernel[1] * shape.kernel[2];
  const CodeStrides strides{shape.out_channels / shape.group * per_channel, per_channel, kernel};
  const ForwardTask task{x,      zero_point, shape.in_channels / shape.group, w_scale, bias,
                         offset, results};
  runSums(task, ForwardSums{collapsed(shape)}, m, strides, pool);
  if (results.moments != nullptr) {
    const int64_t plane = shape.out[0] * shape.out[1] * shape.out[2];
    channelMoments(results.y, shape.batch, shape.out_channels, plane, results.moments, pool);
  }
}

size_t matrixInputGradWorkspace(const ConvShape& shape, int threads) {
  return inputGradMemory(shape, threads, nullptr).memory.used();
}

void matrixInputGrad(const ConvShape& shape, const float* dy, const float* w, const float* w_scale,
                     float* dx, std::byte* workspace, ThreadPool& pool) {
  const MatrixMemory m = inputGradMemory(shape, pool.threads(), workspace);
  const int64_t per_channel = perOutputChannel(shape);
  weightCodes(w, w_scale, shape.out_channels, per_channel, m.codes, pool);
  const int64_t kernel = shape.kernel[0] * shape.kernel[1] * shape.kernel[2];
  const CodeStrides strides{shape.out_channels / shape.group * per_channel, kernel, per_channel};
  const InputGradTask task{dy, shape.out_channels / shape.group, w_scale, dx};
  runSums(task, InputGradSums{collapsed(shape)}, m, strides, pool);
}

}  // namespace simaqat::kernels
