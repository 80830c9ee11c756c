// The weight gradient: dw[o, k] is a sum over positions, whose panels are the channels of dy,
// turned round, and whose rows are the taps of forward's buffer (window_sum.h).

#include <algorithm>

#include "kernels/conv.h"
#include "kernels/depthwise_conv.h"
#include "kernels/float_rows.h"
#include "kernels/panel_planes.h"
#include "kernels/panel_product.h"
#include "kernels/weight_grad_plan.h"
#include "kernels/window_sum.h"
#include "kernels/workspace.h"

namespace simaqat::kernels {
namespace {

struct WeightGradMemory {
  WeightGradMemory(const WeightGradPlan& plan, int threads, std::byte* workspace)
      : memory(workspace) {
    tap_offset = memory.take<int64_t>(plan.channels * plan.sum.kernelSize());
    partial = memory.take<float>(plan.cuts * plan.partial_size);
    positions = memory.take<int64_t>(threads * 2 * plan.tiling.positions());
    panels = memory.take<float>(threads * kPanels);
    buffers = memory.take<float>(threads * plan.tiling.bufferSize());
  }
  static constexpr int64_t kPanelSize = kPanelDepth * kPanel<float>;
  static constexpr int64_t kPanels = kPanelsTogether * kPanelSize;

  Workspace memory;
  int64_t* tap_offset;
  float* partial;      // [cut][sums]
  int64_t* positions;  // [thread][in the buffer, in the target][positions of a tile]
  float* panels;       // [thread][kPanelsTogether][kPanelDepth][kPanel]
  float* buffers;      // [thread][a tile's buffer]
};

// Adds a tile's part of a group's sums, for the input channels that the buffer holds.
struct TileWork {
  const float* buffer;
  const float* dy;  // of the group
  const int64_t* tap_offset;
  int64_t taps;
  TilePositions positions;
  int64_t count;
  float* panels;
};

void addTile(const WeightGradPlan& plan, const TileWork& work, int64_t group, int64_t first_tap,
             float* partial) {
  const int64_t plane = plan.sum.targetPlane();
  constexpr int64_t kPanelSize = WeightGradMemory::kPanelSize;
  for (int64_t block = 0; block < plan.group_panels; block += panelsTogether()) {
    const int64_t some = std::min(panelsTogether(), plan.group_panels - block);
    const auto channels = [&](int64_t i) {
      return columnsOfPanel<float>(plan.sum.target_channels, block + i);
    };
    for (int64_t p = 0; p < work.count; p += kPanelDepth) {
      const int64_t depth = std::min(kPanelDepth, work.count - p);
      for (int64_t i = 0; i < some; ++i) {
        packPanel(work.dy + (block + i) * kPanel<float> * plane, plane, channels(i),
                  work.positions.target + p, depth, work.panels + i * kPanelSize);
      }
      multiplyPanel(PanelProduct<float>{
          work.buffer, work.tap_offset, work.taps, work.positions.source + p, depth, work.panels,
          channels(some - 1), partial + plan.panelSums(group, block) + first_tap * kPanel<float>,
          kPanel<float>, true, some, kPanelSize, plan.panelSums(0, 1)});
    }
  }
}

bool isEmpty(const ConvShape& shape) {
  return shape.batch == 0 || shape.out[0] == 0 || shape.out[1] == 0 || shape.out[2] == 0;
}

// Source is x as floats or as codes.
template <class Source>
void weightGrad(const ConvShape& shape, const Source& x, const float* dy, float* dw,
                std::byte* workspace, ThreadPool& pool) {
  if (isEmpty(shape)) {
    std::fill_n(dw,
                shape.out_channels * (shape.in_channels / shape.group) * shape.kernel[0] *
                    shape.kernel[1] * shape.kernel[2],
                0.0f);
    return;
  }
  if (isDepthwise(shape)) return depthwiseWeightGrad(shape, x, dy, dw, workspace, pool);
  const WeightGradPlan plan(collapsed(shape));
  const WindowSum& sum = plan.sum;
  const Tiling& tiling = plan.tiling;
  const WeightGradMemory m(plan, pool.threads(), workspace);
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
    float* buffer = m.buffers + worker * tiling.bufferSize();
    int64_t* const table = m.positions + worker * 2 * tiling.positions();
    const TilePositions positions{table, table + tiling.positions()};

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
      const int64_t count = fillPositions(sum, tiling, range, positions);
      for (int64_t g = first_group; g < end_group; ++g) {
        fillBuffer(sum, tiling, range, rowsOfSource(sum, x), g * sum.source_channels + channel,
                   channels, buffer);
        const TileWork work{
            buffer, dy + g * sum.target_channels * sum.targetPlane(), m.tap_offset, taps, positions,
            count,  m.panels + worker * WeightGradMemory::kPanels};
        addTile(plan, work, g, first_tap, partial);
      }
    }
  });

  finishSums(plan, m.partial, dw, pool);
}

}  // namespace

size_t convWeightGradWorkspace(const ConvShape& shape, int threads) {
  if (isEmpty(shape)) return 0;
  if (isDepthwise(shape)) return depthwiseWeightGradWorkspace(shape, threads);
  return WeightGradMemory(WeightGradPlan(collapsed(shape)), threads, nullptr).memory.used();
}

void convWeightGrad(const ConvShape& shape, const float* x, const float* dy, float* dw,
                    std::byte* workspace, ThreadPool& pool) {
  weightGrad(shape, x, dy, dw, workspace, pool);
}

void convWeightGrad(const ConvShape& shape, const Codes& x, const float* dy, float* dw,
                    std::byte* workspace, ThreadPool& pool) {
  weightGrad(shape, x, dy, dw, workspace, pool);
}

}  // namespace simaqat::kernels
