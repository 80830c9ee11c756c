// A block of Winograd's tiles: its source, as panels of channels, transformed.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/packet.h"
#include "kernels/panel_product.h"
#include "kernels/winograd_blocks.h"
#include "kernels/winograd_panels.h"
#include "kernels/workspace.h"

namespace simaqat::kernels {

constexpr int64_t kLanesOfPanel = kPanel<float>;
static_assert(kLanesOfPanel == 2 * kLanes);

// How tiles are cut into blocks: a few rows of a plane's tiles, or a few planes.
struct TileBlocks {
  // most: tiles that a block should have at most. blocks: how many there should be at least.
  TileBlocks(const WindowSum& tiles, int64_t most, int64_t blocks) {
    const int64_t all_rows = tiles.axis[1].count, all_columns = tiles.axis[2].count;
    const int64_t slices = tiles.batch * tiles.axis[0].count;
    columns = evenPart(all_columns, most);
    column_tiles = ceilDiv(all_columns, columns);
    rows = evenPart(all_rows, std::max<int64_t>(most / columns, 1));
    while (rows > 1 && slices * column_tiles * ceilDiv(all_rows, rows) < blocks) {
      rows = ceilDiv(rows, 2);
    }
    row_tiles = ceilDiv(all_rows, rows);
    images = 1;
    if (row_tiles == 1 && column_tiles == 1) {
      images =
          std::clamp<int64_t>(std::min(most / (rows * columns), slices / blocks), 1, tiles.batch);
    }
    image_tiles = ceilDiv(tiles.batch, images);
    count = image_tiles * tiles.axis[0].count * row_tiles * column_tiles;
  }

  // `all` in as few parts of at most `most` as there can be, of about the same size.
  static int64_t evenPart(int64_t all, int64_t most) { return ceilDiv(all, ceilDiv(all, most)); }
  int64_t tiles() const { return images * rows * columns; }

  int64_t images, rows, columns;  // of a block, at most
  int64_t image_tiles, row_tiles, column_tiles;
  int64_t count;  // of a group's blocks
};

// kLanes neighbours of a plane, as floats, from element `at` of all; those behind the end are made
// up.
struct FloatValues {
  Packet operator()(int64_t at) const {
    if (at + kLanes <= size) return load(x + at);
    float lanes[kLanes] = {};
    std::copy(x + at, x + size, lanes);
    return load(lanes);
  }
  const float* x;
  int64_t size;
};
struct CodeValues {
  Packet operator()(int64_t at) const {
    float lanes[kLanes];
    if (at + kLanes <= size) {
      expandCodes<kLanes>(x.codes + at, lanes);
    } else {
      uint8_t codes[kLanes] = {};
      std::copy(x.codes + at, x.codes + size, codes);
      expandCodes<kLanes>(codes, lanes);
    }
    const Packet less_zero = Eigen::internal::psub(load(lanes), broadcast(x.zero_point));
    return Eigen::internal::pmul(less_zero, broadcast(x.scale));
  }
  Codes x;
  int64_t size;
};
inline int64_t sourceSize(const WindowSum& sum) {
  return sum.batch * sum.group * sum.source_channels * sum.sourcePlane();
}
inline FloatValues valuesOf(const WindowSum& sum, const float* x) { return {x, sourceSize(sum)}; }
inline CodeValues valuesOf(const WindowSum& sum, const Codes& x) { return {x, sourceSize(sum)}; }

// What both gradients have of a block of tiles: its source, transformed.
template <int kSide>
struct SourceBlock {
  static constexpr int kTile = kSide + 2;  // of the source
  static constexpr int64_t kElements = kTile * kTile, kPositions = kSide * kSide;

  // `tiles`: see tilesOf. source_channels: those of the source that are multiplied together.
  SourceBlock(const WindowSum& tiles, int64_t source_channels, int64_t number, int threads,
              Workspace& memory)
      : panels_together(std::min(kPanelsTogether, panels<float>(tiles.target_channels))),
        channels(panels<float>(source_channels) * kLanesOfPanel),
        blocks(tiles, mostTiles(), number) {
    const int64_t tiles_of_block = blocks.tiles();
    source_size =
        blocks.images * (kSide * blocks.rows + 2) * (kSide * blocks.columns + 2) * kLanesOfPanel;
    tile = memory.take<int64_t>(tiles_of_block);
    channel = memory.take<int64_t>(channels);
    targets = memory.takeForThreads<int64_t>(threads, kPositions * tiles_of_block);
    panels_of_positions =
        memory.takeForThreads<float>(threads, kPositions * tiles_of_block * kLanesOfPanel);
    elements = memory.takeForThreads<float>(threads, panels_together * panelElements());
    sources = memory.takeForThreads<float>(threads, source_size);
    transformed = memory.takeForThreads<float>(threads, kElements * elementSize());
  }

  // Tiles whose source, sums and positions take a large L2 cache; where channels are many, enough
  // that the weights are worth reading for them.
  int64_t mostTiles() const {
    constexpr int64_t kFloats = 384 << 10, kFew = kSide == 2 ? 50 : 28;
    const int64_t sums = (kElements * panels_together + kPositions) * kLanesOfPanel;
    return std::max(kFew, kFloats / (kElements * channels + sums));
  }

