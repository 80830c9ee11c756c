// Both gradients of a 1x1 convolution. dy is packed for the weight gradient, in panels of channels;
// the same panels, which are still in the cache, are read through tables for the input gradient.

#include <algorithm>

#include "kernels/conv.h"
#include "kernels/float_rows.h"
#include "kernels/panel_planes.h"
#include "kernels/panel_product.h"
#include "kernels/weight_grad_plan.h"
#include "kernels/window_sum.h"
#include "kernels/workspace.h"

namespace simaqat::kernels {
namespace {

// Positions that are done together: those that are worth a pass of the weight gradient's sums.
constexpr int64_t kPositions = kPanelDepth;
// All channels of so many positions should stay in the L2 cache.
constexpr int64_t kMostChannels = 512;

struct GradsMemory {
  GradsMemory(const WeightGradPlan& plan, int threads, std::byte* workspace)
      : memory(workspace),
        channels(plan.sum.target_channels),
        weights_size(panels<float>(plan.channels) * channels * kPanel<float>),
        panels_size(plan.group_panels * kPositions * kPanel<float>) {
    tap_offset = memory.take<int64_t>(plan.channels);
    panel_offset = memory.take<int64_t>(channels);
    panel_row = memory.take<int64_t>(kPositions);
    weights = memory.take<float>(weights_size);
    partial = memory.take<float>(plan.cuts * plan.partial_size);
    positions = memory.take<int64_t>(threads * kTables * plan.tiling.positions());
    packed = memory.take<float>(threads * panels_size);
    results = memory.take<float>(threads * kResults);
    buffers = memory.take<float>(threads * plan.tiling.bufferSize());
  }
  static constexpr int64_t kTables = 3;
  static constexpr int64_t kResultsOfPanel = kPositions * kPanel<float>;
  static constexpr int64_t kResults = kPanelsTogether * kResultsOfPanel;

  Workspace memory;
  int64_t channels;  // of dy
  int64_t weights_size, panels_size;
  int64_t* tap_offset;    // of x's channels in a tile's buffer
  int64_t* panel_offset;  // of dy's channels in the packed panels
  int64_t* panel_row;     // and of positions
  float* weights;         // [panel of x's channels][dy's channels][kPanel]
  float* partial;         // [cut][sums]
  int64_t* positions;     // [thread][in the buffer, in dy, in dx][positions of a tile]
  float* packed;          // [thread][panel of dy's channels][kPositions][kPanel]
  float* results;         // [thread][kPanelsTogether][kPositions][kPanel]
  float* buffers;         // [thread][a tile's buffer]
};

void fillTables(const WeightGradPlan& plan, const float* w, const GradsMemory& m) {
  fillTapOffsets(plan.sum, plan.tiling, m.tap_offset);
  for (int64_t i = 0; i < kPositions; ++i) m.panel_row[i] = i * kPanel<float>;
  for (int64_t o = 0; o < m.channels; ++o) {
    const int64_t panel = o / kPanel<float>;
    m.panel_offset[o] = panel * kPositions * kPanel<float> + o % kPanel<float>;
  }
  float* to = m.weights;
  for (int64_t first = 0; first < plan.channels; first += kPanel<float>) {
    for (int64_t o = 0; o < m.channels; ++o) {
      for (int64_t c = first; c < first + kPanel<float>; ++c) {
        *to++ = c < plan.channels ? w[o * plan.channels + c] : 0.0f;
      }
    }
  }
}

// What a thread works on: a tile, whose channels of x are in the buffer.
struct TileGrads {
  const WeightGradPlan& plan;
  const GradsMemory& memory;
  const float* buffer;
  const float* dy;
  float* dx;
  float* packed;
  float* results;
  float* partial;
  TilePositions positions;
  const int64_t* dx_positions;

  // Packs dy at positions [p, p + count), and adds their part of dw's sums.
  void addWeightGrad(int64_t p, int64_t count) const {
    const int64_t plane = plan.sum.targetPlane();
    constexpr int64_t kPacked = kPositions * kPanel<float>;
    for (int64_t block = 0; block < plan.group_panels; block += panelsTogether()) {
      const int64_t some = std::min(panelsTogether(), plan.group_panels - block);
      for (int64_t i = 0; i < some; ++i) {
        packPanel(dy + (block + i) * kPanel<float> * plane, plane,
                  columnsOfPanel<float>(memory.channels, block + i), positions.target + p, count,
                  packed + (block + i) * kPacked);
      }
      multiplyPanel(PanelProduct<float>{buffer, memory.tap_offset, plan.channels,
                                        positions.source + p, count, packed + block * kPacked,
                                        columnsOfPanel<float>(memory.channels, block + some - 1),
                                        partial + plan.panelSums(0, block), kPanel<float>, true,
                                        some, kPacked, plan.panelSums(0, 1)});
    }
  }

