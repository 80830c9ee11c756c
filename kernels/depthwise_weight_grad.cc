// dw[g, k] is a sum over the positions of a channel's planes.
#include <algorithm>
#include <cstring>

#include "kernels/depthwise_conv.h"
#include "kernels/depthwise_planes.h"
#include "kernels/float_rows.h"
#include "kernels/packet.h"
#include "kernels/window_sum.h"
#include "kernels/workspace.h"

namespace simaqat::kernels {
namespace {

// dw of a channel, [cut][channel][tap], whose vectors are added up at the end.
struct WeightGradPlan {
  static constexpr int64_t kPieces = 16;

  explicit WeightGradPlan(const ConvShape& shape)
      : sum(forwardSum(shape)),
        tiling(planeTiling(sum)),
        cuts(std::clamp<int64_t>(kPieces / sum.group, 1, std::max<int64_t>(sum.batch, 1))),
        is_masked(MaskedPlane::fits(sum)),
        lanes(is_masked ? MaskedPlane::kVector : kLanes) {}

  int64_t bufferSize() const {
    return is_masked ? MaskedPlane(sum).bufferSize() : tiling.bufferSize();
  }
  // Of a tile of dy that is copied.
  int64_t gradientSize() const { return tiling.rows * sum.axis[2].out_size + kLanes; }

