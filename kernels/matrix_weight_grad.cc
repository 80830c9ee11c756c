// The weight gradient on matrix tiles: dw[o, c, k] is a sum over positions, which are the depth here.
// The left operand is x, as codes less the zero point, which bfloat16 holds exactly: rows are channels
// of a tile's buffer, moved by the tap. The right one is dy, split and turned round once for all
// channels and taps.

#include <algorithm>
#include <cstring>

#include "kernels/matrix_conv.h"
#include "kernels/matrix_tiles.h"
#include "kernels/packet.h"
#include "kernels/split_float.h"
#include "kernels/window_sum.h"
#include "kernels/workspace.h"

namespace simaqat::kernels {
namespace {

constexpr int64_t kDepth = 32;  // positions of a tile

int64_t roundUp(int64_t n, int64_t unit) { return ceilDiv(n, unit) * unit; }

// Cut as conv.cc's weight gradient is: into pieces of the sum over positions, whose partial sums are
// added in order at the end, times groups, times blocks of input channels.
struct WeightPlan {
  static constexpr int64_t kChannels = 64;
  static constexpr int64_t kPieces = 16;
  // Positions of a tile and a channel: what is made of dy should stay in the L2 cache, too.
  static constexpr int64_t kPositions = 2048;

  explicit WeightPlan(const ConvShape& shape)
      : sum(forwardSum(shape)),
        channels(std::min(sum.source_channels, kChannels)),
        channel_blocks(ceilDiv(sum.source_channels, channels)),
        tiling(sum, channels, ceilDiv(kPieces, channel_blocks),
               std::min(Tiling::kBufferFloats, kPositions * channels)),
        cuts(std::clamp<int64_t>(kPieces / (channel_blocks * tiling.group_tiles), 1,
                                 std::max<int64_t>(tiling.tiles_of_group, 1))),
        taps(sum.axis[0].taps * sum.axis[1].taps * sum.axis[2].taps),
        row_blocks(ceilDiv(channels, kTileRows)),
        column_blocks(ceilDiv(sum.target_channels, kTileRows)),
        is_flat(tiling.row_stride <= roundUp(tiling.columns, kDepth)),
        row_depth(is_flat ? tiling.row_stride : roundUp(tiling.columns, kDepth)),
        most_depth(ceilDiv(tiling.rows * row_depth, kDepth)),
        sums_of_block(taps * row_blocks * column_blocks * kTileSums),
        // Whole tiles of channels and of positions may be read.
        buffer_size((tiling.images - 1) * tiling.image_floats +
                    roundUp(channels, kTileRows) * tiling.channel_stride + tiling.row_stride +
                    2 * kDepth) {}

  int64_t depth(int64_t rows) const { return ceilDiv(rows * row_depth, kDepth); }
  // Where positions of tile k begin in a channel of the buffer.
  int64_t position(int64_t k) const {
    const int64_t at = k * kDepth;
    return is_flat ? at : at / row_depth * tiling.row_stride + at % row_depth;
  }

