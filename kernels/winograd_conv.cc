#include "kernels/winograd_conv.h"

#include <algorithm>

#include "kernels/float_rows.h"
#include "kernels/input_grad_sums.h"
#include "kernels/panel_planes.h"
#include "kernels/panel_product.h"
#include "kernels/transpose.h"
#include "kernels/window_sum.h"
#include "kernels/workspace.h"

namespace simaqat::kernels {
namespace {

using Eigen::internal::padd;
using Eigen::internal::pnegate;
using Eigen::internal::psub;

constexpr int64_t kElements = 16;  // of a tile of the source
constexpr int64_t kLanesOfPanel = kPanel<float>;
static_assert(kLanesOfPanel == 2 * kLanes);

// A window sum over 3x3 taps as one over tiles of 2x2 of its positions.
WindowSum tilesOf(WindowSum sum) {
  for (Axis* axis : {&sum.axis[1], &sum.axis[2]}) {
    axis->count = ceilDiv(axis->count, 2);
    axis->step = 2;
    axis->taps = 4;
  }
  return sum;
}

// Blocks of some 50 tiles: few enough that what they are turned into stays in the L2 cache, enough
// that the weights are worth reading for them.
Tiling tilingOf(const WindowSum& tiles, int64_t channels, int64_t blocks) {
  constexpr int64_t kBufferOfChannel = 672;
  return Tiling(tiles, channels, blocks, channels * kBufferOfChannel);
}

// The same blocks, cut into positions.
Tiling positionsOf(const WindowSum& sum, Tiling tiling) {
  tiling.rows *= 2;
  tiling.columns *= 2;
  tiling.row_stride = tiling.phaseColumns(sum.axis[2]);
  tiling.slice = (tiling.rows + sum.axis[1].reach()) * tiling.row_stride;
  tiling.channel_stride = tiling.slice;
  tiling.image_floats = tiling.channels * tiling.channel_stride;
  return tiling;
}

// A block of tiles as its positions, of which the last tiles' may not exist.
TileRange positionsOf(TileRange range) {
  range.row *= 2;
  range.rows *= 2;
  range.column *= 2;
  range.columns *= 2;
  return range;
}

TileRange existing(const WindowSum& sum, TileRange range) {
  range.rows = std::min(range.rows, sum.axis[1].count - range.row);
  range.columns = std::min(range.columns, sum.axis[2].count - range.column);
  return range;
}

// out = B' d B, where d[h][w] is at in(h, w).
template <class Load, class Store>
inline void transformSource(const Load& in, const Store& out) {
  Packet t[4][4];
  for (int w = 0; w < 4; ++w) {
    const Packet d0 = in(0, w), d1 = in(1, w), d2 = in(2, w), d3 = in(3, w);
    t[0][w] = psub(d0, d2);
    t[1][w] = padd(d1, d2);
    t[2][w] = psub(d2, d1);
    t[3][w] = psub(d1, d3);
  }
  for (int h = 0; h < 4; ++h) {
    out(h, 0, psub(t[h][0], t[h][2]));
    out(h, 1, padd(t[h][1], t[h][2]));
    out(h, 2, psub(t[h][2], t[h][1]));
    out(h, 3, psub(t[h][1], t[h][3]));
  }
}

// out = G g G', 4x4 from 3x3.
template <class Load, class Store>
inline void transformWeights(const Load& in, const Store& out) {
  const Packet half = broadcast(0.5f);
  Packet t[4][3];
  for (int w = 0; w < 3; ++w) {
    const Packet g0 = in(0, w), g1 = in(1, w), g2 = in(2, w);
    const Packet even = padd(g0, g2);
    t[0][w] = g0;
    t[1][w] = Eigen::internal::pmul(half, padd(even, g1));
    t[2][w] = Eigen::internal::pmul(half, psub(even, g1));
    t[3][w] = g2;
  }
  for (int h = 0; h < 4; ++h) {
    const Packet even = padd(t[h][0], t[h][2]);
    out(h, 0, t[h][0]);
    out(h, 1, Eigen::internal::pmul(half, padd(even, t[h][1])));
    out(h, 2, Eigen::internal::pmul(half, psub(even, t[h][1])));
    out(h, 3, t[h][2]);
  }
}

// out = A' m A, 2x2 from 4x4.
template <class Load, class Store>
inline void transformSums(const Load& in, const Store& out) {
  Packet t[2][4];
  for (int w = 0; w < 4; ++w) {
    const Packet m1 = in(1, w), m2 = in(2, w);
    t[0][w] = padd(padd(in(0, w), m1), m2);
    t[1][w] = psub(psub(m1, m2), in(3, w));
  }
  for (int h = 0; h < 2; ++h) {
    out(h, 0, padd(padd(t[h][0], t[h][1]), t[h][2]));
    out(h, 1, psub(psub(t[h][1], t[h][2]), t[h][3]));
  }
}

// out = A dy A', 4x4 from 2x2.
template <class Load, class Store>
inline void transformGradient(const Load& in, const Store& out) {
  Packet t[4][2];
  for (int w = 0; w < 2; ++w) {
    const Packet d0 = in(0, w), d1 = in(1, w);
    t[0][w] = d0;
    t[1][w] = padd(d0, d1);
    t[2][w] = psub(d0, d1);
    t[3][w] = pnegate(d1);
  }
  for (int h = 0; h < 4; ++h) {
    out(h, 0, t[h][0]);
    out(h, 1, padd(t[h][0], t[h][1]));
    out(h, 2, psub(t[h][0], t[h][1]));
    out(h, 3, pnegate(t[h][1]));
  }
}

// out = G' u G, 3x3 from 4x4.
template <class Load, class Store>
inline void transformWeightSums(const Load& in, const Store& out) {
  const Packet half = broadcast(0.5f);
  const auto turn = [half](const Packet& u0, const Packet& u1, const Packet& u2, const Packet& u3,
                           Packet* to, int step) {
    const Packet even = Eigen::internal::pmul(half, padd(u1, u2));
    to[0] = padd(u0, even);
    to[step] = Eigen::internal::pmul(half, psub(u1, u2));
    to[2 * step] = padd(even, u3);
  };
  Packet t[3][4];
  for (int w = 0; w < 4; ++w) turn(in(0, w), in(1, w), in(2, w), in(3, w), &t[0][w], 4);
  for (int h = 0; h < 3; ++h) {
    Packet row[3];
    turn(t[h][0], t[h][1], t[h][2], t[h][3], row, 1);
    for (int w = 0; w < 3; ++w) out(h, w, row[w]);
  }
}

// What both gradients have of a block of tiles: its source, transformed.
struct SourceBlock {
  SourceBlock(const WindowSum& sum, const Tiling& tiling, int threads, Workspace& memory)
      : tiling(tiling), layout(positionsOf(sum, tiling)) {
    const int64_t tiles = tiling.positions();
    stride = roundUpToLanes(tiles) + kLanes;
    // A row's last vectors may begin at its last element.
    buffer_size = layout.bufferSize() + 3 * kLanes;
    tile = memory.take<int64_t>(tiles);
    channel = memory.take<int64_t>(tiling.channels);
    positions = memory.take<int64_t>(threads * 2 * 4 * tiles);
    panels = memory.take<float>(threads * 4 * tiles * kLanesOfPanel);
    elements = memory.take<float>(threads * kElements * panelsOfElement());
    buffers = memory.take<float>(threads * buffer_size);
    transformed = memory.take<float>(threads * kElements * elementSize());
  }

