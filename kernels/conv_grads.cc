// Both gradients of a 1x1 convolution, from one pass over dy. Those of floats are
// plane_weight_grad.h's; here are those of pairs of bfloat16 numbers: of positions for the weight
// gradient, of dy's channels for the input gradient, which packs dy, still in the cache, a second
// time.

#include <algorithm>

#include "kernels/conv.h"
#include "kernels/float_rows.h"
#include "kernels/panel_planes.h"
#include "kernels/panel_product.h"
#include "kernels/plane_weight_grad.h"
#include "kernels/weight_grad_plan.h"
#include "kernels/weight_grad_terms.h"
#include "kernels/window_sum.h"
#include "kernels/workspace.h"

namespace simaqat::kernels {
namespace {

// Terms of the weight gradient's sums that are done together: those that are worth a pass.
constexpr int64_t kTerms = kPanelDepth;
// All channels of so many positions should stay in the L2 cache.
constexpr int64_t kMostChannels = 512;

using Pair = Bfloat16Pair;
constexpr int64_t kPositions = 2 * kTerms;

struct GradsMemory {
  GradsMemory(const WeightGradPlan& plan, int threads, std::byte* workspace)
      : memory(workspace),
        terms(plan.tiling, threads, memory),
        channels(plan.sum.target_channels),
        depth(ceilDiv(channels, 2)),
        weights_size(panels<Pair>(plan.channels) * depth * kPanel<Pair>) {
    tap_offset = memory.take<int64_t>(plan.channels);
    depth_offset = memory.take<int64_t>(depth);
    position_row = memory.take<int64_t>(kPositions);
    weights = memory.take<Pair>(weights_size);
    partial = memory.take<float>(plan.cuts * plan.partial_size);
    positions = memory.takeForThreads<int64_t>(threads, kTables * plan.tiling.positions());
    packed = memory.takeForThreads<Pair>(threads, plan.group_panels * kTerms * kPanel<Pair>);
    pairs = memory.takeForThreads<Pair>(threads, depth * kPositions);
    results = memory.takeForThreads<float>(threads, kResults);
    buffers = memory.takeForThreads<Pair>(threads, plan.tiling.bufferSize());
    lines = memory.takeForThreads<float>(threads, plan.tiling.row_stride + kLanes);
  }
  static constexpr int64_t kTables = 3;
  static constexpr int64_t kResultsOfPanel = kPositions * kPanel<Pair>;
  static constexpr int64_t kResults = kPanelsTogether * kResultsOfPanel;

  Workspace memory;
  WeightGradTerms<Pair> terms;
  int64_t channels;  // of dy
  int64_t depth;     // of the input gradient's sums: pairs of them
  int64_t weights_size;
  int64_t* tap_offset;    // of x's channels in a tile's buffer
  int64_t* depth_offset;  // of dy's channels in what the input gradient reads
  int64_t* position_row;  // and of positions
  Pair* weights;          // [panel of x's channels][depth][kPanel]
  float* partial;         // [cut][sums]
  ThreadArrays<int64_t> positions;  // [in the buffer, in dy, in dx][positions of a tile]
  ThreadArrays<Pair> packed;        // [panel of dy's channels][kTerms][kPanel]
  ThreadArrays<Pair> pairs;         // [depth][kPositions], of channels
  ThreadArrays<float> results;      // [kPanelsTogether][kPositions][kPanel]
  ThreadArrays<Pair> buffers;       // [a tile's buffer]
  ThreadArrays<float> lines;        // [a row of the buffer]
};

// The weights of two output channels for input channel c.
Pair weightsOf(const WeightGradPlan& plan, const float* w, int64_t pair, int64_t c) {
  const int64_t o = 2 * pair;
  const bool has_second = o + 1 < plan.sum.target_channels;
  return pairOf(w[o * plan.channels + c], has_second ? w[(o + 1) * plan.channels + c] : 0.0f);
}

void fillTables(const WeightGradPlan& plan, const float* w, const GradsMemory& m) {
  fillTapOffsets(plan.sum, plan.tiling, m.tap_offset);
  for (int64_t i = 0; i < kPositions; ++i) m.position_row[i] = i;
  for (int64_t k = 0; k < m.depth; ++k) m.depth_offset[k] = k * kPositions;
  Pair* to = m.weights;
  for (int64_t first = 0; first < plan.channels; first += kPanel<Pair>) {
    for (int64_t k = 0; k < m.depth; ++k) {
      for (int64_t c = first; c < first + kPanel<Pair>; ++c) {
        *to++ = c < plan.channels ? weightsOf(plan, w, k, c) : Pair{0};
      }
    }
  }
}

// dy's channels at positions that follow each other as `position` says, in pairs of channels.
void packChannelPairs(const float* dy, int64_t plane, int64_t channels, const int64_t* position,
                      int64_t count, Pair* pairs) {
  for (int64_t c = 0; c < channels; c += 2, pairs += kPositions) {
    const float* a = dy + c * plane;
    for (int64_t p = 0; p < count;) {
      int64_t end = p + 1;
      while (end < count && position[end] == position[end - 1] + 1) ++end;
      const float* first = a + position[p];
      if (c + 1 < channels) {
        expectToRead(first, kPanelDepth);
        makePairs(first, first + plane, end - p, pairs + p);
      } else {
        for (int64_t i = p; i < end; ++i) pairs[i] = pairOf(a[position[i]], 0.0f);
      }
      p = end;
    }
  }
}

// What a thread works on: a tile, whose channels of x are in the buffer.
struct TileGrads {
  const WeightGradPlan& plan;
  const GradsMemory& memory;
  WeightGradTerms<Pair> terms;
  const Pair* buffer;
  const float* dy;
  float* dx;
  Pair* packed;
  Pair* pairs;
  float* results;
  float* partial;
  TilePositions positions;
  const int64_t* dx_positions;

