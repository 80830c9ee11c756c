// The weight gradient: dw[o, k] is a sum over positions, whose panels are the channels of dy,
// turned round, and whose rows are the taps of forward's buffer (window_sum.h).

#include <algorithm>
#include <type_traits>

#include "kernels/conv.h"
#include "kernels/depthwise_conv.h"
#include "kernels/float_rows.h"
#include "kernels/panel_product.h"
#include "kernels/plane_weight_grad.h"
#include "kernels/weight_grad_plan.h"
#include "kernels/weight_grad_terms.h"
#include "kernels/window_sum.h"
#include "kernels/workspace.h"

namespace simaqat::kernels {
namespace {

// Of sums of T, floats or pairs of bfloat16 numbers.
template <class T>
struct WeightGradMemory {
  WeightGradMemory(const WeightGradPlan& plan, int threads, std::byte* workspace)
      : memory(workspace), terms(plan.tiling, threads, memory) {
    tap_offset = memory.take<int64_t>(plan.channels * plan.sum.kernelSize());
    partial = memory.take<float>(plan.cuts * plan.partial_size);
    panels = memory.takeForThreads<T>(threads, kPanels);
    buffers = memory.takeForThreads<T>(threads, plan.tiling.bufferSize());
    line_size = std::is_same_v<T, float> ? 0 : plan.tiling.row_stride + kLanes;
    lines = memory.takeForThreads<float>(threads, line_size);
  }
  static constexpr int64_t kPanelSize = kPanelDepth * kPanel<float>;
  static constexpr int64_t kPanels = kPanelsTogether * kPanelSize;