  void fillTables() const {
    for (int64_t t = 0; t < tiling.positions(); ++t) tile[t] = t;
    for (int64_t c = 0; c < tiling.channels; ++c) channel[c] = c * stride;
  }

  // The block's source in the worker's `transformed`, of `channels` channels from `first`.
  template <class Rows>
  void transform(const WindowSum& sum, const TileRange& range, const Rows& rows, int64_t first,
                 int64_t channels, int worker) const {
    float* buffer = buffers + worker * buffer_size;
    fillBuffer(sum, layout, positionsOf(range), rows, first, channels, buffer);
    for (int64_t c = 0; c < channels; ++c) {
      float* to = of(worker, 0) + c * stride;
      for (int64_t n = 0; n < range.images; ++n) {
        const float* row = buffer + n * layout.image_floats + c * layout.channel_stride;
        for (int64_t r = 0; r < range.rows;
             ++r, to += range.columns, row += 2 * layout.row_stride) {
          // What a row's last vector has too much, the next row writes over.
          for (int64_t x = 0; x < range.columns; x += kLanes) transformTiles(row + 2 * x, to + x);
        }
      }
    }
  }

  // kLanes neighbouring tiles of a channel.
  void transformTiles(const float* from, float* to) const {
    Packet d[4][4];
    for (int h = 0; h < 4; ++h, from += layout.row_stride) {
      deinterleave(load(from), load(from + kLanes), d[h][0], d[h][1]);
      deinterleave(load(from + 2), load(from + 2 + kLanes), d[h][2], d[h][3]);
    }
    const int64_t size = elementSize();
    transformSource([&](int h, int w) { return d[h][w]; },
                    [&](int h, int w, const Packet& v) { store(to + (h * 4 + w) * size, v); });
  }