  WindowSum sum;
  int64_t channels, channel_blocks;
  Tiling tiling;
  int64_t cuts, taps, row_blocks, column_blocks;
  bool is_flat;       // positions go on from row to row as the buffer does, its gaps included
  int64_t row_depth;  // positions from one row's first to the next one's
  int64_t most_depth;
  int64_t sums_of_block;  // of a piece's group
  int64_t buffer_size;    // bfloat16 numbers
};

struct WeightMemory {
  WeightMemory(const WeightPlan& plan, int threads, std::byte* workspace) : memory(workspace) {
    taps = memory.take<int64_t>(plan.taps);
    left_offset = memory.take<int64_t>(plan.most_depth);
    partial =
        memory.take<float>(plan.cuts * plan.sum.group * plan.channel_blocks * plan.sums_of_block);
    buffers = memory.takeForThreads<uint16_t>(threads, plan.buffer_size);
    lines = memory.takeForThreads<float>(threads, kTileRows * plan.most_depth * kDepth);
    halves =
        memory.takeForThreads<uint16_t>(threads, kPlanes * kTileRows * plan.most_depth * kDepth);
    right = memory.takeForThreads<std::byte>(threads, 2 * plan.most_depth * kPlanes * kTileBytes);
  }
  Workspace memory;
  int64_t* taps;         // offsets in a buffer
  int64_t* left_offset;  // bytes
  float* partial;        // [cut][group][channel block][tap][row block][column block][kTileSums]
  ThreadArrays<uint16_t> buffers;
  ThreadArrays<float> lines;      // [kTileRows][positions]: dy with zeros where there is none
  ThreadArrays<uint16_t> halves;  // [kPlanes][kTileRows][positions]
  ThreadArrays<std::byte> right;  // [2][tile][kPlanes]
};

struct HalfRows {
  void copy(int64_t image, int64_t channel, int64_t at, const RowCut& cut, uint16_t* out) const {
    const uint8_t* row = x.codes + (image * image_channels + channel) * plane + at + cut.begin;
    std::fill(out, out + cut.first, uint16_t{0});
    if (cut.step == 1) {
      for (int64_t i = cut.first; i < cut.end; ++i) out[i] = half(row[i]);
    } else {
      for (int64_t i = cut.first; i < cut.end; ++i) out[i] = half(row[i * cut.step]);
    }
    std::fill(out + cut.end, out + cut.count, uint16_t{0});
  }
  void outside(const RowCut& cut, uint16_t* out) const { std::fill(out, out + cut.count, uint16_t{0}); }
  // A whole number up to 256 in magnitude is one of bfloat16.
  uint16_t half(uint8_t code) const {
    const float value = static_cast<float>(code) - x.zero_point;
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    return static_cast<uint16_t>(bits >> 16);
  }

  Codes x;
  int64_t image_channels, plane;
};

// 16 x 16 words turned round.
void transposeTile(const uint32_t* from, int64_t stride, std::byte* to) {
  const auto* in = reinterpret_cast<const float*>(from);
  auto* out = reinterpret_cast<float*>(to);
  if constexpr (kTileRows % kLanes == 0) {
    for (int64_t i = 0; i < kTileRows; i += kLanes) {
      for (int64_t j = 0; j < kTileRows; j += kLanes) {
        PacketSquare block;
        for (int r = 0; r < kLanes; ++r) block.packet[r] = load(in + (i + r) * stride + j);
        Eigen::internal::ptranspose(block);
        for (int r = 0; r < kLanes; ++r) store(out + (j + r) * kTileRows + i, block.packet[r]);
      }
    }
  }
}

class WeightGrad {
 public:
  WeightGrad(const WeightPlan& plan, const WeightMemory& memory, const Codes& x, const float* dy)
      : plan_(plan), m_(memory), sum_(plan.sum), tiling_(plan.tiling), x_(x), dy_(dy) {}

  // One piece: a cut of the positions, a tile of groups, a block of channels.
  void run(int64_t piece, int worker) const {
    const MatrixTiles tiles;
    const int64_t channel_block = piece % plan_.channel_blocks;
    const int64_t group_tile = piece / plan_.channel_blocks % tiling_.group_tiles;
    const int64_t cut = piece / plan_.channel_blocks / tiling_.group_tiles;
    const int64_t first_group = group_tile * tiling_.groups;
    const int64_t end_group = std::min(sum_.group, first_group + tiling_.groups);
    uint16_t* buffer = m_.buffers.of(worker);
    // What is read between rows and behind them is multiplied by zero, and has to be finite.
    std::fill_n(buffer, plan_.buffer_size, uint16_t{0});
    for (int64_t g = first_group; g < end_group; ++g) {
      std::fill_n(sumsOf(cut, g, channel_block), plan_.sums_of_block, 0.0f);
    }
    const int64_t begin = tiling_.tiles_of_group * cut / plan_.cuts;
    const int64_t end = tiling_.tiles_of_group * (cut + 1) / plan_.cuts;
    for (int64_t tile = begin; tile < end; ++tile) {
      const TileRange range(sum_, tiling_, tile);
      for (int64_t g = first_group; g < end_group; ++g) {
        const int64_t channel = channel_block * plan_.channels;
        const int64_t channels = std::min(plan_.channels, sum_.source_channels - channel);
        const HalfRows rows{x_, sum_.group * sum_.source_channels, sum_.sourcePlane()};
        fillBuffer(sum_, tiling_, range, rows, g * sum_.source_channels + channel, channels, buffer);
        for (int64_t n = 0; n < range.images; ++n) {
          addImage(range, n, g, channels, buffer + n * tiling_.image_floats,
                   sumsOf(cut, g, channel_block), worker);
        }
      }
    }
  }

