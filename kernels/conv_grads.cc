// Both gradients of a 1x1 convolution, from one pass over dy. It is packed for the weight gradient,
// in panels of channels; the same panels, which are still in the cache, are read through tables for
// the input gradient.

#include <algorithm>

#include "kernels/conv.h"
#include "kernels/float_rows.h"
#include "kernels/panel_planes.h"
#include "kernels/panel_product.h"
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

// T is float, or pairs of bfloat16 numbers: of positions for the weight gradient, of dy's channels
// for the input gradient, which then packs dy, still in the cache, a second time.
template <class T>
constexpr int64_t kOfPair = 1;
template <>
constexpr int64_t kOfPair<Bfloat16Pair> = 2;
template <class T>
constexpr int64_t kPositions = kTerms* kOfPair<T>;

template <class T>
struct GradsMemory {
  GradsMemory(const WeightGradPlan& plan, int threads, std::byte* workspace)
      : memory(workspace),
        terms(plan.tiling, threads, memory),
        channels(plan.sum.target_channels),
        depth(ceilDiv(channels, kOfPair<T>)),
        weights_size(panels<T>(plan.channels) * depth * kPanel<T>),
        panels_size(plan.group_panels * kTerms * kPanel<T>),
        pairs_size(kOfPair<T> == 1 ? 0 : depth * kPositions<T>),
        line_size(kOfPair<T> == 1 ? 0 : plan.tiling.row_stride + kLanes) {
    tap_offset = memory.take<int64_t>(plan.channels);
    depth_offset = memory.take<int64_t>(depth);
    position_row = memory.take<int64_t>(kPositions<T>);
    weights = memory.take<T>(weights_size);
    partial = memory.take<float>(plan.cuts * plan.partial_size);
    positions = memory.takeForThreads<int64_t>(threads, kTables * plan.tiling.positions());
    packed = memory.takeForThreads<T>(threads, panels_size);
    pairs = memory.takeForThreads<T>(threads, pairs_size);
    results = memory.takeForThreads<float>(threads, kResults);
    buffers = memory.takeForThreads<T>(threads, plan.tiling.bufferSize());
    lines = memory.takeForThreads<float>(threads, line_size);
  }
  static constexpr int64_t kTables = 3;
  static constexpr int64_t kResultsOfPanel = kPositions<T> * kPanel<T>;
  static constexpr int64_t kResults = kPanelsTogether * kResultsOfPanel;

  Workspace memory;
  WeightGradTerms<T> terms;
  int64_t channels;  // of dy
  int64_t depth;     // of the input gradient's sums: they, or pairs of them
  int64_t weights_size, panels_size, pairs_size, line_size;
  int64_t* tap_offset;    // of x's channels in a tile's buffer
  int64_t* depth_offset;  // of dy's channels in what the input gradient reads
  int64_t* position_row;  // and of positions
  T* weights;             // [panel of x's channels][depth][kPanel]
  float* partial;         // [cut][sums]
  ThreadArrays<int64_t> positions;  // [in the buffer, in dy, in dx][positions of a tile]
  ThreadArrays<T> packed;           // [panel of dy's channels][kTerms][kPanel]
  ThreadArrays<T> pairs;            // [depth][kPositions], of channels
  ThreadArrays<float> results;      // [kPanelsTogether][kPositions][kPanel]
  ThreadArrays<T> buffers;          // [a tile's buffer]
  ThreadArrays<float> lines;        // [a row of the buffer]
};

// Where the input gradient finds dy: floats in the weight gradient's panels, pairs in their own
// array.
void fillDepthTables(const GradsMemory<float>& m) {
  for (int64_t i = 0; i < kTerms; ++i) m.position_row[i] = i * kPanel<float>;
  for (int64_t o = 0; o < m.channels; ++o) {
    const int64_t panel = o / kPanel<float>;
    m.depth_offset[o] = panel * kTerms * kPanel<float> + o % kPanel<float>;
  }
}
void fillDepthTables(const GradsMemory<Bfloat16Pair>& m) {
  for (int64_t i = 0; i < kPositions<Bfloat16Pair>; ++i) m.position_row[i] = i;
  for (int64_t k = 0; k < m.depth; ++k) m.depth_offset[k] = k * kPositions<Bfloat16Pair>;
}