  // Elements are written side by side: at a power of two from one another they would compete for
  // the same lines of the cache.
  static constexpr int64_t kApart = 32;
  int64_t elementSize() const { return tiling.channels * stride + kApart; }
  int64_t panelsOfElement() const { return tiling.positions() * kLanesOfPanel + kApart; }
  // [channels][stride] of an element.
  float* of(int worker, int64_t element) const {
    return transformed + (worker * kElements + element) * elementSize();
  }
  TilePositions positionsOfWorker(int worker) const {
    int64_t* table = positions + worker * 2 * 4 * tiling.positions();
    return {table, table + 4 * tiling.positions()};
  }
  // A panel at each position of the block, [image][row][column].
  float* panelOf(int worker) const {
    return panels + worker * 4 * tiling.positions() * kLanesOfPanel;
  }
  // A panel for each element and tile.
  float* elementsOf(int worker) const { return elements + worker * kElements * panelsOfElement(); }

  Tiling tiling;   // of tiles
  Tiling layout;   // of positions, and of the buffer
  int64_t stride;  // of a channel's tiles
  int64_t buffer_size;
  int64_t* tile;       // [tiles]
  int64_t* channel;    // [channels]
  int64_t* positions;  // [thread][in the buffer, in the target][positions]
  float* panels;       // [thread][positions][kPanel]
  float* elements;     // [thread][kElements][tiles][kPanel]
  float* buffers;      // [thread][a block's buffer]
  float* transformed;  // [thread][kElements][channels][stride]
};

// Where a block's tiles lie in panels of its positions, [image][row][column].
class TilePanels {
 public:
  TilePanels(const TileRange& tiles, const TileRange& range) : tiles_(tiles), range_(range) {}
  int64_t count() const { return tiles_.images * tiles_.rows * tiles_.columns; }

  // Calls function(tile, at, rows, columns) for all tiles: where the panel of its first position
  // begins, and how many rows and columns there are from there on, which may be one.
  template <class Function>
  void forEach(const Function& function) const {
    int64_t t = 0;
    for (int64_t n = 0; n < tiles_.images; ++n) {
      for (int64_t r = 0; r < tiles_.rows; ++r) {
        for (int64_t c = 0; c < tiles_.columns; ++c, ++t) {
          const int64_t first =
              ((n * range_.rows + 2 * r) * range_.columns + 2 * c) * kLanesOfPanel;
          function(t, first, range_.rows - 2 * r, range_.columns - 2 * c);
        }
      }
    }
  }
  int64_t rowStride() const { return range_.columns * kLanesOfPanel; }

 private:
  const TileRange& tiles_;
  const TileRange& range_;
};

// The input gradient is a window sum over the channels of dy.
struct InputGrad {
  InputGrad(const ConvShape& shape, int threads, std::byte* workspace)
      : sum(onlySum(shape)),
        tiles(tilesOf(sum)),
        group_panels(panels<float>(sum.target_channels)),
        panel_size(kElements * sum.source_channels * kLanesOfPanel),
        memory(workspace),
        block(sum, tilingOf(tiles, sum.source_channels, Tiling::kTiles), threads, memory) {
    weights = memory.take<float>(sum.group * group_panels * panel_size);
  }

  static WindowSum onlySum(const ConvShape& shape) {
    WindowSum only{};
    InputGradSums{shape}([&](const WindowSum& sum) { only = sum; });
    return only;
  }