  WindowSum sum;
  Tiling tiling;
  int64_t cuts;  // of the batch
  bool is_masked;
  int64_t lanes;  // that a tap's sum has
};

struct WeightGradMemory {
  WeightGradMemory(const WeightGradPlan& plan, int threads, std::byte* workspace)
      : memory(workspace) {
    tap_offset = memory.take<int64_t>(plan.sum.taps());
    lane_masks = memory.take<uint16_t>(plan.is_masked ? MaskedPlane(plan.sum).masksSize() : 0);
    partial = memory.take<float>(plan.cuts * plan.sum.group * plan.sum.taps() * plan.lanes);
    gradients = memory.takeForThreads<float>(threads, plan.gradientSize());
    buffers = memory.takeForThreads<float>(threads, plan.bufferSize());
  }
  Workspace memory;
  int64_t* tap_offset;
  uint16_t* lane_masks;           // of MaskedPlane
  float* partial;                 // [cut][group][tap][lanes]
  ThreadArrays<float> gradients;  // [a tile of dy]
  ThreadArrays<float> buffers;    // [a tile's buffer]
};

// sums[k] += source moved by tap k, times dy, for kTaps taps of which the last ones may be the
// same. `mask` has a last vector's lanes that are in the row.
template <int kTaps>
void correlate(const float* source, const PlaneRows& rows, const float* dy, int64_t dy_stride,
               const Packet& mask, const int64_t* offset, int64_t taps, float* sums) {
  Packet sum[kTaps];
  const float* tap[kTaps];
  for (int k = 0; k < kTaps; ++k) {
    tap[k] = source + offset[std::min<int64_t>(k, taps - 1)];
    sum[k] = broadcast(0.0f);
  }
  for (int64_t r = 0; r < rows.count; ++r) {
    const int64_t row = r * rows.source_stride;
    for (int64_t c = 0; c < rows.columns; c += kLanes) {
      Packet g = load(dy + r * dy_stride + c);
      if (c + kLanes > rows.columns) g = Eigen::internal::pand(g, mask);
      for (int k = 0; k < kTaps; ++k) sum[k] = multiplyAdd(load(tap[k] + row + c), g, sum[k]);
    }
  }
#pragma GCC unroll 16
  for (int k = 0; k < kTaps; ++k) {
    if (k >= taps) break;
    float* to = sums + k * kLanes;
    store(to, Eigen::internal::padd(load(to), sum[k]));
  }
}

// All bits of the first lanes.
Packet maskOf(int64_t lanes) {
  uint32_t bits[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) bits[i] = i < lanes ? ~0u : 0u;
  float mask[kLanes];
  std::memcpy(mask, bits, sizeof(mask));
  return load(mask);
}

constexpr int kTapsAtOnce = 9;

// Asks for the begin of a plane, or all of a small one.
void expectPlane(const void* plane, int64_t bytes) {
  constexpr int64_t kMost = 8192, kCacheLine = 64;
  const auto* first = static_cast<const std::byte*>(plane);
  for (int64_t i = 0; i < std::min(bytes, kMost); i += kCacheLine) __builtin_prefetch(first + i);
}

// What the images [begin, end) add to a channel's sums, of planes that have masks.
template <class SourceRows>
void addMaskedImages(const WeightGradPlan& plan, const WeightGradMemory& m,
                     const SourceRows& source_rows, const float* dy, int64_t begin, int64_t end,
                     int64_t g, int worker, float* sums) {
  const MaskedPlane masked(plan.sum);
  const int64_t size = masked.elements();
  for (int64_t image = begin; image < end; ++image) {
    const float* source = planeOf(masked, source_rows, image, g, m.buffers.of(worker));
    const float* gradient = dy + (image * plan.sum.group + g) * size;
    // The next image's, which is too far on for the processor to foresee.
    expectPlane(gradient + plan.sum.group * size, size * int64_t{sizeof(float)});
    if constexpr (std::is_same_v<SourceRows, CodeValueRows>) {
      expectPlane(source_rows.channelOf(image + 1, g), source_rows.plane);
    }
    correlateMasked(masked.source(m.tap_offset, m.lane_masks, source), gradient, sums);
  }
}

// What the images [begin, end) add to a channel's sums.
template <class SourceRows>
void addImages(const WeightGradPlan& plan, const WeightGradMemory& m, const SourceRows& source_rows,
               const float* dy, int64_t begin, int64_t end, int64_t g, int worker, float* sums) {
  const WindowSum& sum = plan.sum;
  const Tiling& tiling = plan.tiling;
  const int64_t size = sum.batch * sum.group * sum.targetPlane();
  float* buffer = m.buffers.of(worker);
  float* gradient = m.gradients.of(worker);
  for (int64_t tile = 0; tile < tiling.tiles_of_group / tiling.image_tiles; ++tile) {
    TileRange range(sum, tiling, tile);
    const PlaneRows rows(sum, tiling, range);
    const Packet mask = maskOf(rows.columns % kLanes);
    for (range.image = begin; range.image < end; ++range.image) {
      fillBuffer(sum, tiling, range, source_rows, g, 1, buffer);
      const int64_t first = (range.image * sum.group + g) * sum.targetPlane() + rows.target;
      const int64_t last_row = (rows.count - 1) * rows.target_stride;
      const float* from = dy + first;
      // Vectors may reach beyond a row's end, and so beyond the array's.
      if (first + last_row + roundUpToLanes(rows.columns) > size) {
        std::copy_n(from, last_row + rows.columns, gradient);
        from = gradient;
      }
      for (int64_t k = 0; k < sum.taps(); k += kTapsAtOnce) {
        correlate<kTapsAtOnce>(buffer, rows, from, rows.target_stride, mask, m.tap_offset + k,
                               sum.taps() - k, sums + k * kLanes);
      }
    }
  }
}

template <class SourceRows>
void weightGrad(const ConvShape& shape, const SourceRows& source_rows, const float* dy, float* dw,
                std::byte* workspace, ThreadPool& pool) {
  const WeightGradPlan plan(shape);
  const WeightGradMemory m(plan, pool.threads(), workspace);
  if (plan.is_masked) {
    MaskedPlane(plan.sum).fillTables(m.tap_offset, m.lane_masks);
  } else {
    fillTapOffsets(plan.sum, plan.tiling, m.tap_offset);
  }
  const auto add = plan.is_masked ? addMaskedImages<SourceRows> : addImages<SourceRows>;
  const int64_t group = plan.sum.group, batch = plan.sum.batch;
  const int64_t size = plan.sum.taps() * plan.lanes;
  const int64_t channel_work = batch * plan.sum.targetPlane() * plan.sum.taps() / plan.cuts;
  const int64_t grain = ceilDiv(kPlaneWork, channel_work + 1);
  const int64_t pieces = ceilDiv(group, grain);
  pool.run(pieces * plan.cuts, [&](int64_t piece, int worker) {
    const int64_t cut = piece / pieces;
    const int64_t end = std::min(group, (piece % pieces + 1) * grain);
    for (int64_t g = piece % pieces * grain; g < end; ++g) {
      float* sums = m.partial + (cut * group + g) * size;
      std::fill_n(sums, size, 0.0f);
      add(plan, m, source_rows, dy, batch * cut / plan.cuts, batch * (cut + 1) / plan.cuts, g,
          worker, sums);
    }
  });
  for (int64_t i = 0; i < group * plan.sum.taps(); ++i) {
    Packet total = broadcast(0.0f);
    for (int64_t cut = 0; cut < plan.cuts; ++cut) {
      const float* lanes = m.partial + cut * group * size + i * plan.lanes;
      for (int64_t lane = 0; lane < plan.lanes; lane += kLanes) {
        total = Eigen::internal::padd(total, load(lanes + lane));
      }
    }
    dw[i] = sumOfLanes(total);
  }
}

}  // namespace

size_t depthwiseWeightGradWorkspace(const ConvShape& shape, int threads) {
  return WeightGradMemory(WeightGradPlan(shape), threads, nullptr).memory.used();
}

void depthwiseWeightGrad(const ConvShape& shape, const float* x, const float* dy, float* dw,
                         std::byte* workspace, ThreadPool& pool) {
  weightGrad(shape, rowsOfSource(forwardSum(shape), x), dy, dw, workspace, pool);
}

void depthwiseWeightGrad(const ConvShape& shape, const Codes& x, const float* dy, float* dw,
                         std::byte* workspace, ThreadPool& pool) {
  weightGrad(shape, rowsOfSource(forwardSum(shape), x), dy, dw, workspace, pool);
}

}  // namespace simaqat::kernels
