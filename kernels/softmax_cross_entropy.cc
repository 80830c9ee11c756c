#include "kernels/softmax_cross_entropy.h"

#include <Eigen/Core>
#include <algorithm>

namespace simaqat::kernels {
namespace {

// Positions of the inner axis that are worked on side by side.
constexpr int64_t kPositions = 128;
using Row = Eigen::Map<Eigen::ArrayXf>;
using ConstRow = Eigen::Map<const Eigen::ArrayXf>;
using Running = Eigen::Array<float, Eigen::Dynamic, 1, 0, kPositions, 1>;  // on the stack

// Calls body(offset, positions) for blocks of neighbouring positions; class c of the block begins
// at offset + c * inner.
template <class Body>
void forEachBlock(int64_t outer, int64_t classes, int64_t inner, ThreadPool& pool, Body&& body) {
  const int64_t blocks = (inner + kPositions - 1) / kPositions;
  constexpr int64_t kGrain = 1 << 13;
  const int64_t elements = std::max<int64_t>(classes * std::min(inner, kPositions), 1);
  pool.runRanges(
      outer * blocks, (kGrain + elements - 1) / elements, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t first = i % blocks * kPositions;
          body(i / blocks * classes * inner + first, std::min(kPositions, inner - first));
        }
      });
}

}  // namespace

void logSoftmax(const float* x, int64_t outer, int64_t classes, int64_t inner, float* y,
                ThreadPool& pool) {
  forEachBlock(outer, classes, inner, pool, [&](int64_t offset, int64_t positions) {
    if (inner == 1) {
      const ConstRow in(x + offset, classes);
      const float largest = in.maxCoeff();
      Row(y + offset, classes) = in - largest - std::log((in - largest).exp().sum());
      return;
    }
    Running largest = ConstRow(x + offset, positions);
    for (int64_t c = 1; c < classes; ++c) {
      largest = largest.max(ConstRow(x + offset + c * inner, positions));
    }
    Running sum = Running::Zero(positions);
    for (int64_t c = 0; c < classes; ++c) {
      sum += (ConstRow(x + offset + c * inner, positions) - largest).exp();
    }
    sum = sum.log();
    for (int64_t c = 0; c < classes; ++c) {
      // Not minus the sum of both, which has the rounding of the largest score.
      Row(y + offset + c * inner, positions) =
          ConstRow(x + offset + c * inner, positions) - largest - sum;
    }
  });
}

void logSoftmaxGrad(const float* dy, const float* y, int64_t outer, int64_t classes, int64_t inner,
                    float* dx, ThreadPool& pool) {
  forEachBlock(outer, classes, inner, pool, [&](int64_t offset, int64_t positions) {
    if (inner == 1) {
      const ConstRow g(dy + offset, classes);
      Row(dx + offset, classes) = g - ConstRow(y + offset, classes).exp() * g.sum();
      return;
    }
    Running sum = Running::Zero(positions);
    for (int64_t c = 0; c < classes; ++c) sum += ConstRow(dy + offset + c * inner, positions);
    for (int64_t c = 0; c < classes; ++c) {
      const int64_t at = offset + c * inner;
      Row(dx + at, positions) =
          ConstRow(dy + at, positions) - ConstRow(y + at, positions).exp() * sum;
    }
  });
}

}  // namespace simaqat::kernels