  float* sumsOf(int64_t cut, int64_t group, int64_t channel_block) const {
    return m_.partial + ((cut * sum_.group + group) * plan_.channel_blocks + channel_block) *
                            plan_.sums_of_block;
  }

 private:
  void addImage(const TileRange& range, int64_t n, int64_t g, int64_t channels,
                const uint16_t* buffer, float* sums, int worker) const {
    const int64_t depth = plan_.depth(range.rows);
    std::byte* right = m_.right.of(worker);
    MatrixCorrelation c{};
    c.left_block_stride = kTileRows * tiling_.channel_stride * int64_t{sizeof(uint16_t)};
    c.left_row_stride = tiling_.channel_stride * int64_t{sizeof(uint16_t)};
    c.left_offset = m_.left_offset;
    c.right = right;
    c.depth = depth;
    c.sums_row_stride = plan_.column_blocks * kTileSums;
    for (int64_t column = 0; column < plan_.column_blocks; column += 2) {
      c.columns = static_cast<int>(std::min<int64_t>(2, plan_.column_blocks - column));
      for (int64_t j = 0; j < c.columns; ++j) {
        turnGradient(range, n, g, column + j, depth, right + j * depth * kPlanes * kTileBytes,
                     worker);
      }
      for (int64_t row = 0; row * kTileRows < channels; row += 2) {
        c.rows = (row + 1) * kTileRows < channels ? 2 : 1;
        for (int64_t tap = 0; tap < plan_.taps; ++tap) {
          c.left = reinterpret_cast<const std::byte*>(
              buffer + row * kTileRows * tiling_.channel_stride + m_.taps[tap]);
          c.sums = sums + ((tap * plan_.row_blocks + row) * plan_.column_blocks + column) * kTileSums;
          correlateSplitTiles(c);
        }
      }
    }
  }

  // The right tiles of one block of output channels.
  void turnGradient(const TileRange& range, int64_t n, int64_t g, int64_t block, int64_t depth,
                    std::byte* right, int worker) const {
    const int64_t length = plan_.most_depth * kDepth;
    float* lines = m_.lines.of(worker);
    uint16_t* halves = m_.halves.of(worker);
    for (int64_t o = 0; o < kTileRows; ++o) {
      const int64_t channel = block * kTileRows + o;
      float* line = lines + o * length;
      std::fill_n(line, depth * kDepth, 0.0f);
      if (channel < sum_.target_channels) copyRows(range, n, g * sum_.target_channels + channel, line);
      uint16_t* half = halves + o * length;
      const int64_t plane = kTileRows * length;
      for (int64_t i = 0; i < depth * kDepth; ++i) {
        const Split s = split(line[i]);
        half[i] = static_cast<uint16_t>(s.hi >> 16);
        half[i + plane] = static_cast<uint16_t>(s.mid >> 16);
        half[i + 2 * plane] = static_cast<uint16_t>(s.lo >> 16);
      }
    }
    for (int64_t k = 0; k < depth; ++k) {
      for (int64_t p = 0; p < kPlanes; ++p, right += kTileBytes) {
        const uint16_t* from = halves + p * kTileRows * length + k * kDepth;
        transposeTile(reinterpret_cast<const uint32_t*>(from), length / 2, right);
      }
    }
  }