  // Packs dy at terms [first, first + count), and adds their part of dw's sums.
  void addWeightGrad(int64_t first, int64_t count) const {
    const int64_t plane = plan.sum.targetPlane();
    constexpr int64_t kPacked = kTerms * kPanel<Pair>;
    for (int64_t block = 0; block < plan.group_panels; block += panelsTogether()) {
      const int64_t some = std::min(panelsTogether(), plan.group_panels - block);
      for (int64_t i = 0; i < some; ++i) {
        terms.pack(dy + (block + i) * kPanel<Pair> * plane, plane,
                   columnsOfPanel<Pair>(memory.channels, block + i), first, count,
                   packed + (block + i) * kPacked);
      }
      multiplyPanel(PanelProduct<Pair>{buffer, memory.tap_offset, plan.channels,
                                       terms.source + first, count, packed + block * kPacked,
                                       columnsOfPanel<Pair>(memory.channels, block + some - 1),
                                       partial + plan.panelSums(0, block), kPanel<Pair>, true, some,
                                       kPacked, plan.panelSums(0, 1)});
    }
  }

  // dx at positions [p, p + count).
  void putInputGrad(int64_t p, int64_t count) const {
    packChannelPairs(dy, plan.sum.targetPlane(), memory.channels, positions.target + p, count,
                     pairs);
    const int64_t plane = plan.sum.sourcePlane();
    const int64_t panels = kernels::panels<Pair>(plan.channels);
    for (int64_t panel = 0; panel < panels; panel += panelsTogether()) {
      const int64_t some = std::min(panelsTogether(), panels - panel);
      const int64_t panel_weights = memory.depth * kPanel<Pair>;
      for (int64_t k = 0; k < memory.depth; k += kPanelDepth) {
        multiplyPanel(PanelProduct<Pair>{pairs, memory.position_row, count, memory.depth_offset + k,
                                         std::min(kPanelDepth, memory.depth - k),
                                         memory.weights + panel * panel_weights + k * kPanel<Pair>,
                                         columnsOfPanel<Pair>(plan.channels, panel + some - 1),
                                         results, kPanel<Pair>, k > 0, some, panel_weights,
                                         GradsMemory::kResultsOfPanel});
      }
      for (int64_t i = 0; i < some; ++i) {
        storeResults(results + i * GradsMemory::kResultsOfPanel,
                     columnsOfPanel<Pair>(plan.channels, panel + i), dx_positions + p, count,
                     dx + (panel + i) * kPanel<Pair> * plane, plane);
      }
    }
  }