  // The panel of a group's channels from `first`, as [kElements][source channel][kPanel].
  void packWeights(const float* w, int64_t group, int64_t first, float* to) const {
    const int64_t per_source = sum.group * sum.target_channels / sum.group * 9;
    const float* of_group = w + group * sum.source_channels * per_source;
    const Axis &a1 = sum.axis[1], &a2 = sum.axis[2];
    for (int64_t s = 0; s < sum.source_channels; ++s) {
      for (int64_t c0 = 0; c0 < kLanesOfPanel; c0 += kLanes) {
        float* panel = to + s * kLanesOfPanel + c0;
        const auto weight = [&](int h, int x) {
          const int64_t k =
              (a1.kernel_begin + h * a1.kernel_step) * 3 + a2.kernel_begin + x * a2.kernel_step;
          float lanes[kLanes];
          for (int64_t i = 0; i < kLanes; ++i) {
            const int64_t c = first + c0 + i;
            lanes[i] = c < sum.target_channels ? of_group[s * per_source + c * 9 + k] : 0.0f;
          }
          return load(lanes);
        };
        transformWeights(weight, [&](int h, int x, const Packet& v) {
          store(panel + (h * 4 + x) * sum.source_channels * kLanesOfPanel, v);
        });
      }
    }
  }

  // dx of one panel's channels at the positions of `range`.
  void finishPanel(const TileRange& tile_range, const TileRange& range, int64_t channels,
                   const float* panel, int worker, int64_t count, float* dx) const {
    const int64_t all = TilePanels(tile_range, range).count();
    float* sums = block.elementsOf(worker);
    for (int64_t e = 0; e < kElements; ++e) {
      PanelProduct<float> product{block.of(worker, e),
                                  block.tile,
                                  all,
                                  nullptr,
                                  0,
                                  nullptr,
                                  channels,
                                  sums + e * block.panelsOfElement(),
                                  kLanesOfPanel};
      for (int64_t s = 0; s < sum.source_channels; s += kPanelDepth) {
        product.offset = block.channel + s;
        product.depth = std::min(kPanelDepth, sum.source_channels - s);
        product.panel = panel + (e * sum.source_channels + s) * kLanesOfPanel;
        product.adds = s > 0;
        multiplyPanel(product);
      }
    }
    float* results = block.panelOf(worker);
    const int64_t size = block.panelsOfElement();
    const TilePanels panels(tile_range, range);
    const int64_t row_stride = panels.rowStride();
    panels.forEach([&](int64_t t, int64_t at, int64_t rows, int64_t columns) {
      for (int64_t c0 = 0; c0 < kLanesOfPanel; c0 += kLanes) {
        const float* from = sums + t * kLanesOfPanel + c0;
        Packet y[2][2];
        transformSums([&](int h, int w) { return load(from + (h * 4 + w) * size); },
                      [&](int h, int w, const Packet& v) { y[h][w] = v; });
        float* to = results + at + c0;
        store(to, y[0][0]);
        if (columns > 1) store(to + kLanesOfPanel, y[0][1]);
        if (rows > 1) store(to + row_stride, y[1][0]);
        if (rows > 1 && columns > 1) store(to + row_stride + kLanesOfPanel, y[1][1]);
      }
    });
    storeResults(results, channels, block.positionsOfWorker(worker).target, count, dx,
                 sum.targetPlane());
  }

  WindowSum sum, tiles;
  int64_t group_panels, panel_size;
  Workspace memory;
  SourceBlock block;
  float* weights;  // [group][panel][kElements][source channel][kPanel]
};

// The weight gradient: cut as in conv_weight_grad.cc.
struct WeightGrad {
  static constexpr int64_t kChannels = 64;
  static constexpr int64_t kPieces = 8;

  WeightGrad(const ConvShape& shape, int threads, std::byte* workspace)
      : sum(forwardSum(shape)),
        tiles(tilesOf(sum)),
        channels(std::min(sum.source_channels, kChannels)),
        channel_blocks(ceilDiv(sum.source_channels, channels)),
        memory(workspace),
        block(sum, tilingOf(tiles, channels, ceilDiv(kPieces, channel_blocks)), threads, memory),
        cuts(std::clamp<int64_t>(kPieces / (channel_blocks * sum.group), 1,
                                 std::max<int64_t>(block.tiling.tiles_of_group, 1))),
        group_panels(panels<float>(sum.target_channels)),
        panel_size(kElements * sum.source_channels * kLanesOfPanel),
        partial_size(sum.group * group_panels * panel_size) {
    partial = memory.take<float>(cuts * partial_size);
    finished =
        memory.take<float>(sum.group * group_panels * sum.source_channels * 9 * kLanesOfPanel);
  }

