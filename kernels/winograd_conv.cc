#include "kernels/winograd_conv.h"

#include <algorithm>

#include "kernels/input_grad_sums.h"
#include "kernels/panel_planes.h"
#include "kernels/panel_product.h"
#include "kernels/transpose.h"
#include "kernels/winograd_panels.h"
#include "kernels/winograd_source.h"
#include "kernels/workspace.h"

namespace simaqat::kernels {
namespace {

// Where a block's tiles lie in panels of its positions, [image][row][column].
template <int kSide>
class TilePanels {
 public:
  TilePanels(const TileRange& tiles, const TileRange& range) : tiles_(tiles), range_(range) {}
  int64_t count() const { return tiles_.images * tiles_.rows * tiles_.columns; }

  // For all tiles, of which panel `at` is the first position's: calls whole(tile, at, tiles) for
  // neighbours of which all positions exist, and part(tile, at, rows, columns) for one that has
  // fewer.
  template <class Whole, class Part>
  void forEach(const Whole& whole, const Part& part) const {
    int64_t t = 0;
    for (int64_t n = 0; n < tiles_.images; ++n) {
      for (int64_t r = 0; r < tiles_.rows; ++r) {
        const int64_t first = (n * range_.rows + kSide * r) * range_.columns * kLanesOfPanel;
        const int64_t rows = std::min<int64_t>(kSide, range_.rows - kSide * r);
        const int64_t wholes = rows == kSide ? range_.columns / kSide : 0;
        if (wholes > 0) whole(t, first, wholes);
        for (int64_t c = wholes; c < tiles_.columns; ++c) {
          part(t + c, first + kSide * c * kLanesOfPanel, rows,
               std::min<int64_t>(kSide, range_.columns - kSide * c));
        }
        t += tiles_.columns;
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
  static constexpr int kTile = Block::kTile;
  static constexpr int64_t kElements = Block::kElements;
  // Tiles of 4x4 enlarge rounding errors, which grow with the length of a chain of additions.
  static constexpr int64_t kDepth = kSide == 2 ? kPanelDepth : 64;

  InputGrad(const ConvShape& shape, int threads, std::byte* workspace)
      : sum(onlySum(shape)),
        tiles(tilesOf<kSide>(sum)),
        group_panels(panels<float>(sum.target_channels)),
        panel_size(kElements * weightsOfElement()),
        memory(workspace),
        block(tiles, sum.source_channels, Tiling::kTiles, threads, memory) {
    weights = memory.take<float>(sum.group * group_panels * panel_size);
  }

  static WindowSum onlySum(const ConvShape& shape) {
    WindowSum only{};
    InputGradSums{shape}([&](const WindowSum& sum) { only = sum; });
    return only;
  }

  // The panel of a group's channels from `first`, as [kElements][source channel][kPanel].
  void packWeights(const float* w, int64_t group, int64_t first, float* to) const {
    const int64_t per_source = sum.target_channels * 9;
    const int64_t channels = std::min(kLanesOfPanel, sum.target_channels - first);
    const Axis &a1 = sum.axis[1], &a2 = sum.axis[2];
    float taps[9 * kLanesOfPanel] = {};
    const float* first_tap = taps + (a1.kernel_begin * 3 + a2.kernel_begin) * kLanesOfPanel;
    const float* from = w + (group * sum.source_channels * sum.target_channels + first) * 9;
    for (int64_t s = 0; s < sum.source_channels; ++s, from += per_source, to += kLanesOfPanel) {
      transpose(from, 9, 9, channels, taps, kLanesOfPanel);
      winogradTransforms<kSide>().weights({first_tap, a1.kernel_step * 3 * kLanesOfPanel,
                                           a2.kernel_step * kLanesOfPanel, 0, to,
                                           kTile * weightsOfElement(), weightsOfElement(), 0, 1});
    }
  }
  int64_t weightsOfElement() const { return sum.source_channels * kLanesOfPanel + Block::kApart; }

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
            panel + e * weightsOfElement() + s * kLanesOfPanel, channelsOfPanel(first + some - 1),
            sums + e * block.panelsOfElement(), kLanesOfPanel, s > 0, some, panel_size,
            block.panelElements()});
      }
    }
    for (int64_t i = 0; i < some; ++i) {
      turnSums(panels, sums + i * block.panelElements(), block.panelOf(worker));
      storeResults(block.panelOf(worker), channelsOfPanel(first + i), block.targetsOf(worker),
                   count, dx + i * kLanesOfPanel * sum.targetPlane(), sum.targetPlane());
    }
  }

  // Positions of a panel from the sums of its elements.
  void turnSums(const TilePanels<kSide>& panels, const float* sums, float* results) const {
    const int64_t size = block.panelsOfElement(), row_stride = panels.rowStride();
    const auto turn = winogradTransforms<kSide>().sums;
    panels.forEach(
        [&](int64_t tile, int64_t at, int64_t count) {
          turn({sums + tile * kLanesOfPanel, kTile * size, size, kLanesOfPanel, results + at,
                row_stride, kLanesOfPanel, kSide * kLanesOfPanel, count});
        },
        [&](int64_t tile, int64_t at, int64_t rows, int64_t columns) {
          float whole[kSide][kSide * kLanesOfPanel];
          turn({sums + tile * kLanesOfPanel, kTile * size, size, 0, whole[0], kSide * kLanesOfPanel,
                kLanesOfPanel, 0, 1});
          for (int64_t h = 0; h < rows; ++h) {
            std::copy_n(whole[h], columns * kLanesOfPanel, results + at + h * row_stride);
          }
        });
  }