  // dx at these positions, from what was packed.
  void putInputGrad(int64_t p, int64_t count) const {
    const int64_t plane = plan.sum.sourcePlane();
    const int64_t panels = kernels::panels<float>(plan.channels);
    for (int64_t panel = 0; panel < panels; panel += panelsTogether()) {
      const int64_t some = std::min(panelsTogether(), panels - panel);
      const int64_t panel_weights = memory.channels * kPanel<float>;
      for (int64_t k = 0; k < memory.channels; k += kPanelDepth) {
        multiplyPanel(PanelProduct<float>{
            packed, memory.panel_row, count, memory.panel_offset + k,
            std::min(kPanelDepth, memory.channels - k),
            memory.weights + panel * panel_weights + k * kPanel<float>,
            columnsOfPanel<float>(plan.channels, panel + some - 1), results, kPanel<float>, k > 0,
            some, panel_weights, GradsMemory::kResultsOfPanel});
      }
      for (int64_t i = 0; i < some; ++i) {
        storeResults(results + i * GradsMemory::kResultsOfPanel,
                     columnsOfPanel<float>(plan.channels, panel + i), dx_positions + p, count,
                     dx + (panel + i) * kPanel<float> * plane, plane);
      }
    }
  }
};

void fillInputPositions(const WindowSum& sum, const TileRange& range, int64_t* positions) {
  for (int64_t n = range.image; n < range.image + range.images; ++n) {
    const int64_t first = n * sum.source_channels * sum.sourcePlane() + range.column;
    for (int64_t c = 0; c < range.columns; ++c) *positions++ = first + c;
  }
}

bool fits(const ConvShape& shape) {
  const ConvShape flat = collapsed(shape);
  const std::array<int64_t, 3> ones{1, 1, 1};
  const bool is_flat = flat.kernel == ones && flat.stride == ones && flat.in == flat.out;
  // A tile has all channels of x, so that dy is packed once.
  return is_flat && shape.group == 1 && !isDepthwise(shape) && shape.batch * flat.out[2] > 0 &&
         shape.in_channels <= WeightGradPlan::kChannels && shape.out_channels <= kMostChannels;
}

template <class Source>
void grads(const ConvShape& shape, const Source& x, const float* dy, const float* w, float* dx,
           float* dw, std::byte* workspace, ThreadPool& pool) {
  if (!fits(shape)) {
    convInputGrad(shape, Operands::kFloat, dy, w, dx, workspace, pool);
    convWeightGrad(shape, Operands::kFloat, x, dy, dw, workspace, pool);
    return;
  }
  const WeightGradPlan plan(collapsed(shape));
  const WindowSum& sum = plan.sum;
  const Tiling& tiling = plan.tiling;
  const GradsMemory m(plan, pool.threads(), workspace);
  fillTables(plan, w, m);
  pool.run(plan.cuts, [&](int64_t cut, int worker) {
    float* partial = m.partial + cut * plan.partial_size;
    std::fill_n(partial, plan.partial_size, 0.0f);
    float* buffer = m.buffers + worker * tiling.bufferSize();
    int64_t* table = m.positions + worker * GradsMemory::kTables * tiling.positions();
    int64_t* dx_positions = table + 2 * tiling.positions();
    const TileGrads grads{plan,
                          m,
                          buffer,
                          dy,
                          dx,
                          m.packed + worker * m.panels_size,
                          m.results + worker * GradsMemory::kResults,
                          partial,
                          {table, table + tiling.positions()},
                          dx_positions};
    const int64_t end = tiling.tiles_of_group * (cut + 1) / plan.cuts;
    for (int64_t tile = tiling.tiles_of_group * cut / plan.cuts; tile < end; ++tile) {
      const TileRange range(sum, tiling, tile);
      const int64_t count = fillPositions(sum, tiling, range, grads.positions);
      fillInputPositions(sum, range, dx_positions);
      fillBuffer(sum, tiling, range, rowsOfSource(sum, x), 0, plan.channels, buffer);
      for (int64_t p = 0; p < count; p += kPositions) {
        grads.addWeightGrad(p, std::min(kPositions, count - p));
        grads.putInputGrad(p, std::min(kPositions, count - p));
      }
    }
  });
  finishSums(plan, m.partial, 1, dw, pool);
}

}  // namespace

size_t convGradsWorkspace(const ConvShape& shape, int threads) {
  if (!fits(shape)) {
    return std::max(convInputGradWorkspace(shape, Operands::kFloat, threads),
                    convWeightGradWorkspace(shape, Operands::kFloat, threads));
  }
  return GradsMemory(WeightGradPlan(collapsed(shape)), threads, nullptr).memory.used();
}

void convGrads(const ConvShape& shape, const float* x, const float* dy, const float* w, float* dx,
               float* dw, std::byte* workspace, ThreadPool& pool) {
  grads(shape, x, dy, w, dx, dw, workspace, pool);
}

void convGrads(const ConvShape& shape, const Codes& x, const float* dy, const float* w, float* dx,
               float* dw, std::byte* workspace, ThreadPool& pool) {
  grads(shape, x, dy, w, dx, dw, workspace, pool);
}

}  // namespace simaqat::kernels