  Workspace memory;
  WeightGradTerms<T> terms;
  int64_t* tap_offset;
  float* partial;  // [cut][sums]
  ThreadArrays<T> panels;   // [kPanelsTogether][kPanelDepth][kPanel]
  ThreadArrays<T> buffers;  // [a tile's buffer]
  int64_t line_size;
  ThreadArrays<float> lines;  // [a row of the buffer], for pairs
};

// Adds a tile's part of a group's sums, for the input channels that the buffer holds.
template <class T>
struct TileWork {
  const T* buffer;
  const float* dy;  // of the group
  const int64_t* tap_offset;
  int64_t taps;
  WeightGradTerms<T> terms;
  int64_t count;
  T* panels;
};

template <class T>
void addTile(const WeightGradPlan& plan, const TileWork<T>& work, int64_t group, int64_t first_tap,
             float* partial) {
  const int64_t plane = plan.sum.targetPlane();
  constexpr int64_t kPanelSize = WeightGradMemory<T>::kPanelSize;
  for (int64_t block = 0; block < plan.group_panels; block += panelsTogether()) {
    const int64_t some = std::min(panelsTogether(), plan.group_panels - block);
    const auto channels = [&](int64_t i) {
      return columnsOfPanel<float>(plan.sum.target_channels, block + i);
    };
    for (int64_t p = 0; p < work.count; p += kPanelDepth) {
      const int64_t depth = std::min(kPanelDepth, work.count - p);
      for (int64_t i = 0; i < some; ++i) {
        work.terms.pack(work.dy + (block + i) * kPanel<float> * plane, plane, channels(i), p, depth,
                        work.panels + i * kPanelSize);
      }
      multiplyPanel(PanelProduct<T>{
          work.buffer, work.tap_offset, work.taps, work.terms.source + p, depth, work.panels,
          channels(some - 1), partial + plan.panelSums(group, block) + first_tap * kPanel<float>,
          kPanel<float>, true, some, kPanelSize, plan.panelSums(0, 1)});
    }
  }
}

// Which kernel a shape takes: chosen here for the workspace and for the run alike. A 1x1 convolution
// of one channel fits several.
enum class Way { kEmpty, kDepthwise, kPlanes, kPanels };

Way wayOf(const ConvShape& shape, Operands operands) {
  if (shape.batch == 0 || shape.out[0] == 0 || shape.out[1] == 0 || shape.out[2] == 0) {
    return Way::kEmpty;
  }
  if (isDepthwise(shape)) return Way::kDepthwise;
  if (operands == Operands::kFloat && planeWeightGradFits(shape)) return Way::kPlanes;
  return Way::kPanels;
}

// Source is x as floats or as codes.
template <class T, class Source>
void weightGrad(const ConvShape& shape, const Source& x, const float* dy, float* dw,
                std::byte* workspace, ThreadPool& pool) {
  const WeightGradPlan plan(collapsed(shape));
  const WindowSum& sum = plan.sum;
  const Tiling& tiling = plan.tiling;
  const WeightGradMemory<T> m(plan, pool.threads(), workspace);
  fillTapOffsets(sum, tiling, m.tap_offset);

  const int64_t pieces = plan.cuts * tiling.group_tiles * plan.channel_blocks;
  pool.run(pieces, [&](int64_t piece, int worker) {
    const int64_t channel = piece % plan.channel_blocks * plan.channels;
    const int64_t group_tile = piece / plan.channel_blocks % tiling.group_tiles;
    const int64_t cut = piece / plan.channel_blocks / tiling.group_tiles;
    const int64_t channels = std::min(plan.channels, sum.source_channels - channel);
    const int64_t first_group = group_tile * tiling.groups;
    const int64_t end_group = std::min(sum.group, first_group + tiling.groups);
    float* partial = m.partial + cut * plan.partial_size;
    T* buffer = m.buffers.of(worker);
    const WeightGradTerms<T> terms = m.terms.of(worker);
    const auto rows = weightGradRows(sum, x, m.lines.of(worker), T{});

    const int64_t first_tap = channel * sum.kernelSize();
    const int64_t taps = channels * sum.kernelSize();
    for (int64_t g = first_group; g < end_group; ++g) {
      for (int64_t panel = 0; panel < plan.group_panels; ++panel) {
        std::fill_n(partial + plan.panelSums(g, panel) + first_tap * kPanel<float>,
                    taps * kPanel<float>, 0.0f);
      }
    }
    const int64_t end = tiling.tiles_of_group * (cut + 1) / plan.cuts;
    for (int64_t tile = tiling.tiles_of_group * cut / plan.cuts; tile < end; ++tile) {
      const TileRange range(sum, tiling, tile);
      const int64_t count = terms.fill(sum, tiling, range);
      for (int64_t g = first_group; g < end_group; ++g) {
        fillBuffer(sum, tiling, range, rows, g * sum.source_channels + channel, channels, buffer);
        const TileWork<T> work{buffer,
                               dy + g * sum.target_channels * sum.targetPlane(),
                               m.tap_offset,
                               taps,
                               terms,
                               count,
                               m.panels.of(worker)};
        addTile(plan, work, g, first_tap, partial);
      }
    }
  });

  finishSums(plan, m.partial, weightGradScale<T>(x), dw, pool);
}

template <class Source>
void weightGrad(const ConvShape& shape, Operands operands, const Source& x, const float* dy,
                float* dw, std::byte* workspace, ThreadPool& pool) {
  switch (wayOf(shape, operands)) {
    case Way::kEmpty:
      std::fill_n(dw,
                  shape.out_channels * (shape.in_channels / shape.group) * shape.kernel[0] *
                      shape.kernel[1] * shape.kernel[2],
                  0.0f);
      return;
    case Way::kDepthwise:
      return depthwiseWeightGrad(shape, x, dy, dw, workspace, pool);
    case Way::kPlanes:
      return planeWeightGrad(shape, x, dy, dw, workspace, pool);
    case Way::kPanels:
      break;
  }
  if (operands == Operands::kFloat) {
    weightGrad<float>(shape, x, dy, dw, workspace, pool);
  } else {
    weightGrad<Bfloat16Pair>(shape, x, dy, dw, workspace, pool);
  }
}

}  // namespace

size_t convWeightGradWorkspace(const ConvShape& shape, Operands operands, int threads) {
  switch (wayOf(shape, operands)) {
    case Way::kEmpty:
      return 0;
    case Way::kDepthwise:
      return depthwiseWeightGradWorkspace(shape, threads);
    case Way::kPlanes:
      return planeWeightGradWorkspace(shape, threads);
    case Way::kPanels:
      break;
  }
  const WeightGradPlan plan(collapsed(shape));
  return operands == Operands::kFloat
             ? WeightGradMemory<float>(plan, threads, nullptr).memory.used()
             : WeightGradMemory<Bfloat16Pair>(plan, threads, nullptr).memory.used();
}

void convWeightGrad(const ConvShape& shape, Operands operands, const float* x, const float* dy,
                    float* dw, std::byte* workspace, ThreadPool& pool) {
  weightGrad(shape, operands, x, dy, dw, workspace, pool);
}

void convWeightGrad(const ConvShape& shape, Operands operands, const Codes& x, const float* dy,
                    float* dw, std::byte* workspace, ThreadPool& pool) {
  weightGrad(shape, operands, x, dy, dw, workspace, pool);
}

}  // namespace simaqat::kernels
