#include "kernels/plane_input_grad.h"

#include "kernels/expect.h"
#include "kernels/transpose.h"

namespace simaqat::kernels {
namespace {

constexpr int64_t kLine = PlaneLines::kLine;

}  // namespace

PlaneInputGrad::PlaneInputGrad(const PlaneLines& planes, int threads, Workspace& memory)
    : planes_(planes),
      weights_(memory.take<float>(planes.in_channels * planes.out_channels)),
      row_(memory.take<int64_t>(planes.in_channels)),
      offset_(memory.take<int64_t>(planes.out_channels)) {
  if (planes.left() == 0) return;
  gathered_ = memory.takeForThreads<float>(threads, planes.out_channels * kLine);
  results_ = memory.takeForThreads<float>(threads, planes.in_channels * kLine);
}

void PlaneInputGrad::setWeights(const float* w) const {
  transpose(w, planes_.in_channels, planes_.in_channels, planes_.out_channels, weights_,
            planes_.out_channels);
  for (int64_t c = 0; c < planes_.in_channels; ++c) row_[c] = c * planes_.out_channels;
  for (int64_t o = 0; o < planes_.out_channels; ++o) offset_[o] = o;
}

void PlaneInputGrad::run(const float* dy, float* dx, int64_t tile, int worker) const {
  if (planes_.hasLines(tile)) {
    runLines(dy, dx, planes_.linesOf(tile));
  } else {
    runLeft(dy, dx, tile, worker);
  }
}

// Adds up over all channels of dy, whose lines are `dy_row` apart, and those of dx `dx_row`.
void PlaneInputGrad::multiply(const float* dy, int64_t dy_row, int64_t lines, int64_t columns,
                              float* dx, int64_t dx_row) const {
  for (int64_t o = 0; o < planes_.out_channels; o += kPanelDepth) {
    multiplyPanel(PanelProduct<float>{weights_, row_, planes_.in_channels, offset_ + o,
                                      std::min(kPanelDepth, planes_.out_channels - o),
                                      dy + o * dy_row, columns, dx, dx_row, o > 0, lines, kLine,
                                      kLine, dy_row});
  }
}

// Asks for what is next, of all channels: each is a short piece of another plane.
void PlaneInputGrad::expect(const float* dy, float* dx, int64_t image, int64_t position) const {
  const float* from = dy + image * planes_.out_channels * planes_.size + position;
  float* to = dx + image * planes_.in_channels * planes_.size + position;
  constexpr int64_t kCacheLine = 16;
  for (int64_t ahead = 0; ahead < panelsTogether() * kLine; ahead += kCacheLine) {
    for (int64_t o = 0; o < planes_.out_channels; ++o) expectToRead(from + o * planes_.size, ahead);
    for (int64_t c = 0; c < planes_.in_channels; ++c) expectToWrite(to + c * planes_.size, ahead);
  }
}

void PlaneInputGrad::runLines(const float* dy, float* dx, const PlaneLines::Run& run) const {
  const float* from = dy + run.image * planes_.out_channels * planes_.size;
  float* to = dx + run.image * planes_.in_channels * planes_.size;
  const int64_t end = run.position + run.count;
  for (int64_t position = run.position; position < end;) {
    const int64_t lines = std::min(panelsTogether(), (end - position) / kLine);
    const int64_t next = position + lines * kLine;
    if (next + kLine <= planes_.size) {
      expect(dy, dx, run.image, next);
    } else {
      expect(dy, dx, run.image + 1, 0);
    }
    multiply(from + position, planes_.size, lines, kLine, to + position, planes_.size);
    position = next;
  }
}

void PlaneInputGrad::runLeft(const float* dy, float* dx, int64_t tile, int worker) const {
  float* gathered = gathered_.of(worker);
  float* results = results_.of(worker);
  planes_.gather(dy, planes_.out_channels, tile, gathered);
  multiply(gathered, kLine, 1, kLine, results, kLine);
  planes_.forEachRun(tile, [&](const PlaneLines::Run& run, int64_t at) {
    float* to = dx + run.image * planes_.in_channels * planes_.size + run.position;
    for (int64_t c = 0; c < planes_.in_channels; ++c) {
      std::copy_n(results + c * kLine + at, run.count, to + c * planes_.size);
    }
  });
}

size_t planeInputGradWorkspace(const ConvShape& shape, int threads) {
  Workspace memory(nullptr);
  PlaneInputGrad(PlaneLines(shape), threads, memory);
  return memory.used();
}

void planeInputGrad(const ConvShape& shape, const float* dy, const float* w, float* dx,
                    std::byte* workspace, ThreadPool& pool) {
  const PlaneLines planes(shape);
  Workspace memory(workspace);
  const PlaneInputGrad grad(planes, pool.threads(), memory);
  grad.setWeights(w);
  pool.run(planes.tiles(), [&](int64_t tile, int worker) { grad.run(dy, dx, tile, worker); });
}

}  // namespace simaqat::kernels
