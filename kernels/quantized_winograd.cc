#include "kernels/quantized_winograd.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/isa.h"
#include "kernels/pair_product.h"
#include "kernels/weight_codes.h"
#include "kernels/winograd_blocks.h"
#include "kernels/winograd_tiles.h"
#include "kernels/workspace.h"

// As in winograd_conv.cc, with pairs of two channels' codes in place of channels: `sum` below is a
// window sum over such pairs.

namespace simaqat::kernels {
namespace {

using Tiles = WinogradTiles<2>;
constexpr int kSide = 2, kTile = 4;
constexpr int64_t kElements = kTile * kTile;

// Unsigned, to wrap: lanes behind the last tile and weights that no code tells hold anything.
typedef uint16_t Pairs __attribute__((vector_size(4 * kLanes)));
typedef uint32_t Integers __attribute__((vector_size(4 * kLanes)));
typedef uint32_t Channels __attribute__((vector_size(4 * kPairChannels)));

// The same bits as another type of vector.
template <class To, class From>
inline To bitsAs(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

// Rows of pairs of channels' codes less the zero point, for fillBuffer.
struct PairRows {
  void copy(int64_t image, int64_t pair, int64_t at, const RowCut& cut, uint32_t* out) const {
    const int64_t group = pair / group_pairs;
    const int64_t channel = pair % group_pairs * kIntegersOfPair;
    const uint8_t* row = source +
                         (image * image_channels + group * group_channels + channel) * plane + at +
                         cut.begin;
    // Behind the last channel the weights are zero, and any code will do.
    const uint8_t* other = channel + 1 < group_channels ? row + plane : row;
    std::fill(out, out + cut.first, 0u);
    for (int64_t i = cut.first; i < cut.end; ++i) {
      const uint32_t low = static_cast<uint32_t>(row[i]) - zero_point;
      const uint32_t high = static_cast<uint32_t>(other[i]) - zero_point;
      out[i] = (low & 0xffff) | high << 16;
    }
    std::fill(out + cut.end, out + cut.count, 0u);
  }
  void outside(const RowCut& cut, uint32_t* out) const { std::fill_n(out, cut.count, 0u); }

  const uint8_t* source;
  int64_t image_channels, plane;
  int64_t group_pairs, group_channels;
  uint32_t zero_point;
};

// Where a tile's results lie among those of its block, [image][row][column], and how many rows and
// columns of them exist.
struct TileResults {
  int32_t at, rows, columns;
};

// Whether kLanes tiles make whole rows, as many for each: a plane may end between two of them.
bool areNeighbours(const TileResults* tile, int64_t count) {
  const TileResults &first = tile[0], &last = tile[count - 1];
  return count == kLanes && last.at == first.at + kSide * (kLanes - 1) && last.columns == kSide &&
         last.rows == first.rows;
}

WindowSum pairSum(const ConvShape& shape) {
  WindowSum sum = forwardSum(shape);
  sum.source_channels = ceilDiv(sum.source_channels, kIntegersOfPair);
  return sum;
}

// Blocks of some hundred tiles, for which the weights are worth reading.
Tiling tilingOf(const WindowSum& tiles) {
  constexpr int64_t kBufferOfPair = 1024;
  return Tiling(tiles, tiles.source_channels, Tiling::kTiles,
                tiles.source_channels * kBufferOfPair);
}

// Tiles whose sums are taken together: what is transformed lies as the inner loop reads it.
constexpr int64_t kTogether = kPairVectors * kLanes;

// Twice G g: integers, so that results are four times what they should be.
void twiceWeights(const Channels (&g)[3], Channels (&out)[kTile]) {
  out[0] = g[0] + g[0];
  out[1] = g[0] + g[1] + g[2];
  out[2] = g[0] - g[1] + g[2];
  out[3] = g[2] + g[2];
}

struct Convolution {
  Convolution(const ConvShape& shape, int threads, std::byte* workspace)
      : sum(pairSum(shape)),
        tiles(tilesOf<kSide>(sum)),
        tiling(tilingOf(tiles)),
        layout(positionsOf<kSide>(sum, tiling)),
        group_channels(shape.in_channels / shape.group),
        blocks(ceilDiv(sum.target_channels, kPairChannels)),
        weights_size(sum.source_channels * kPairChannels + kApart),
        source_size(sum.source_channels * kTogether + kApart),
        source_sets(ceilDiv(tiling.positions(), kTogether)),
        tiles_stride((source_sets + 1) * kTogether),
        buffer_size(layout.bufferSize() + kBehindRow),
        results_size(kSide * kSide * tiling.positions()),
        memory(workspace) {
    weights = memory.take<uint32_t>(sum.group * blocks * kElements * weights_size);
    codes = memory.takeForThreads<int32_t>(threads, kPairChannels * codesOfChannel());
    factor = memory.take<float>(shape.out_channels);
    buffers = memory.takeForThreads<uint32_t>(threads, buffer_size);
    tiles_of_pair = memory.takeForThreads<uint32_t>(threads, kElements * tiles_stride);
    source = memory.takeForThreads<uint32_t>(threads, source_sets * kElements * source_size);
    tile_results = memory.takeForThreads<TileResults>(threads, tiling.positions());
    block_results = memory.takeForThreads<float>(threads, kPairChannels * results_size);
    moments = memory.take<PartialMoments>(tiling.tiles_of_group * shape.out_channels);
  }

  // With the channel behind an odd one, whose codes are zero.
  int64_t codesOfChannel() const { return sum.source_channels * kIntegersOfPair * 9; }

  // The codes of a block's channels, and what makes results of sums: NaN where a weight is, which
  // no code tells.
  void findCodes(const float* w, float x_scale, const float* w_scale, int64_t channels,
                 int32_t* code, float* channel_factor) const {
    std::fill_n(code, kPairChannels * codesOfChannel(), 0);
    for (int64_t c = 0; c < channels; ++c, code += codesOfChannel(), w += group_channels * 9) {
      const float scale = w_scale[c];
      for (int64_t i = 0; i < group_channels * 9; ++i) code[i] = codeOfWeight(w[i], scale);
      int32_t nans = 0;
      for (int64_t i = 0; i < group_channels * 9; ++i) nans |= w[i] != w[i] ? 1 : 0;
      channel_factor[c] = nans != 0 ? std::numeric_limits<float>::quiet_NaN() : x_scale * scale;
    }
  }

  // A block's weights as [element][pair][kPairChannels].
  void packBlock(const int32_t* code, uint32_t* block) const {
    for (int64_t s = 0; s < sum.source_channels; ++s) {
      Channels half[kIntegersOfPair][kElements];
      for (int64_t i = 0; i < kIntegersOfPair; ++i) {
        const int32_t* g = code + (s * kIntegersOfPair + i) * 9;
        transformAxes<3, kTile, Channels, twiceWeights>(
            [&](int h, int w) {
              Channels v{};
              for (int c = 0; c < kPairChannels; ++c) {
                v[c] = static_cast<uint32_t>(g[c * codesOfChannel() + h * 3 + w]);
              }
              return v;
            },
            [&](int h, int w, const Channels& v) { half[i][h * kTile + w] = v; });
      }
      for (int64_t e = 0; e < kElements; ++e) {
        const Channels pairs = (half[0][e] & 0xffff) | half[1][e] << 16;
        std::memcpy(block + e * weights_size + s * kPairChannels, &pairs, sizeof(pairs));
      }
    }
  }

  // The source of a block of tiles.
  void transform(const TileRange& range, const PairRows& rows, int64_t first, int worker) const {
    uint32_t* buffer = buffers.of(worker);
    uint32_t* of_pair = tiles_of_pair.of(worker);
    const int64_t sets = ceilDiv(range.images * range.rows * range.columns, kTogether);
    fillBuffer(sum, layout, positionsOf<kSide>(range), rows, first, sum.source_channels, buffer);
    for (int64_t s = 0; s < sum.source_channels; ++s) {
      uint32_t* to = of_pair;
      for (int64_t n = 0; n < range.images; ++n) {
        const uint32_t* row = buffer + n * layout.image_floats + s * layout.channel_stride;
        for (int64_t r = 0; r < range.rows; ++r) {
          // What a row's last vector has too much, the next row writes over.
          for (int64_t x = 0; x < range.columns; x += kLanes) {
            transformTiles(row + kSide * x, to + x);
          }
          to += range.columns;
          row += kSide * layout.row_stride;
        }
      }
      for (int64_t set = 0; set < sets; ++set) copySet(of_pair, set, s, sourceOf(worker, set, 0));
    }
  }

  // A set's tiles of a pair of channels to where the inner loop reads them.
  void copySet(const uint32_t* of_pair, int64_t set, int64_t pair, uint32_t* source_of_set) const {
    const float* from = reinterpret_cast<const float*>(of_pair + set * kTogether);
    float* to = reinterpret_cast<float*>(source_of_set + pair * kTogether);
    for (int64_t e = 0; e < kElements; ++e, from += tiles_stride, to += source_size) {
      for (int64_t v = 0; v < kPairVectors; ++v) store(to + v * kLanes, load(from + v * kLanes));
    }
  }

  // kLanes neighbouring tiles of a pair of channels.
  void transformTiles(const uint32_t* from, uint32_t* to) const {
    Packet d[kTile][kTile];
    for (int h = 0; h < kTile; ++h) {
      loadTiles(reinterpret_cast<const float*>(from + h * layout.row_stride), d[h]);
    }
    float* words = reinterpret_cast<float*>(to);
    const int64_t size = tiles_stride;
    transformAxes<kTile, kTile, Pairs, Tiles::source<Pairs>>(
        [&](int h, int w) { return bitsAs<Pairs>(d[h][w]); },
        [&](int h, int w, const Pairs& v) {
          store(words + (h * kTile + w) * size, bitsAs<Packet>(v));
        });
  }

  void fillTileResults(const TileRange& tile_range, const TileRange& range,
                       TileResults* tile) const {
    for (int64_t n = 0; n < range.images; ++n) {
      for (int64_t r = 0; r < tile_range.rows; ++r) {
        for (int64_t c = 0; c < tile_range.columns; ++c, ++tile) {
          const int64_t row = kSide * r, column = kSide * c;
          *tile = {static_cast<int32_t>((n * range.rows + row) * range.columns + column),
                   static_cast<int32_t>(std::min<int64_t>(kSide, range.rows - row)),
                   static_cast<int32_t>(std::min<int64_t>(kSide, range.columns - column))};
        }
      }
    }
  }

  // A channel's results at kLanes tiles, of which `count` exist, from its sums of all elements.
  void finish(const PairSums* sums, int64_t channel_in_block, int64_t lane, float factor_of_channel,
              float bias, const TileResults* tile, int64_t count, int64_t columns,
              float* to) const {
    Packet y[kSide][kSide];
    transformAxes<kTile, kSide, Integers, Tiles::sums<Integers>>(
        [&](int h, int w) {
          const int32_t* from = sums[h * kTile + w][channel_in_block] + lane;
          return bitsAs<Integers>(load(reinterpret_cast<const float*>(from)));
        },
        [&](int h, int w, const Integers& v) {
          typedef int32_t Signed __attribute__((vector_size(4 * kLanes)));
          typedef float Floats __attribute__((vector_size(4 * kLanes)));
          // The sum is four times the result.
          const Signed sum_of_codes = bitsAs<Signed>(v) >> 2;
          const Packet result = bitsAs<Packet>(__builtin_convertvector(sum_of_codes, Floats));
          y[h][w] = Eigen::internal::padd(
              Eigen::internal::pmul(result, broadcast(factor_of_channel)), broadcast(bias));
        });
    if (areNeighbours(tile, count)) {
      interleave(y[0][0], y[0][1], to + tile[0].at);
      if (tile[0].rows == kSide) interleave(y[1][0], y[1][1], to + tile[0].at + columns);
      return;
    }
    float results[kSide][kSide * kLanes];
    for (int h = 0; h < kSide; ++h) interleave(y[h][0], y[h][1], results[h]);
    for (int64_t i = 0; i < count; ++i) {
      for (int h = 0; h < tile[i].rows; ++h) {
        float* row = to + tile[i].at + h * columns;
        for (int w = 0; w < tile[i].columns; ++w) row[w] = results[h][kSide * i + w];
      }
    }
  }

  // [pair][kTogether] of a set of tiles and an element.
  uint32_t* sourceOf(int worker, int64_t set, int64_t element) const {
    return source.of(worker) + (set * kElements + element) * source_size;
  }

  // Elements are read and written side by side: at a power of two from one another they would
  // compete for the same lines of the cache.
  static constexpr int64_t kApart = 16;

  WindowSum sum, tiles;
  Tiling tiling;  // of tiles
  Tiling layout;  // of positions, and of the buffer
  int64_t group_channels, blocks;
  int64_t weights_size, source_size;  // of an element
  int64_t source_sets, tiles_stride, buffer_size, results_size;
  Workspace memory;
  uint32_t* weights;          // [group][block][kElements][weights_size]
  ThreadArrays<int32_t> codes;  // [kPairChannels][source channel][3][3]
  float* factor;              // [channel]: the scales of x and of w
  ThreadArrays<uint32_t> buffers;          // [a block's buffer]
  ThreadArrays<uint32_t> tiles_of_pair;    // [kElements][tiles_stride]
  ThreadArrays<uint32_t> source;           // [set][kElements][source_size]
  ThreadArrays<TileResults> tile_results;  // [tile]
  ThreadArrays<float> block_results;       // [kPairChannels][image][row][column]
  PartialMoments* moments;    // [block of tiles][channel]
};

// A channel's results of a block of tiles to where they belong.
void put(const ConvResults& results, const WindowSum& sum, const TileRange& range, int64_t channel,
         const float* values, PartialMoments* partial) {
  const Axis &a1 = sum.axis[1], &a2 = sum.axis[2];
  const int64_t channels = sum.group * sum.target_channels;
  // Rows as long as the plane's are neighbours.
  const int64_t runs = range.columns == a2.count ? 1 : range.rows;
  const int64_t length = range.rows * range.columns / runs;
  for (int64_t n = 0; n < range.images; ++n) {
    const int64_t plane = ((range.image + n) * channels + channel) * sum.targetPlane();
    for (int64_t run = 0; run < runs; ++run, values += length) {
      const int64_t row = range.slice * a1.count + range.row + run;
      putResults(results, plane + row * a2.count + range.column, values, length, partial);
    }
  }
}

void runBlock(const Convolution& m, const PairRows& rows, const float* bias,
              const ConvResults& results, int64_t piece, int worker) {
  const WindowSum& sum = m.sum;
  const int64_t index = piece % m.tiling.tiles_of_group, g = piece / m.tiling.tiles_of_group;
  const TileRange tile_range(m.tiles, m.tiling, index);
  const TileRange range = existing(sum, positionsOf<kSide>(tile_range));
  const int64_t count = tile_range.images * tile_range.rows * tile_range.columns;
  TileResults* tile = m.tile_results.of(worker);
  m.fillTileResults(tile_range, range, tile);
  m.transform(tile_range, rows, g * sum.source_channels, worker);
  float* values = m.block_results.of(worker);
  for (int64_t block = 0; block < m.blocks; ++block) {
    const uint32_t* weights = m.weights + (g * m.blocks + block) * kElements * m.weights_size;
    const int64_t channel = g * sum.target_channels + block * kPairChannels;
    const int64_t channels = std::min(kPairChannels, sum.target_channels - block * kPairChannels);
    for (int64_t t = 0; t < count; t += kTogether) {
      const int64_t vectors = std::min(kPairVectors, ceilDiv(count - t, kLanes));
      PairSums sums[kElements];
      for (int64_t e = 0; e < kElements; ++e) {
        multiplyPairs({m.sourceOf(worker, t / kTogether, e), kTogether,
                       weights + e * m.weights_size, sum.source_channels},
                      vectors, sums[e]);
      }
      for (int64_t c = 0; c < channels; ++c) {
        for (int64_t v = 0; v < vectors; ++v) {
          const int64_t first = t + v * kLanes;
          m.finish(sums, c, v * kLanes, m.factor[channel + c],
                   bias == nullptr ? 0.0f : bias[channel + c], tile + first,
                   std::min<int64_t>(kLanes, count - first), range.columns,
                   values + c * m.results_size);
        }
      }
    }
    for (int64_t c = 0; c < channels; ++c) {
      PartialMoments* partial = nullptr;
      if (results.moments != nullptr) {
        partial = m.moments + index * sum.group * sum.target_channels + channel + c;
        *partial = PartialMoments();
      }
      put(results, sum, range, channel + c, values + c * m.results_size, partial);
    }
  }
}

}  // namespace

bool quantizedWinogradFits(const ConvShape& shape) {
  // Few are not worth the transforms. With as many as 1024, four times a sum, and the parts it is
  // added up from, stay below 2^31.
  constexpr int64_t kFewest = 16, kMost = 1024;
  const std::array<int64_t, 3> window{1, 3, 3}, ones{1, 1, 1};
  const int64_t in = shape.in_channels / shape.group, out = shape.out_channels / shape.group;
  return kernels().isa < Isa::kAvx512Vnni && shape.kernel == window && shape.stride == ones &&
         shape.dilation == ones && in >= kFewest && in <= kMost && out >= kFewest &&
         shape.batch > 0 && shape.out[0] > 0 && shape.out[1] > 0 && shape.out[2] > 0;
}

size_t quantizedWinogradWorkspace(const ConvShape& shape, int threads) {
  return Convolution(shape, threads, nullptr).memory.used();
}

void quantizedWinograd(const ConvShape& shape, const Codes& x, const float* w, const float* w_scale,
                       const float* bias, const ConvResults& results, std::byte* workspace,
                       ThreadPool& pool) {
  const Convolution m(shape, pool.threads(), workspace);
  const WindowSum& sum = m.sum;
  pool.run(sum.group * m.blocks, [&](int64_t i, int worker) {
    const int64_t in_group = i % m.blocks * kPairChannels;
    const int64_t first = i / m.blocks * sum.target_channels + in_group;
    int32_t* codes = m.codes.of(worker);
    m.findCodes(w + first * m.group_channels * 9, x.scale, w_scale + first,
                std::min(kPairChannels, sum.target_channels - in_group), codes, m.factor + first);
    m.packBlock(codes, m.weights + i * kElements * m.weights_size);
  });
  const PairRows rows{
      x.codes,           shape.in_channels,
      sum.sourcePlane(), sum.source_channels,
      m.group_channels,  std::isfinite(x.zero_point) ? static_cast<uint32_t>(x.zero_point) : 0u};
  pool.run(m.tiling.tiles_of_group * sum.group,
           [&](int64_t piece, int worker) { runBlock(m, rows, bias, results, piece, worker); });
  if (results.moments != nullptr) {
    addParts(m.moments, m.tiling.tiles_of_group, shape.out_channels, results.moments);
  }
}

}  // namespace simaqat::kernels