  WindowSum sum, tiles;
  int64_t group_panels, panel_size;
  Workspace memory;
  Block block;
  float* weights;  // [group][panel][kElements][source channel][kPanel], elements apart
};

// The weight gradient: cut as in conv_weight_grad.cc.
template <int kSide>
struct WeightGrad {
  using Block = SourceBlock<kSide>;
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
        block(tiles, channels, ceilDiv(kPieces, channel_blocks), threads, memory),
        cuts(std::clamp<int64_t>(kPieces / (channel_blocks * sum.group), 1, block.blocks.count)),
        group_panels(panels<float>(sum.target_channels)),
        panel_size(kElements * sum.source_channels * kLanesOfPanel),
        partial_size(sum.group * group_panels * panel_size) {
    partial = memory.take<float>(cuts * partial_size);
    finished = memory.takeForThreads<float>(threads, finishedSize());
  }

  // A panel for each element and tile from one for each position.
  void transformGradients(const TilePanels<kSide>& panels, const float* gradient, float* to) const {
    const int64_t size = block.panelsOfElement(), row_stride = panels.rowStride();
    const auto turn = winogradTransforms<kSide>().gradient;
    panels.forEach(
        [&](int64_t tile, int64_t at, int64_t count) {
          turn({gradient + at, row_stride, kLanesOfPanel, kSide * kLanesOfPanel,
                to + tile * kLanesOfPanel, kTile * size, size, kLanesOfPanel, count});
        },
        [&](int64_t tile, int64_t at, int64_t rows, int64_t columns) {
          float whole[kSide][kSide * kLanesOfPanel] = {};
          for (int64_t h = 0; h < rows; ++h) {
            std::copy_n(gradient + at + h * row_stride, columns * kLanesOfPanel, whole[h]);
          }
          turn({whole[0], kSide * kLanesOfPanel, kLanesOfPanel, 0, to + tile * kLanesOfPanel,
                kTile * size, size, 0, 1});
        });
  }

  // Adds a block's part for input channels [channel, channel + count) to a group's partial sums.
  void addBlock(const TileRange& tile_range, const TileRange& range, const float* dy,
                int64_t channel, int64_t count, int worker, float* sums, bool is_first) const {
    const TilePanels<kSide> panels(tile_range, range);
    const int64_t all = panels.count();
    const int64_t plane = sum.targetPlane();
    const int64_t* positions = block.targetsOf(worker);
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
    float* sums = partial + index * panel_size;
    for (int64_t cut = 1; cut < cuts; ++cut) {
      const float* more = sums + cut * partial_size;
      for (int64_t i = 0; i < panel_size; ++i) sums[i] += more[i];
    }
    float* out = finished.of(worker);
    const int64_t size = source * kLanesOfPanel;
    winogradTransforms<kSide>().weight_sums({sums, kTile * size, size, kLanesOfPanel, out,
                                             3 * kLanesOfPanel, kLanesOfPanel, 9 * kLanesOfPanel,
                                             source});
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
  ThreadArrays<float> finished;  // [source channel][3][3][kPanel]
};

template <int kSide>
void inputGrad(const ConvShape& shape, const float* dy, const float* w, float* dx,
               std::byte* workspace, ThreadPool& pool) {
  const InputGrad<kSide> m(shape, pool.threads(), workspace);
  const WindowSum& sum = m.sum;
  const TileBlocks& blocks = m.block.blocks;
  m.block.fillTables();
  pool.run(sum.group * m.group_panels, [&](int64_t i, int) {
    m.packWeights(w, i / m.group_panels, i % m.group_panels * kLanesOfPanel,
                  m.weights + i * m.panel_size);
  });
  const FloatValues values = valuesOf(sum, dy);
  pool.run(blocks.count * sum.group, [&](int64_t piece, int worker) {
    const int64_t g = piece / blocks.count;
    const TileRange tile_range(m.tiles, blocks, piece % blocks.count);
    const TileRange range = existing(sum, positionsOf<kSide>(tile_range));
    const int64_t count = fillTargets(sum, range, m.block.targetsOf(worker));
    m.block.transform(sum, tile_range, values, g * sum.source_channels, sum.source_channels,
                      worker);
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
  const TileBlocks& blocks = m.block.blocks;
  m.block.fillTables();
  const CodeValues values = valuesOf(sum, x);
  pool.run(m.cuts * sum.group * m.channel_blocks, [&](int64_t piece, int worker) {
    const int64_t channel = piece % m.channel_blocks * m.channels;
    const int64_t count = std::min(m.channels, sum.source_channels - channel);
    const int64_t g = piece / m.channel_blocks % sum.group;
    const int64_t cut = piece / m.channel_blocks / sum.group;
    const int64_t begin = blocks.count * cut / m.cuts;
    const int64_t end = blocks.count * (cut + 1) / m.cuts;
    for (int64_t tile = begin; tile < end; ++tile) {
      const TileRange tile_range(m.tiles, blocks, tile);
      const TileRange range = existing(sum, positionsOf<kSide>(tile_range));
      fillTargets(sum, range, m.block.targetsOf(worker));
      m.block.transform(sum, tile_range, values, g * sum.source_channels + channel, count, worker);
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

// Whether tiles of 4x4 are the faster ones for a plane: they take at most two thirds of the
// products, although the last ones may reach beyond the plane.
bool fourFits(const ConvShape& shape, const std::array<int64_t, 3>& plane) {
  const int64_t rows = plane[1], columns = plane[2];
  return weightsFit<4>(shape) &&
         3 * productsOfPlane<4>(rows, columns) <= 2 * productsOfPlane<2>(rows, columns);
}

}  // namespace

bool winogradFits(const ConvShape& shape) {
  constexpr int64_t kChannels = 16;  // that are worth the transforms
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
