#include "kernels/winograd_conv.h"

#include <algorithm>

#include "kernels/float_rows.h"
#include "kernels/input_grad_sums.h"
#include "kernels/panel_planes.h"
#include "kernels/panel_product.h"
#include "kernels/transpose.h"
#include "kernels/winograd_blocks.h"
#include "kernels/winograd_tiles.h"
#include "kernels/workspace.h"

namespace simaqat::kernels {
namespace {

constexpr int64_t kLanesOfPanel = kPanel<float>;
static_assert(kLanesOfPanel == 2 * kLanes);

// Blocks of some 50 tiles of 2x2, or 28 of 4x4: few enough that what they are turned into stays in
// the L2 cache, enough that the weights are worth reading for them.
template <int kSide>
Tiling tilingOf(const WindowSum& tiles, int64_t channels, int64_t blocks) {
  constexpr int64_t kBufferOfChannel = kSide == 2 ? 672 : 1280;
  return Tiling(tiles, channels, blocks, channels * kBufferOfChannel);
}

// What both gradients have of a block of tiles: its source, transformed.
template <int kSide>
struct SourceBlock {
  using Tiles = WinogradTiles<kSide>;
  static constexpr int kTile = kSide + 2;  // of the source
  static constexpr int64_t kElements = kTile * kTile, kPositions = kSide * kSide;

  SourceBlock(const WindowSum& sum, const Tiling& tiling, int threads, Workspace& memory)
      : tiling(tiling), layout(positionsOf<kSide>(sum, tiling)) {
    const int64_t tiles = tiling.positions();
    stride = roundUpToLanes(tiles) + kLanes;
    buffer_size = layout.bufferSize() + kBehindRow<kSide>;
    tile = memory.take<int64_t>(tiles);
    channel = memory.take<int64_t>(tiling.channels);
    positions = memory.take<int64_t>(threads * 2 * kPositions * tiles);
    panels = memory.take<float>(threads * kPositions * tiles * kLanesOfPanel);
    elements = memory.take<float>(threads * kPanelsTogether * panelElements());
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
    fillBuffer(sum, layout, positionsOf<kSide>(range), rows, first, channels, buffer);
    for (int64_t c = 0; c < channels; ++c) {
      float* to = of(worker, 0) + c * stride;
      for (int64_t n = 0; n < range.images; ++n) {
        const float* row = buffer + n * layout.image_floats + c * layout.channel_stride;
        for (int64_t r = 0; r < range.rows;
             ++r, to += range.columns, row += kSide * layout.row_stride) {
          // What a row's last vector has too much, the next row writes over.
          for (int64_t x = 0; x < range.columns; x += kLanes)
            transformTiles(row + kSide * x, to + x);
        }
      }
    }
  }

  // kLanes neighbouring tiles of a channel.
  void transformTiles(const float* from, float* to) const {
    Packet d[kTile][kTile];
    for (int h = 0; h < kTile; ++h) loadTiles(from + h * layout.row_stride, d[h]);
    const int64_t size = elementSize();
    transformAxes<kTile, kTile, Packet, Tiles::source>(
        [&](int h, int w) { return d[h][w]; },
        [&](int h, int w, const Packet& v) { store(to + (h * kTile + w) * size, v); });
  }

  // Elements are written side by side: at a power of two from one another they would compete for
  // the same lines of the cache.
  static constexpr int64_t kApart = 32;
  int64_t elementSize() const { return tiling.channels * stride + kApart; }
  int64_t panelElements() const { return kElements * panelsOfElement(); }
  int64_t panelsOfElement() const { return tiling.positions() * kLanesOfPanel + kApart; }
  // [channels][stride] of an element.
  float* of(int worker, int64_t element) const {
    return transformed + (worker * kElements + element) * elementSize();
  }
  TilePositions positionsOfWorker(int worker) const {
    const int64_t count = kPositions * tiling.positions();
    int64_t* table = positions + worker * 2 * count;
    return {table, table + count};
  }
  // A panel at each position of the block, [image][row][column].
  float* panelOf(int worker) const {
    return panels + worker * kPositions * tiling.positions() * kLanesOfPanel;
  }
  // A panel for each element and tile, and as much for each of the panels that are done together.
  float* elementsOf(int worker) const {
    return elements + worker * kPanelsTogether * panelElements();
  }