  // A panel for each element and tile from one for each position.
  void transformGradients(const TilePanels& panels, const float* gradient, float* to) const {
    const Packet zero = broadcast(0.0f);
    const int64_t size = block.panelsOfElement(), row_stride = panels.rowStride();
    panels.forEach([&](int64_t t, int64_t at, int64_t rows, int64_t columns) {
      for (int64_t c0 = 0; c0 < kLanesOfPanel; c0 += kLanes) {
        const float* from = gradient + at + c0;
        const bool right = columns > 1, below = rows > 1;
        const Packet dy[2][2] = {{load(from), right ? load(from + kLanesOfPanel) : zero},
                                 {below ? load(from + row_stride) : zero,
                                  right && below ? load(from + row_stride + kLanesOfPanel) : zero}};
        transformGradient([&](int h, int w) { return dy[h][w]; },
                          [&](int h, int w, const Packet& v) {
                            store(to + (h * 4 + w) * size + t * kLanesOfPanel + c0, v);
                          });
      }
    });
  }

  // Adds a block's part for input channels [channel, channel + count) to a group's partial sums.
  void addBlock(const TileRange& tile_range, const TileRange& range, const float* dy,
                int64_t channel, int64_t count, int worker, float* sums, bool is_first) const {
    const TilePanels panels(tile_range, range);
    const int64_t all = panels.count();
    const int64_t plane = sum.targetPlane();
    const int64_t* positions = block.positionsOfWorker(worker).target;
    for (int64_t panel = 0; panel < group_panels; ++panel) {
      const int64_t first = panel * kLanesOfPanel;
      const int64_t some = std::min(kLanesOfPanel, sum.target_channels - first);
      float* gradient = block.panelOf(worker);
      packPanel(dy + first * plane, plane, some, positions,
                range.images * range.rows * range.columns, gradient);
      float* transformed = block.elementsOf(worker);
      transformGradients(panels, gradient, transformed);
      for (int64_t e = 0; e < kElements; ++e) {
        PanelProduct<float> product{
            block.of(worker, e),
            block.channel,
            count,
            nullptr,
            0,
            nullptr,
            some,
            sums + panel * panel_size + (e * sum.source_channels + channel) * kLanesOfPanel,
            kLanesOfPanel};
        for (int64_t t = 0; t < all; t += kPanelDepth) {
          product.offset = block.tile + t;
          product.depth = std::min(kPanelDepth, all - t);
          product.panel = transformed + e * block.panelsOfElement() + t * kLanesOfPanel;
          product.adds = !is_first || t > 0;
          multiplyPanel(product);
        }
      }
    }
  }

  // dw of a panel's channels, from the partial sums of all cuts.
  void finishPanel(int64_t index, float* dw) const {
    const int64_t source = sum.source_channels;
    const float* sums = partial + index * panel_size;
    float* out = finished + index * source * 9 * kLanesOfPanel;
    for (int64_t i = 0; i < source * kLanesOfPanel; i += kLanes) {
      const int64_t s = i / kLanesOfPanel, lane = i % kLanesOfPanel;
      transformWeightSums(
          [&](int h, int w) {
            const float* from = sums + (h * 4 + w) * source * kLanesOfPanel + i;
            Packet total = load(from);
            for (int64_t cut = 1; cut < cuts; ++cut) {
              total = padd(total, load(from + cut * partial_size));
            }
            return total;
          },
          [&](int h, int w, const Packet& v) {
            store(out + (s * 9 + h * 3 + w) * kLanesOfPanel + lane, v);
          });
    }
    const int64_t first = index % group_panels * kLanesOfPanel;
    const int64_t channel = index / group_panels * sum.target_channels + first;
    transpose(out, kLanesOfPanel, std::min(kLanesOfPanel, sum.target_channels - first), source * 9,
              dw + channel * source * 9, source * 9);
  }

