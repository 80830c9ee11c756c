// Winograd's transforms (winograd_tiles.h) of panels, whose lanes are channels.
#pragma once

#include <cstdint>

namespace simaqat::kernels {

// Tiles side by side. Element (h, w) of tile t, a panel, begins at
//   from + t * from_tile + h * from_row + w * from_column,
// and that of what it is turned into likewise.
struct PanelTiles {
  const float* from;
  int64_t from_row, from_column, from_tile;
  float* to;
  int64_t to_row, to_column, to_tile;
  int64_t count;
};

// One function for each of the matrices.
struct WinogradTransforms {
  using Transform = void (*)(const PanelTiles& tiles);
  Transform source, weights, sums, gradient, weight_sums;
};

// The versions in isa.h's table: for tiles of 2x2 positions and of 4x4.
namespace baseline {
extern const WinogradTransforms winograd_by_two, winograd_by_four;
}
#if defined(__x86_64__)
namespace avx512 {
extern const WinogradTransforms winograd_by_two, winograd_by_four;
}
#endif

template <int kSide>
const WinogradTransforms& winogradTransforms();

}  // namespace simaqat::kernels
