#include "kernels/winograd_panels.h"

#include "kernels/isa.h"
#include "kernels/panel_product.h"
#include "kernels/winograd_tiles.h"

namespace simaqat::kernels {
namespace {

// The loop over a panel's lanes becomes a vector, or two.
template <int kFrom, int kTo, void (*kAxis)(const float (&)[kFrom], float (&)[kTo])>
SIMAQAT_INLINE void transformPanels(const PanelTiles& tiles) {
  const PanelTiles p = tiles;
  for (int64_t t = 0; t < p.count; ++t) {
    const float* from = p.from + t * p.from_tile;
    float* to = p.to + t * p.to_tile;
#pragma GCC ivdep
    for (int64_t lane = 0; lane < kPanel<float>; ++lane) {
      transformAxes<kFrom, kTo, float, kAxis>(
          [&](int h, int w) { return from[h * p.from_row + w * p.from_column + lane]; },
          [&](int h, int w, float v) { to[h * p.to_row + w * p.to_column + lane] = v; });
    }
  }
}

}  // namespace

#define SIMAQAT_WINOGRAD_TRANSFORMS(target)                                                \
  namespace {                                                                              \
  template <int kSide>                                                                     \
  struct Transforms {                                                                      \
    using Tiles = WinogradTiles<kSide>;                                                    \
    static constexpr int kTile = kSide + 2;                                                \
    target static void source(const PanelTiles& tiles) {                                   \
      transformPanels<kTile, kTile, Tiles::source>(tiles);                                 \
    }                                                                                      \
    target static void weights(const PanelTiles& tiles) {                                  \
      transformPanels<3, kTile, Tiles::weights>(tiles);                                    \
    }                                                                                      \
    target static void sums(const PanelTiles& tiles) {                                     \
      transformPanels<kTile, kSide, Tiles::sums>(tiles);                                   \
    }                                                                                      \
    target static void gradient(const PanelTiles& tiles) {                                 \
      transformPanels<kSide, kTile, Tiles::gradient>(tiles);                               \
    }                                                                                      \
    target static void weightSums(const PanelTiles& tiles) {                               \
      transformPanels<kTile, 3, Tiles::weightSums>(tiles);                                 \
    }                                                                                      \
    static constexpr WinogradTransforms kAll{source, weights, sums, gradient, weightSums}; \
  };                                                                                       \
  }                                                                                        \
  const WinogradTransforms winograd_by_two = Transforms<2>::kAll;                          \
  const WinogradTransforms winograd_by_four = Transforms<4>::kAll;

namespace baseline {
SIMAQAT_WINOGRAD_TRANSFORMS()
}
#if defined(__x86_64__)
namespace avx512 {
SIMAQAT_WINOGRAD_TRANSFORMS(
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512"))))
}
#endif

template <>
const WinogradTransforms& winogradTransforms<2>() {
  return *kernels().winograd_by_two;
}
template <>
const WinogradTransforms& winogradTransforms<4>() {
  return *kernels().winograd_by_four;
}

}  // namespace simaqat::kernels
