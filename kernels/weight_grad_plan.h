// How the weight gradient's sum over positions is cut, and how the pieces' sums become dw.
#pragma once

#include <algorithm>

#include "kernels/panel_product.h"
#include "kernels/transpose.h"
#include "kernels/window_sum.h"

namespace simaqat::kernels {

// Into pieces of the sum over positions, whose partial sums are added in order at
// the end, times groups, times blocks of input channels.
struct WeightGradPlan {
  // Input channels of a block: their buffer stays small where there are many, and blocks make
  // enough pieces where partial sums are large.
  static constexpr int64_t kChannels = 64;
  static constexpr int64_t kPieces = 16;

  explicit WeightGradPlan(const ConvShape& shape)
      : sum(forwardSum(shape)),
        channels(std::min(sum.source_channels, kChannels)),
        channel_blocks(ceilDiv(sum.source_channels, channels)),
        tiling(sum, channels, ceilDiv(kPieces, channel_blocks)),
        cuts(std::clamp<int64_t>(kPieces / (channel_blocks * tiling.group_tiles), 1,
                                 std::max<int64_t>(tiling.tiles_of_group, 1))),
        group_panels(panels<float>(sum.target_channels)),
        taps(sum.source_channels * sum.kernelSize()),
        partial_size(sum.group * group_panels * taps * kPanel<float>) {}

  // Where sums of a group's panel begin in a partial sum, [group][panel][taps][kPanel].
  int64_t panelSums(int64_t group, int64_t panel) const {
    return (group * group_panels + panel) * taps * kPanel<float>;
  }

  WindowSum sum;
  int64_t channels, channel_blocks;
  Tiling tiling;
  int64_t cuts;
  int64_t group_panels;
  int64_t taps;  // of all input channels of a group
  int64_t partial_size;
};

// dw of one panel's channels: the partial sums of all cuts, times `scale`.
inline void finishPanel(const WeightGradPlan& plan, float* partial, int64_t group, int64_t panel,
                        float scale, float* dw) {
  float* sums = partial + plan.panelSums(group, panel);
  const int64_t count = plan.taps * kPanel<float>;
  for (int64_t cut = 1; cut < plan.cuts; ++cut) {
    const float* more = sums + cut * plan.partial_size;
    for (int64_t i = 0; i < count; ++i) sums[i] += more[i];
  }
  if (scale != 1) {
    for (int64_t i = 0; i < count; ++i) sums[i] *= scale;
  }
  const int64_t channel = panel * kPanel<float>;
  const int64_t channels = std::min(kPanel<float>, plan.sum.target_channels - channel);
  transpose(sums, kPanel<float>, channels, plan.taps,
            dw + (group * plan.sum.target_channels + channel) * plan.taps, plan.taps);
}

inline void finishSums(const WeightGradPlan& plan, float* partial, float scale, float* dw,
                       ThreadPool& pool) {
  pool.runRanges(plan.sum.group * plan.group_panels, ceilDiv(1 << 12, plan.taps * plan.cuts),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) {
                     finishPanel(plan, partial, i / plan.group_panels, i % plan.group_panels, scale,
                                 dw);
                   }
                 });
}

}  // namespace simaqat::kernels
