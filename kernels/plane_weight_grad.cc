#include "kernels/plane_weight_grad.h"

#include "kernels/plane_input_grad.h"
#include "kernels/transpose.h"

namespace simaqat::kernels {
namespace {

constexpr int64_t kLine = PlaneLines::kLine;
constexpr int64_t kMostWeights = 1 << 16;

int64_t cutsOf(const PlaneLines& planes, int64_t partial_size) {
  constexpr int64_t kMostSums = 1 << 20, kFewest = 8, kMost = 64;
  const int64_t most = std::clamp(kMostSums / partial_size, kFewest, kMost);
  return std::clamp<int64_t>(planes.tiles(), 1, most);
}

}  // namespace

PlaneWeightGrad::PlaneWeightGrad(const PlaneLines& planes, int threads, Workspace& memory)
    : planes_(planes),
      panels_(panels<float>(planes.in_channels)),
      packed_row_(panels_ * kPanel<float>),
      partial_size_(packed_row_ * planes.out_channels),
      cuts_(cutsOf(planes, partial_size_)),
      plane_row_(memory.take<int64_t>(planes.out_channels)),
      line_row_(memory.take<int64_t>(planes.out_channels)),
      place_(memory.take<int64_t>(PlaneLines::kPositions)),
      partial_(memory.take<float>(cuts_ * partial_size_)),
      values_(memory.takeForThreads<float>(threads, planes.in_channels * kValues)),
      packed_(memory.takeForThreads<float>(threads, PlaneLines::kPositions * packed_row_)) {
  if (planes.left() > 0) {
    gathered_ = memory.takeForThreads<float>(threads, planes.out_channels * kLine);
  }
}

void PlaneWeightGrad::fillTables() const {
  for (int64_t o = 0; o < planes_.out_channels; ++o) {
    plane_row_[o] = o * planes_.size;
    line_row_[o] = o * kLine;
  }
  for (int64_t i = 0; i < PlaneLines::kPositions; ++i) place_[i] = i;
}

void PlaneWeightGrad::begin(int64_t cut, int worker) const {
  std::fill_n(partial_ + cut * partial_size_, partial_size_, 0.0f);
  // Lanes that no channel of x has.
  std::fill_n(packed_.of(worker), PlaneLines::kPositions * packed_row_, 0.0f);
}

void PlaneWeightGrad::addPacked(const float* dy, int64_t count, int64_t tile, int64_t cut,
                                int worker) const {
  float* packed = packed_.of(worker);
  transpose(values_.of(worker), kValues, count, planes_.in_channels, packed, packed_row_);
  const int64_t* row = plane_row_;
  if (planes_.hasLines(tile)) {
    const PlaneLines::Run run = planes_.linesOf(tile);
    dy += run.image * planes_.out_channels * planes_.size + run.position;
  } else {
    planes_.gather(dy, planes_.out_channels, tile, gathered_.of(worker));
    dy = gathered_.of(worker);
    row = line_row_;
  }
  const int64_t panel_sums = planes_.out_channels * kPanel<float>;
  float* partial = partial_ + cut * partial_size_;
  for (int64_t panel = 0; panel < panels_; panel += panelsTogether()) {
    const int64_t some = std::min(panelsTogether(), panels_ - panel);
    multiplyPanel(PanelProduct<float>{
        dy, row, planes_.out_channels, place_, count, packed + panel * kPanel<float>,
        columnsOfPanel<float>(planes_.in_channels, panel + some - 1), partial + panel * panel_sums,
        kPanel<float>, true, some, kPanel<float>, panel_sums, packed_row_});
  }
}

void PlaneWeightGrad::finish(int64_t o, int64_t panel, float* dw) const {
  float sums[kPanel<float>] = {};
  const float* more = partial_ + (panel * planes_.out_channels + o) * kPanel<float>;
  for (int64_t cut = 0; cut < cuts_; ++cut, more += partial_size_) {
    for (int64_t i = 0; i < kPanel<float>; ++i) sums[i] += more[i];
  }
  std::copy_n(sums, columnsOfPanel<float>(planes_.in_channels, panel), dw);
}

void PlaneWeightGrad::finish(float* dw, ThreadPool& pool) const {
  pool.runRanges(planes_.out_channels, ceilDiv(1 << 12, packed_row_ * cuts_),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t o = begin; o < end; ++o) {
                     for (int64_t panel = 0; panel < panels_; ++panel) {
                       finish(o, panel, dw + o * planes_.in_channels + panel * kPanel<float>);
                     }
                   }
                 });
}