  void copyRows(const TileRange& range, int64_t n, int64_t channel, float* line) const {
    const Axis &a1 = sum_.axis[1], &a2 = sum_.axis[2];
    const float* plane =
        dy_ + ((range.image + n) * sum_.group * sum_.target_channels + channel) * sum_.targetPlane() +
        range.slice * a1.out_size * a2.out_size;
    for (int64_t r = 0; r < range.rows; ++r) {
      std::memcpy(line + r * plan_.row_depth, plane + (range.row + r) * a2.out_size + range.column,
                  static_cast<size_t>(range.columns) * sizeof(float));
    }
  }

  const WeightPlan& plan_;
  const WeightMemory& m_;
  const WindowSum& sum_;
  const Tiling& tiling_;
  const Codes& x_;
  const float* dy_;
};

// dw of a block of output channels: the cuts' sums, in order.
void addCuts(const WeightPlan& plan, const WeightGrad& grad, int64_t g, int64_t column, float scale,
             float* dw) {
  const WindowSum& sum = plan.sum;
  const int64_t cut_stride = sum.group * plan.channel_blocks * plan.sums_of_block;
  const int64_t first = column * kTileRows;
  const int64_t outputs = std::min(kTileRows, sum.target_channels - first);
  const int64_t per_channel = sum.source_channels * plan.taps;
  float* to = dw + (g * sum.target_channels + first) * per_channel;
  for (int64_t c = 0; c < sum.source_channels; c += kTileRows) {
    // Blocks of channels are whole tiles, but for the last.
    const int64_t row = c % plan.channels / kTileRows;
    const int64_t channels = std::min(kTileRows, sum.source_channels - c);
    for (int64_t tap = 0; tap < plan.taps; ++tap) {
      const float* from = grad.sumsOf(0, g, c / plan.channels) +
                          ((tap * plan.row_blocks + row) * plan.column_blocks + column) * kTileSums;
      float total[kTileSums];
      std::copy_n(from, kTileSums, total);
      for (int64_t cut = 1; cut < plan.cuts; ++cut) {
        for (int64_t i = 0; i < kTileSums; ++i) total[i] += from[cut * cut_stride + i];
      }
      for (int64_t o = 0; o < outputs; ++o) {
        for (int64_t i = 0; i < channels; ++i) {
          to[o * per_channel + (c + i) * plan.taps + tap] = total[i * kTileRows + o] * scale;
        }
      }
    }
  }
}

bool isEmpty(const ConvShape& shape) {
  return shape.batch == 0 || shape.out[0] == 0 || shape.out[1] == 0 || shape.out[2] == 0;
}

}  // namespace

size_t matrixWeightGradWorkspace(const ConvShape& shape, int threads) {
  if (isEmpty(shape)) return 0;
  return WeightMemory(WeightPlan(collapsed(shape)), threads, nullptr).memory.used();
}

void matrixWeightGrad(const ConvShape& shape, const Codes& x, const float* dy, float* dw,
                      std::byte* workspace, ThreadPool& pool) {
  const WeightPlan plan(collapsed(shape));
  const int64_t weights = shape.out_channels * plan.sum.source_channels * plan.taps;
  if (isEmpty(shape)) {
    std::fill_n(dw, weights, 0.0f);
    return;
  }
  const WeightMemory m(plan, pool.threads(), workspace);
  Tiling one_channel = plan.tiling;
  one_channel.channels = 1;
  fillTapOffsets(plan.sum, one_channel, m.taps);
  for (int64_t k = 0; k < plan.most_depth; ++k) {
    m.left_offset[k] = plan.position(k) * int64_t{sizeof(uint16_t)};
  }
  const WeightGrad grad(plan, m, x, dy);
  pool.run(plan.cuts * plan.tiling.group_tiles * plan.channel_blocks,
           [&](int64_t piece, int worker) { grad.run(piece, worker); });

  pool.run(plan.sum.group * plan.column_blocks, [&](int64_t piece, int) {
    addCuts(plan, grad, piece / plan.column_blocks, piece % plan.column_blocks, x.scale, dw);
  });
}

}  // namespace simaqat::kernels