  WindowSum sum, tiles;
  int64_t channels, channel_blocks;
  Workspace memory;
  SourceBlock block;
  int64_t cuts, group_panels, panel_size, partial_size;
  float* partial;   // [cut][group][panel][kElements][source channel][kPanel]
  float* finished;  // [group][panel][source channel][3][3][kPanel]
};

}  // namespace

bool winogradFits(const ConvShape& shape) {
  // Transformed weights are read again for each block of tiles, from beyond the L2 cache where they
  // are many; and sums should be worth the transforms.
  constexpr int64_t kWeights = 4 << 20, kChannels = 24;
  const std::array<int64_t, 3> window{1, 3, 3}, ones{1, 1, 1};
  const int64_t in = shape.in_channels / shape.group, out = shape.out_channels / shape.group;
  return shape.kernel == window && shape.stride == ones && shape.dilation == ones &&
         in >= kChannels && out >= kChannels && kElements * in * shape.out_channels <= kWeights &&
         shape.batch > 0 && shape.out[0] > 0 && shape.out[1] > 0 && shape.out[2] > 0;
}

size_t winogradInputGradWorkspace(const ConvShape& shape, int threads) {
  return InputGrad(shape, threads, nullptr).memory.used();
}

void winogradInputGrad(const ConvShape& shape, const float* dy, const float* w, float* dx,
                       std::byte* workspace, ThreadPool& pool) {
  const InputGrad m(shape, pool.threads(), workspace);
  const WindowSum& sum = m.sum;
  const Tiling& tiling = m.block.tiling;
  m.block.fillTables();
  pool.run(sum.group * m.group_panels, [&](int64_t i, int) {
    m.packWeights(w, i / m.group_panels, i % m.group_panels * kLanesOfPanel,
                  m.weights + i * m.panel_size);
  });
  const FloatRows<float> rows = rowsOfSource(sum, dy);
  pool.run(tiling.tiles_of_group * sum.group, [&](int64_t piece, int worker) {
    const int64_t g = piece / tiling.tiles_of_group;
    const TileRange tile_range(m.tiles, tiling, piece % tiling.tiles_of_group);
    const TileRange range = existing(sum, positionsOf(tile_range));
    const int64_t count =
        fillPositions(sum, m.block.layout, range, m.block.positionsOfWorker(worker));
    m.block.transform(sum, tile_range, rows, g * sum.source_channels, sum.source_channels, worker);
    for (int64_t panel = 0; panel < m.group_panels; ++panel) {
      const int64_t first = panel * kLanesOfPanel;
      m.finishPanel(tile_range, range, std::min(kLanesOfPanel, sum.target_channels - first),
                    m.weights + (g * m.group_panels + panel) * m.panel_size, worker, count,
                    dx + (g * sum.target_channels + first) * sum.targetPlane());
    }
  });
}

size_t winogradWeightGradWorkspace(const ConvShape& shape, int threads) {
  return WeightGrad(shape, threads, nullptr).memory.used();
}

void winogradWeightGrad(const ConvShape& shape, const Codes& x, const float* dy, float* dw,
                        std::byte* workspace, ThreadPool& pool) {
  const WeightGrad m(shape, pool.threads(), workspace);
  const WindowSum& sum = m.sum;
  const Tiling& tiling = m.block.tiling;
  m.block.fillTables();
  const auto rows = rowsOfSource(sum, x);
  pool.run(m.cuts * sum.group * m.channel_blocks, [&](int64_t piece, int worker) {
    const int64_t channel = piece % m.channel_blocks * m.channels;
    const int64_t count = std::min(m.channels, sum.source_channels - channel);
    const int64_t g = piece / m.channel_blocks % sum.group;
    const int64_t cut = piece / m.channel_blocks / sum.group;
    const int64_t begin = tiling.tiles_of_group * cut / m.cuts;
    const int64_t end = tiling.tiles_of_group * (cut + 1) / m.cuts;
    for (int64_t tile = begin; tile < end; ++tile) {
      const TileRange tile_range(m.tiles, tiling, tile);
      const TileRange range = existing(sum, positionsOf(tile_range));
      fillPositions(sum, m.block.layout, range, m.block.positionsOfWorker(worker));
      m.block.transform(sum, tile_range, rows, g * sum.source_channels + channel, count, worker);
      m.addBlock(tile_range, range, dy + g * sum.target_channels * sum.targetPlane(), channel,
                 count, worker,
                 m.partial + cut * m.partial_size + g * m.group_panels * m.panel_size,
                 tile == begin);
    }
  });
  pool.run(sum.group * m.group_panels, [&](int64_t i, int) { m.finishPanel(i, dw); });
}

}  // namespace simaqat::kernels