namespace {

// With `before`(tile, worker) for each tile before its part is added.
template <class Source, class Before>
void run(const PlaneLines& planes, const PlaneWeightGrad& grad, const ConvShape& shape,
         const Source& x, const float* dy, float* dw, ThreadPool& pool, Before&& before) {
  const auto rows = rowsOfSource(forwardSum(collapsed(shape)), x);
  grad.fillTables();
  pool.run(grad.cuts(), [&](int64_t cut, int worker) {
    grad.begin(cut, worker);
    const int64_t end = planes.tiles() * (cut + 1) / grad.cuts();
    for (int64_t tile = planes.tiles() * cut / grad.cuts(); tile < end; ++tile) {
      before(tile, worker);
      grad.add(rows, dy, tile, cut, worker);
    }
  });
  grad.finish(dw, pool);
}

template <class Source>
void runAlone(const ConvShape& shape, const Source& x, const float* dy, float* dw,
              std::byte* workspace, ThreadPool& pool) {
  const PlaneLines planes(shape);
  Workspace memory(workspace);
  const PlaneWeightGrad grad(planes, pool.threads(), memory);
  run(planes, grad, shape, x, dy, dw, pool, [](int64_t, int) {});
}

template <class Source>
void runBoth(const ConvShape& shape, const Source& x, const float* dy, const float* w, float* dx,
             float* dw, std::byte* workspace, ThreadPool& pool) {
  const PlaneLines planes(shape);
  Workspace memory(workspace);
  const PlaneInputGrad input_grad(planes, pool.threads(), memory);
  const PlaneWeightGrad grad(planes, pool.threads(), memory);
  input_grad.setWeights(w);
  run(planes, grad, shape, x, dy, dw, pool,
      [&](int64_t tile, int worker) { input_grad.run(dy, dx, tile, worker); });
}

}  // namespace

bool planeWeightGradFits(const ConvShape& shape) {
  return PlaneLines::fits(shape) && shape.in_channels <= shape.out_channels &&
         shape.in_channels * shape.out_channels <= kMostWeights;
}

size_t planeWeightGradWorkspace(const ConvShape& shape, int threads) {
  Workspace memory(nullptr);
  PlaneWeightGrad(PlaneLines(shape), threads, memory);
  return memory.used();
}

void planeWeightGrad(const ConvShape& shape, const float* x, const float* dy, float* dw,
                     std::byte* workspace, ThreadPool& pool) {
  runAlone(shape, x, dy, dw, workspace, pool);
}
void planeWeightGrad(const ConvShape& shape, const Codes& x, const float* dy, float* dw,
                     std::byte* workspace, ThreadPool& pool) {
  runAlone(shape, x, dy, dw, workspace, pool);
}

size_t planeGradsWorkspace(const ConvShape& shape, int threads) {
  const PlaneLines planes(shape);
  Workspace memory(nullptr);
  PlaneInputGrad(planes, threads, memory);
  PlaneWeightGrad(planes, threads, memory);
  return memory.used();
}

void planeGrads(const ConvShape& shape, const float* x, const float* dy, const float* w, float* dx,
                float* dw, std::byte* workspace, ThreadPool& pool) {
  runBoth(shape, x, dy, w, dx, dw, workspace, pool);
}
void planeGrads(const ConvShape& shape, const Codes& x, const float* dy, const float* w, float* dx,
                float* dw, std::byte* workspace, ThreadPool& pool) {
  runBoth(shape, x, dy, w, dx, dw, workspace, pool);
}

}  // namespace simaqat::kernels
