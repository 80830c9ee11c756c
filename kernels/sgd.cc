#include "kernels/sgd.h"

#include <algorithm>

#include "kernels/wide_sum.h"

namespace simaqat::kernels {
namespace {

constexpr int64_t kGrain = 1 << 15;

template <bool kNesterov>
void update(float* w, const float* g, float* buffer, int64_t n, const SgdOptions& o) {
  for (int64_t i = 0; i < n; ++i) {
    const float d = o.gradient_scale * g[i] + o.weight_decay * w[i];
    const float b = o.momentum * buffer[i] + d;
    buffer[i] = b;
    w[i] -= o.learning_rate * (kNesterov ? d + o.momentum * b : b);
  }
}

}  // namespace

void sgdMomentum(float* w, const float* g, float* buffer, int64_t n, const SgdOptions& options,
                 ThreadPool& pool) {
  pool.runRanges(n, kGrain, [&](int64_t begin, int64_t end) {
    const auto run = options.nesterov ? update<true> : update<false>;
    run(w + begin, g + begin, buffer + begin, end - begin, options);
  });
}

double sumOfSquares(const float* g, int64_t n, ThreadPool& pool) {
  constexpr int64_t kTiles = 64;
  double partial[kTiles];
  const int64_t tiles = std::clamp<int64_t>(n / kGrain, 1, kTiles);
  pool.run(tiles, [&](int64_t tile, int) {
    WideSum sum;
    int64_t i = n * tile / tiles;
    const int64_t end = n * (tile + 1) / tiles;
    for (; i + 8 <= end; i += 8) {
      const Double4 low = loadDouble4(g + i);
      const Double4 high = loadDouble4(g + i + 4);
      sum.add(low * low, high * high);
    }
    for (; i < end; ++i) sum.add(static_cast<double>(g[i]) * g[i]);
    partial[tile] = sum.total();
  });
  double total = 0;
  for (int64_t tile = 0; tile < tiles; ++tile) total += partial[tile];
  return total;
}

}  // namespace simaqat::kernels