  Tiling tiling;   // of tiles
  Tiling layout;   // of positions, and of the buffer
  int64_t stride;  // of a channel's tiles
  int64_t buffer_size;
  int64_t* tile;       // [tiles]
  int64_t* channel;    // [channels]
  int64_t* positions;  // [thread][in the buffer, in the target][positions]
  float* panels;       // [thread][positions][kPanel]
  float* elements;     // [thread][kPanelsTogether][kElements][tiles][kPanel]
  float* buffers;      // [thread][a block's buffer]
  float* transformed;  // [thread][kElements][channels][stride]
};

// Where a block's tiles lie in panels of its positions, [image][row][column].
template <int kSide>
class TilePanels {
 public:
  TilePanels(const TileRange& tiles, const TileRange& range) : tiles_(tiles), range_(range) {}
  int64_t count() const { return tiles_.images * tiles_.rows * tiles_.columns; }

  // Calls function(tile, at, rows, columns) for all tiles: where the panel of its first position
  // begins, and how many rows and columns there are from there on, which may be fewer than the
  // tile's.
  template <class Function>
  void forEach(const Function& function) const {
    int64_t t = 0;
    for (int64_t n = 0; n < tiles_.images; ++n) {
      for (int64_t r = 0; r < tiles_.rows; ++r) {
        for (int64_t c = 0; c < tiles_.columns; ++c, ++t) {
          const int64_t row = kSide * r, column = kSide * c;
          const int64_t first = ((n * range_.rows + row) * range_.columns + column) * kLanesOfPanel;
          function(t, first, range_.rows - row, range_.columns - column);
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
template <int kSide>
struct InputGrad {
  using Block = SourceBlock<kSide>;
  using Tiles = WinogradTiles<kSide>;
  static constexpr int kTile = Block::kTile;
  static constexpr int64_t kElements = Block::kElements;
  // Tiles of 4x4 enlarge rounding errors, which grow with the length of a chain of additions.
  static constexpr int64_t kDepth = kSide == 2 ? kPanelDepth : 64;

  InputGrad(const ConvShape& shape, int threads, std::byte* workspace)
      : sum(onlySum(shape)),
        tiles(tilesOf<kSide>(sum)),
        group_panels(panels<float>(sum.target_channels)),
        panel_size(kElements * sum.source_channels * kLanesOfPanel),
        memory(workspace),
        block(sum, tilingOf<kSide>(tiles, sum.source_channels, Tiling::kTiles), threads, memory) {
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
        transformAxes<3, kTile, Packet, Tiles::weights>(weight, [&](int h, int x, const Packet& v) {
          store(panel + (h * kTile + x) * sum.source_channels * kLanesOfPanel, v);
        });
      }
    }
  }

  int64_t channelsOfPanel(int64_t panel) const {
    return columnsOfPanel<float>(sum.target_channels, panel);
  }

  // dx of `some` panels' channels at the positions of `range`, from their weights.
  void finishPanels(const TileRange& tile_range, const TileRange& range, int64_t first,
                    int64_t some, const float* panel, int worker, int64_t count, float* dx) const {
    const TilePanels<kSide> panels(tile_range, range);
    float* sums = block.elementsOf(worker);
    for (int64_t e = 0; e < kElements; ++e) {
      for (int64_t s = 0; s < sum.source_channels; s += kDepth) {
        multiplyPanel(PanelProduct<float>{
            block.of(worker, e), block.tile, panels.count(), block.channel + s,
            std::min(kDepth, sum.source_channels - s),
            panel + (e * sum.source_channels + s) * kLanesOfPanel,
            channelsOfPanel(first + some - 1), sums + e * block.panelsOfElement(), kLanesOfPanel,
            s > 0, some, panel_size, block.panelElements()});
      }
    }
    for (int64_t i = 0; i < some; ++i) {
      turnSums(panels, sums + i * block.panelElements(), block.panelOf(worker));
      storeResults(block.panelOf(worker), channelsOfPanel(first + i),
                   block.positionsOfWorker(worker).target, count,
                   dx + i * kLanesOfPanel * sum.targetPlane(), sum.targetPlane());
    }
  }

  // Positions of a panel from the sums of its elements.
  void turnSums(const TilePanels<kSide>& panels, const float* sums, float* results) const {
    const int64_t size = block.panelsOfElement(), row_stride = panels.rowStride();
    panels.forEach([&](int64_t t, int64_t at, int64_t rows, int64_t columns) {
      for (int64_t c0 = 0; c0 < kLanesOfPanel; c0 += kLanes) {
        const float* from = sums + t * kLanesOfPanel + c0;
        float* to = results + at + c0;
        transformAxes<kTile, kSide, Packet, Tiles::sums>(
            [&](int h, int w) { return load(from + (h * kTile + w) * size); },
            [&](int h, int w, const Packet& v) {
              if (h < rows && w < columns) store(to + h * row_stride + w * kLanesOfPanel, v);
            });
      }
    });
  }

  WindowSum sum, tiles;
  int64_t group_panels, panel_size;
  Workspace memory;
  Block block;
  float* weights;  // [group][panel][kElements][source channel][kPanel]
};

// The weight gradient: cut as in conv_weight_grad.cc.
template <int kSide>
struct WeightGrad {
  using Block = SourceBlock<kSide>;
  using Tiles = WinogradTiles<kSide>;
  static constexpr int kTile = Block::kTile;
  static constexpr int64_t kElements = Block::kElements;
  static constexpr int64_t kChannels = 64;
  static constexpr int64_t kPieces = 8;

  WeightGrad(const ConvShape& shape, int threads, std::byte* workspace)
      : sum(forwardSum(shape)),
        tiles(tilesOf<kSide>(sum)),
        channels(std::min(sum.source_channels, kChannels)),
        channel_blocks(ceilDiv(sum.source_channels, channels)),
        memory(workspace),
        block(sum, tilingOf<kSide>(tiles, channels, ceilDiv(kPieces, channel_blocks)), threads,
              memory),
        cuts(std::clamp<int64_t>(kPieces / (channel_blocks * sum.group), 1,
                                 std::max<int64_t>(block.tiling.tiles_of_group, 1))),
        group_panels(panels<float>(sum.target_channels)),
        panel_size(kElements * sum.source_channels * kLanesOfPanel),
        partial_size(sum.group * group_panels * panel_size) {
    partial = memory.take<float>(cuts * partial_size);
    finished = memory.take<float>(threads * finishedSize());
  }

  // A panel for each element and tile from one for each position.
  void transformGradients(const TilePanels<kSide>& panels, const float* gradient, float* to) const {
    const int64_t size = block.panelsOfElement(), row_stride = panels.rowStride();
    panels.forEach([&](int64_t t, int64_t at, int64_t rows, int64_t columns) {
      for (int64_t c0 = 0; c0 < kLanesOfPanel; c0 += kLanes) {
        const float* from = gradient + at + c0;
        transformAxes<kSide, kTile, Packet, Tiles::gradient>(
            [&](int h, int w) {
              const bool exists = h < rows && w < columns;
              return exists ? load(from + h * row_stride + w * kLanesOfPanel) : broadcast(0.0f);
            },
            [&](int h, int w, const Packet& v) {
              store(to + (h * kTile + w) * size + t * kLanesOfPanel + c0, v);
            });
      }
    });
  }

  // Adds a block's part for input channels [channel, channel + count) to a group's partial sums.
  void addBlock(const TileRange& tile_range, const TileRange& range, const float* dy,
                int64_t channel, int64_t count, int worker, float* sums, bool is_first) const {
    const TilePanels<kSide> panels(tile_range, range);
    const int64_t all = panels.count();
    const int64_t plane = sum.targetPlane();
    const int64_t* positions = block.positionsOfWorker(worker).target;
    float* transformed = block.elementsOf(worker);
    for (int64_t panel = 0; panel < group_panels; panel += panelsTogether()) {
      const int64_t together = std::min(panelsTogether(), group_panels - panel);
      const auto some = [&](int64_t i) {
        return columnsOfPanel<float>(sum.target_channels, panel + i);
      };
      for (int64_t i = 0; i < together; ++i) {
        float* gradient = block.panelOf(worker);
        packPanel(dy + (panel + i) * kLanesOfPanel * plane, plane, some(i), positions,
                  range.images * range.rows * range.columns, gradient);
        transformGradients(panels, gradient, transformed + i * block.panelElements());
      }
      for (int64_t e = 0; e < kElements; ++e) {
        for (int64_t t = 0; t < all; t += kPanelDepth) {
          multiplyPanel(PanelProduct<float>{
              block.of(worker, e), block.channel, count, block.tile + t,
              std::min(kPanelDepth, all - t),
              transformed + e * block.panelsOfElement() + t * kLanesOfPanel, some(together - 1),
              sums + panel * panel_size + (e * sum.source_channels + channel) * kLanesOfPanel,
              kLanesOfPanel, !is_first || t > 0, together, block.panelElements(), panel_size});
        }
      }
    }
  }

  int64_t finishedSize() const { return sum.source_channels * 9 * kLanesOfPanel; }

  // dw of a panel's channels, from the partial sums of all cuts.
  void finishPanel(int64_t index, int worker, float* dw) const {
    const int64_t source = sum.source_channels;
    const float* sums = partial + index * panel_size;
    float* out = finished + worker * finishedSize();
    for (int64_t i = 0; i < source * kLanesOfPanel; i += kLanes) {
      const int64_t s = i / kLanesOfPanel, lane = i % kLanesOfPanel;
      transformAxes<kTile, 3, Packet, Tiles::weightSums>(
          [&](int h, int w) {
            const float* from = sums + (h * kTile + w) * source * kLanesOfPanel + i;
            Packet total = load(from);
            for (int64_t cut = 1; cut < cuts; ++cut) {
              total = Eigen::internal::padd(total, load(from + cut * partial_size));
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
  Block block;
  int64_t cuts, group_panels, panel_size, partial_size;
  float* partial;   // [cut][group][panel][kElements][source channel][kPanel]
  float* finished;  // [thread][source channel][3][3][kPanel]
};

template <int kSide>
void inputGrad(const ConvShape& shape, const float* dy, const float* w, float* dx,
               std::byte* workspace, ThreadPool& pool) {
  const InputGrad<kSide> m(shape, pool.threads(), workspace);
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
    const TileRange range = existing(sum, positionsOf<kSide>(tile_range));
    const int64_t count =
        fillPositions(sum, m.block.layout, range, m.block.positionsOfWorker(worker));
    m.block.transform(sum, tile_range, rows, g * sum.source_channels, sum.source_channels, worker);
    for (int64_t panel = 0; panel < m.group_panels; panel += panelsTogether()) {
      const int64_t some = std::min(panelsTogether(), m.group_panels - panel);
      const int64_t channel = g * sum.target_channels + panel * kLanesOfPanel;
      m.finishPanels(tile_range, range, panel, some,
                     m.weights + (g * m.group_panels + panel) * m.panel_size, worker, count,
                     dx + channel * sum.targetPlane());
    }
  });
}

template <int kSide>
void weightGrad(const ConvShape& shape, const Codes& x, const float* dy, float* dw,
                std::byte* workspace, ThreadPool& pool) {
  const WeightGrad<kSide> m(shape, pool.threads(), workspace);
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
      const TileRange range = existing(sum, positionsOf<kSide>(tile_range));
      fillPositions(sum, m.block.layout, range, m.block.positionsOfWorker(worker));
      m.block.transform(sum, tile_range, rows, g * sum.source_channels + channel, count, worker);
      m.addBlock(tile_range, range, dy + g * sum.target_channels * sum.targetPlane(), channel,
                 count, worker,
                 m.partial + cut * m.partial_size + g * m.group_panels * m.panel_size,
                 tile == begin);
    }
  });
  pool.run(sum.group * m.group_panels,
           [&](int64_t i, int worker) { m.finishPanel(i, worker, dw); });
}

int64_t channelsOf(const ConvShape& shape) { return shape.in_channels / shape.group; }

// Transformed weights are read again for each block of tiles, from beyond the L2 cache where they
// are many.
template <int kSide>
bool weightsFit(const ConvShape& shape) {
  constexpr int64_t kWeights = 4 << 20;
  return SourceBlock<kSide>::kElements * channelsOf(shape) * shape.out_channels <= kWeights;
}

template <int kSide>
int64_t productsOfPlane(int64_t rows, int64_t columns) {
  return SourceBlock<kSide>::kElements * ceilDiv(rows, kSide) * ceilDiv(columns, kSide);
}

// Whether tiles of 4x4 are the faster ones for a plane: a row of them fills half a vector, and they
// take at most two thirds of the products, although the last ones may reach beyond the plane.
bool fourFits(const ConvShape& shape, const std::array<int64_t, 3>& plane) {
  const int64_t rows = plane[1], columns = plane[2];
  return weightsFit<4>(shape) && 2 * ceilDiv(columns, 4) >= kLanes &&
         3 * productsOfPlane<4>(rows, columns) <= 2 * productsOfPlane<2>(rows, columns);
}

}  // namespace

bool winogradFits(const ConvShape& shape) {
  constexpr int64_t kChannels = 24;  // that are worth the transforms
  const std::array<int64_t, 3> window{1, 3, 3}, ones{1, 1, 1};
  return shape.kernel == window && shape.stride == ones && shape.dilation == ones &&
         channelsOf(shape) >= kChannels && shape.out_channels / shape.group >= kChannels &&
         weightsFit<2>(shape) && shape.batch > 0 && shape.out[0] > 0 && shape.out[1] > 0 &&
         shape.out[2] > 0;
}

size_t winogradInputGradWorkspace(const ConvShape& shape, int threads) {
  return fourFits(shape, shape.in) ? InputGrad<4>(shape, threads, nullptr).memory.used()
                                   : InputGrad<2>(shape, threads, nullptr).memory.used();
}

void winogradInputGrad(const ConvShape& shape, const float* dy, const float* w, float* dx,
                       std::byte* workspace, ThreadPool& pool) {
  const auto grad = fourFits(shape, shape.in) ? inputGrad<4> : inputGrad<2>;
  grad(shape, dy, w, dx, workspace, pool);
}

size_t winogradWeightGradWorkspace(const ConvShape& shape, int threads) {
  return fourFits(shape, shape.out) ? WeightGrad<4>(shape, threads, nullptr).memory.used()
                                    : WeightGrad<2>(shape, threads, nullptr).memory.used();
}

void winogradWeightGrad(const ConvShape& shape, const Codes& x, const float* dy, float* dw,
                        std::byte* workspace, ThreadPool& pool) {
  const auto grad = fourFits(shape, shape.out) ? weightGrad<4> : weightGrad<2>;
  grad(shape, x, dy, dw, workspace, pool);
}

}  // namespace simaqat::kernels