  void run(int64_t count) const {
    for (int64_t term = 0, p = 0; term < count; term += kTerms) {
      const int64_t some = std::min(kTerms, count - term);
      const int64_t some_positions = terms.positions(term, some);
      addWeightGrad(term, some);
      putInputGrad(p, some_positions);
      p += some_positions;
    }
  }
};

void fillInputPositions(const WindowSum& sum, const TileRange& range, int64_t* positions) {
  for (int64_t n = range.image; n < range.image + range.images; ++n) {
    const int64_t first = n * sum.source_channels * sum.sourcePlane() + range.column;
    for (int64_t c = 0; c < range.columns; ++c) *positions++ = first + c;
  }
}

bool fits(const ConvShape& shape, Operands operands) {
  if (operands == Operands::kFloat) return planeWeightGradFits(shape);
  // A tile has all channels of x, so that dy is packed once.
  return PlaneLines::fits(shape) && !isDepthwise(shape) && shape.batch > 0 &&
         shape.in_channels <= WeightGradPlan::kChannels && shape.out_channels <= kMostChannels;
}

template <class Source>
void grads(const WeightGradPlan& plan, const Source& x, const float* dy, const float* w, float* dx,
           float* dw, std::byte* workspace, ThreadPool& pool) {
  const WindowSum& sum = plan.sum;
  const Tiling& tiling = plan.tiling;
  const GradsMemory m(plan, pool.threads(), workspace);
  fillTables(plan, w, m);
  pool.run(plan.cuts, [&](int64_t cut, int worker) {
    float* partial = m.partial + cut * plan.partial_size;
    std::fill_n(partial, plan.partial_size, 0.0f);
    Pair* buffer = m.buffers.of(worker);
    int64_t* table = m.positions.of(worker);
    int64_t* dx_positions = table + 2 * tiling.positions();
    const auto rows = weightGradRows(sum, x, m.lines.of(worker), Pair{});
    const TileGrads grads{plan,
                          m,
                          m.terms.of(worker),
                          buffer,
                          dy,
                          dx,
                          m.packed.of(worker),
                          m.pairs.of(worker),
                          m.results.of(worker),
                          partial,
                          {table, table + tiling.positions()},
                          dx_positions};
    const int64_t end = tiling.tiles_of_group * (cut + 1) / plan.cuts;
    for (int64_t tile = tiling.tiles_of_group * cut / plan.cuts; tile < end; ++tile) {
      const TileRange range(sum, tiling, tile);
      fillPositions(sum, tiling, range, grads.positions);
      fillInputPositions(sum, range, dx_positions);
      fillBuffer(sum, tiling, range, rows, 0, plan.channels, buffer);
      grads.run(grads.terms.fill(sum, tiling, range));
    }
  });
  finishSums(plan, m.partial, weightGradScale<Pair>(x), dw, pool);
}

template <class Source>
void grads(const ConvShape& shape, Operands operands, const Source& x, const float* dy,
           const float* w, float* dx, float* dw, std::byte* workspace, ThreadPool& pool) {
  if (!fits(shape, operands)) {
    convInputGrad(shape, operands, dy, w, dx, workspace, pool);
    convWeightGrad(shape, operands, x, dy, dw, workspace, pool);
  } else if (operands == Operands::kFloat) {
    planeGrads(shape, x, dy, w, dx, dw, workspace, pool);
  } else {
    grads(WeightGradPlan(collapsed(shape)), x, dy, w, dx, dw, workspace, pool);
  }
}

}  // namespace

size_t convGradsWorkspace(const ConvShape& shape, Operands operands, int threads) {
  if (!fits(shape, operands)) {
    return std::max(convInputGradWorkspace(shape, operands, threads),
                    convWeightGradWorkspace(shape, operands, threads));
  }
  if (operands == Operands::kFloat) return planeGradsWorkspace(shape, threads);
  return GradsMemory(WeightGradPlan(collapsed(shape)), threads, nullptr).memory.used();
}

void convGrads(const ConvShape& shape, Operands operands, const float* x, const float* dy,
               const float* w, float* dx, float* dw, std::byte* workspace, ThreadPool& pool) {
  grads(shape, operands, x, dy, w, dx, dw, workspace, pool);
}

void convGrads(const ConvShape& shape, Operands operands, const Codes& x, const float* dy,
               const float* w, float* dx, float* dw, std::byte* workspace, ThreadPool& pool) {
  grads(shape, operands, x, dy, w, dx, dw, workspace, pool);
}

}  // namespace simaqat::kernels