  void fillTables() const {
    for (int64_t t = 0; t < blocks.tiles(); ++t) tile[t] = t * channels;
    for (int64_t c = 0; c < channels; ++c) channel[c] = c;
  }

  // The block's source in the worker's `transformed`, of `count` channels from `first`.
  template <class Values>
  void transform(const WindowSum& sum, const TileRange& range, const Values& values, int64_t first,
                 int64_t count, int worker) const {
    float* source = sources.of(worker);
    const int64_t row = (kSide * range.columns + 2) * kLanesOfPanel;
    const int64_t size = elementSize();
    for (int64_t c = 0; c < count; c += kLanesOfPanel) {
      packSource(sum, range, values, first + c, std::min(kLanesOfPanel, count - c), source);
      const float* from = source;
      float* to = of(worker, 0) + c;
      for (int64_t n = 0; n < range.images; ++n) {
        for (int64_t r = 0; r < range.rows; ++r) {
          winogradTransforms<kSide>().source({from, row, kLanesOfPanel, kSide * kLanesOfPanel, to,
                                              kTile * size, size, channels, range.columns});
          from += kSide * row;
          to += range.columns * channels;
        }
        from += 2 * row;
      }
    }
  }

  // What the block's tiles have of at most a panel of channels, [image][row][column][kPanel].
  template <class Values>
  void packSource(const WindowSum& sum, const TileRange& range, const Values& values, int64_t first,
                  int64_t count, float* to) const {
    const Axis &a0 = sum.axis[0], &a1 = sum.axis[1], &a2 = sum.axis[2];
    const int64_t slice = a0.sourceIndex(range.slice, 0, 0);
    const bool slice_exists = slice >= 0 && slice < a0.size;
    const int64_t columns = kSide * range.columns + 2;
    const int64_t row = kSide * range.row + a1.tap_begin;
    const int64_t column = kSide * range.column + a2.tap_begin;
    const int64_t begin = std::clamp<int64_t>(-column, 0, columns);
    const int64_t end = std::clamp<int64_t>(a2.size - column, begin, columns);
    for (int64_t n = 0; n < range.images; ++n) {
      const int64_t plane = (range.image + n) * sum.group * sum.source_channels + first;
      for (int64_t r = row; r < row + kSide * range.rows + 2; ++r, to += columns * kLanesOfPanel) {
        const bool exists = slice_exists && r >= 0 && r < a1.size && begin < end;
        const int64_t from = exists ? begin : columns, behind = exists ? end : columns;
        std::fill(to, to + from * kLanesOfPanel, 0.0f);
        std::fill(to + behind * kLanesOfPanel, to + columns * kLanesOfPanel, 0.0f);
        if (!exists) continue;
        packRow(values, ((plane * a0.size + slice) * a1.size + r) * a2.size + column + begin,
                sum.sourcePlane(), count, end - begin, to + begin * kLanesOfPanel);
      }
    }
  }

  // `n` positions of a row of `count` planes.
  template <class Values>
  void packRow(const Values& values, int64_t at, int64_t plane, int64_t count, int64_t n,
               float* to) const {
    for (int64_t c0 = 0; c0 < kLanesOfPanel; c0 += kLanes) {
      for (int64_t i = 0; i < n; i += kLanes) {
        PacketSquare square;
        for (int64_t c = 0; c < kLanes; ++c) {
          square.packet[c] = c0 + c < count ? values(at + (c0 + c) * plane + i) : broadcast(0.0f);
        }
        Eigen::internal::ptranspose(square);
        float* panel = to + i * kLanesOfPanel + c0;
        const int64_t some = std::min<int64_t>(kLanes, n - i);
        for (int64_t k = 0; k < some; ++k) store(panel + k * kLanesOfPanel, square.packet[k]);
      }
    }
  }

  // Elements are written side by side: at a power of two from one another they would compete for
  // the same lines of the cache.
  static constexpr int64_t kApart = 32;
  int64_t elementSize() const { return blocks.tiles() * channels + kApart; }
  int64_t panelElements() const { return kElements * panelsOfElement(); }
  int64_t panelsOfElement() const { return blocks.tiles() * kLanesOfPanel + kApart; }
  // [tiles][channels] of an element.
  float* of(int worker, int64_t element) const {
    return transformed.of(worker) + element * elementSize();
  }
  int64_t* targetsOf(int worker) const { return targets.of(worker); }
  // A panel at each position of the block, [image][row][column].
  float* panelOf(int worker) const { return panels_of_positions.of(worker); }
  // A panel for each element and tile, and as much for each of the panels that are done together.
  float* elementsOf(int worker) const { return elements.of(worker); }

  int64_t panels_together;  // of the target
  int64_t channels;         // in whole panels
  TileBlocks blocks;
  int64_t source_size;
  int64_t* tile;                            // [tiles]
  int64_t* channel;                         // [channels]
  ThreadArrays<int64_t> targets;            // [positions] in a channel of the target
  ThreadArrays<float> panels_of_positions;  // [positions][kPanel]
  ThreadArrays<float> elements;             // [kPanelsTogether][kElements][tiles][kPanel]
  ThreadArrays<float> sources;              // [images][rows][columns][kPanel] of a block's source
  ThreadArrays<float> transformed;          // [kElements][tiles][channels]
};

}  // namespace simaqat::kernels
