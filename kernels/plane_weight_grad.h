// Weight gradients of 1x1 convolutions along planes: x's channels are the panels, and dy is read
// where it lies. For those that have at least as many channels behind as in front.
#pragma once

#include "kernels/float_rows.h"
#include "kernels/plane_lines.h"
#include "kernels/workspace.h"

namespace simaqat::kernels {

class PlaneWeightGrad {
 public:
  PlaneWeightGrad(const PlaneLines& planes, int threads, Workspace& memory);

  // Into so many pieces the tiles are cut, whose sums are added in order at the end.
  int64_t cuts() const { return cuts_; }
  // Before the tiles, and before those of a cut.
  void fillTables() const;
  void begin(int64_t cut, int worker) const;
  // Adds a tile's part. x is rows of floats or of codes (float_rows.h).
  template <class Rows>
  void add(const Rows& x, const float* dy, int64_t tile, int64_t cut, int worker) const {
    addPacked(dy, pack(x, tile, worker), tile, cut, worker);
  }
  // After all tiles.
  void finish(float* dw, ThreadPool& pool) const;

 private:
  // A channel of x at a tile's positions, which is written in whole vectors.
  static constexpr int64_t kValues = PlaneLines::kPositions + kLanes;

  // x's channels at a tile's positions, of which it returns how many there are.
  template <class Rows>
  int64_t pack(const Rows& x, int64_t tile, int worker) const {
    float* values = values_.of(worker);
    const int64_t count = planes_.forEachRun(tile, [&](const PlaneLines::Run& run, int64_t at) {
      const RowCut cut(planes_.size - run.position, 0, 1, ceilDiv(run.count, kLanes) * kLanes);
      for (int64_t c = 0; c < planes_.in_channels; ++c) {
        x.copy(run.image, c, run.position, cut, values + c * kValues + at);
      }
    });
    return count;
  }
  void addPacked(const float* dy, int64_t count, int64_t tile, int64_t cut, int worker) const;
  void finish(int64_t o, int64_t panel, float* dw) const;

  PlaneLines planes_;
  int64_t panels_;        // of x's channels
  int64_t packed_row_;    // x's channels in whole panels
  int64_t partial_size_;  // [panel][channel of dy][kPanel]
  int64_t cuts_;
  int64_t *plane_row_, *line_row_;  // channels of dy, in planes and in what is gathered
  int64_t* place_;                  // positions of a tile
  float* partial_;                  // [cut][partial_size_]
  ThreadArrays<float> values_;      // [channel of x][kValues]
  ThreadArrays<float> packed_;      // [position][channel of x]
  ThreadArrays<float> gathered_;    // [channel of dy][kLine]
};

// Whether dw's sums, and a tile of dy, stay in the L2 cache.
bool planeWeightGradFits(const ConvShape& shape);
size_t planeWeightGradWorkspace(const ConvShape& shape, int threads);
void planeWeightGrad(const ConvShape& shape, const float* x, const float* dy, float* dw,
                     std::byte* workspace, ThreadPool& pool);
void planeWeightGrad(const ConvShape& shape, const Codes& x, const float* dy, float* dw,
                     std::byte* workspace, ThreadPool& pool);

// The same together with the input gradient, from one pass over dy.
size_t planeGradsWorkspace(const ConvShape& shape, int threads);
void planeGrads(const ConvShape& shape, const float* x, const float* dy, const float* w, float* dx,
                float* dw, std::byte* workspace, ThreadPool& pool);
void planeGrads(const ConvShape& shape, const Codes& x, const float* dy, const float* w, float* dx,
                float* dw, std::byte* workspace, ThreadPool& pool);

}  // namespace simaqat::kernels
