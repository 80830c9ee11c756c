// Input gradients of 1x1 convolutions along planes: dy is multiplied where it lies, and what comes
// out is dx. No element is packed or turned round. The same bits as convInputGrad's window sums.
#pragma once

#include "kernels/plane_lines.h"
#include "kernels/workspace.h"

namespace simaqat::kernels {

class PlaneInputGrad {
 public:
  PlaneInputGrad(const PlaneLines& planes, int threads, Workspace& memory);

  // Before the tiles.
  void setWeights(const float* w) const;
  // dx at a tile's positions.
  void run(const float* dy, float* dx, int64_t tile, int worker) const;

 private:
  void multiply(const float* dy, int64_t dy_row, int64_t lines, int64_t columns, float* dx,
                int64_t dx_row) const;
  void expect(const float* dy, float* dx, int64_t image, int64_t position) const;
  void runLines(const float* dy, float* dx, const PlaneLines::Run& run) const;
  void runLeft(const float* dy, float* dx, int64_t tile, int worker) const;

  PlaneLines planes_;
  float* weights_;                // [channel of dx][channel of dy]
  int64_t* row_;                  // of weights
  int64_t* offset_;               // in a row
  ThreadArrays<float> gathered_;  // [channel of dy][kLine]
  ThreadArrays<float> results_;   // [channel of dx][kLine]
};

size_t planeInputGradWorkspace(const ConvShape& shape, int threads);
void planeInputGrad(const ConvShape& shape, const float* dy, const float* w, float* dx,
                    std::byte* workspace, ThreadPool& pool);

}  // namespace simaqat::kernels