// Output channel o's weight for input channel c, or those of two output channels.
float weightOf(const WeightGradPlan& plan, const float* w, int64_t o, int64_t c,
               float /*element*/) {
  return w[o * plan.channels + c];
}
Bfloat16Pair weightOf(const WeightGradPlan& plan, const float* w, int64_t pair, int64_t c,
                      Bfloat16Pair /*element*/) {
  const int64_t o = 2 * pair;
  const bool has_second = o + 1 < plan.sum.target_channels;
  return pairOf(w[o * plan.channels + c], has_second ? w[(o + 1) * plan.channels + c] : 0.0f);
}

template <class T>
void fillTables(const WeightGradPlan& plan, const float* w, const GradsMemory<T>& m) {
  fillTapOffsets(plan.sum, plan.tiling, m.tap_offset);
  fillDepthTables(m);
  T* to = m.weights;
  for (int64_t first = 0; first < plan.channels; first += kPanel<T>) {
    for (int64_t k = 0; k < m.depth; ++k) {
      for (int64_t c = first; c < first + kPanel<T>; ++c) {
        *to++ = c < plan.channels ? weightOf(plan, w, k, c, T{}) : T{0};
      }
    }
  }
}

// dy's channels at positions that follow each other as `position` says, in pairs of channels.
void packChannelPairs(const float* dy, int64_t plane, int64_t channels, const int64_t* position,
                      int64_t count, Bfloat16Pair* pairs) {
  for (int64_t c = 0; c < channels; c += 2, pairs += kPositions<Bfloat16Pair>) {
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
template <class T>
struct TileGrads {
  const WeightGradPlan& plan;
  const GradsMemory<T>& memory;
  WeightGradTerms<T> terms;
  const T* buffer;
  const float* dy;
  float* dx;
  T* packed;
  T* pairs;
  float* results;
  float* partial;
  TilePositions positions;
  const int64_t* dx_positions;

  // Packs dy at terms [first, first + count), and adds their part of dw's sums.
  void addWeightGrad(int64_t first, int64_t count) const {
    const int64_t plane = plan.sum.targetPlane();
    constexpr int64_t kPacked = kTerms * kPanel<T>;
    for (int64_t block = 0; block < plan.group_panels; block += panelsTogether()) {
      const int64_t some = std::min(panelsTogether(), plan.group_panels - block);
      for (int64_t i = 0; i < some; ++i) {
        terms.pack(dy + (block + i) * kPanel<T> * plane, plane,
                   columnsOfPanel<T>(memory.channels, block + i), first, count,
                   packed + (block + i) * kPacked);
      }
      multiplyPanel(PanelProduct<T>{buffer, memory.tap_offset, plan.channels, terms.source + first,
                                    count, packed + block * kPacked,
                                    columnsOfPanel<T>(memory.channels, block + some - 1),
                                    partial + plan.panelSums(0, block), kPanel<T>, true, some,
                                    kPacked, plan.panelSums(0, 1)});
    }
  }

  // dy at positions [p, p + count): as it was packed, or in pairs of channels.
  const T* inputGradSource(int64_t p, int64_t count) const {
    if constexpr (kOfPair<T> == 1)
      return packed;
    else {
      packChannelPairs(dy, plan.sum.targetPlane(), memory.channels, positions.target + p, count,
                       pairs);
      return pairs;
    }
  }

  // dx at these positions.
  void putInputGrad(int64_t p, int64_t count) const {
    const T* source = inputGradSource(p, count);
    const int64_t plane = plan.sum.sourcePlane();
    const int64_t panels = kernels::panels<T>(plan.channels);
    for (int64_t panel = 0; panel < panels; panel += panelsTogether()) {
      const int64_t some = std::min(panelsTogether(), panels - panel);
      const int64_t panel_weights = memory.depth * kPanel<T>;
      for (int64_t k = 0; k < memory.depth; k += kPanelDepth) {
        multiplyPanel(PanelProduct<T>{source, memory.position_row, count, memory.depth_offset + k,
                                      std::min(kPanelDepth, memory.depth - k),
                                      memory.weights + panel * panel_weights + k * kPanel<T>,
                                      columnsOfPanel<T>(plan.channels, panel + some - 1), results,
                                      kPanel<T>, k > 0, some, panel_weights,
                                      GradsMemory<T>::kResultsOfPanel});
      }
      for (int64_t i = 0; i < some; ++i) {
        storeResults(results + i * GradsMemory<T>::kResultsOfPanel,
                     columnsOfPanel<T>(plan.channels, panel + i), dx_positions + p, count,
                     dx + (panel + i) * kPanel<T> * plane, plane);
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

bool fits(const ConvShape& shape) {
  const ConvShape flat = collapsed(shape);
  const std::array<int64_t, 3> ones{1, 1, 1};
  const bool is_flat = flat.kernel == ones && flat.stride == ones && flat.in == flat.out;
  // A tile has all channels of x, so that dy is packed once.
  return is_flat && shape.group == 1 && !isDepthwise(shape) && shape.batch * flat.out[2] > 0 &&
         shape.in_channels <= WeightGradPlan::kChannels && shape.out_channels <= kMostChannels;
}

template <class T, class Source>
void grads(const WeightGradPlan& plan, const Source& x, const float* dy, const float* w, float* dx,
           float* dw, std::byte* workspace, ThreadPool& pool) {
  const WindowSum& sum = plan.sum;
  const Tiling& tiling = plan.tiling;
  const GradsMemory<T> m(plan, pool.threads(), workspace);
  fillTables(plan, w, m);
  pool.run(plan.cuts, [&](int64_t cut, int worker) {
    float* partial = m.partial + cut * plan.partial_size;
    std::fill_n(partial, plan.partial_size, 0.0f);
    T* buffer = m.buffers.of(worker);
    int64_t* table = m.positions.of(worker);
    int64_t* dx_positions = table + 2 * tiling.positions();
    const auto rows = weightGradRows(sum, x, m.lines.of(worker), T{});
    const TileGrads<T> grads{plan,
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
  finishSums(plan, m.partial, weightGradScale<T>(x), dw, pool);
}

template <class Source>
void grads(const ConvShape& shape, Operands operands, const Source& x, const float* dy,
           const float* w, float* dx, float* dw, std::byte* workspace, ThreadPool& pool) {
  if (!fits(shape)) {
    convInputGrad(shape, operands, dy, w, dx, workspace, pool);
    convWeightGrad(shape, operands, x, dy, dw, workspace, pool);
    return;
  }
  const WeightGradPlan plan(collapsed(shape));
  if (operands == Operands::kFloat) {
    grads<float>(plan, x, dy, w, dx, dw, workspace, pool);
  } else {
    grads<Bfloat16Pair>(plan, x, dy, w, dx, dw, workspace, pool);
  }
}

}  // namespace

size_t convGradsWorkspace(const ConvShape& shape, Operands operands, int threads) {
  if (!fits(shape)) {
    return std::max(convInputGradWorkspace(shape, operands, threads),
                    convWeightGradWorkspace(shape, operands, threads));
  }
  const WeightGradPlan plan(collapsed(shape));
  return operands == Operands::kFloat
             ? GradsMemory<float>(plan, threads, nullptr).memory.used()
             : GradsMemory<Bfloat16Pair>(plan, threads, nullptr).memory.used();
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
