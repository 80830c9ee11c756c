// Pooling of ResNet-18 (batch 16): MaxPool of 64 x 112 x 112, of codes and of floats, with its
// gradient, and the average over 512 planes of 7 x 7; AveragePool of 2 x 2 as in DenseNet-121.
#include <benchmark/benchmark.h>

#include <vector>

#include "kernels/pool.h"

namespace simaqat::kernels {
namespace {

PoolShape shapeOf(int64_t planes, int64_t size, int64_t kernel, int64_t stride, int64_t pad) {
  const int64_t out = (size + 2 * pad - kernel) / stride + 1;
  return {planes,    {1, size, size}, {1, out, out}, {1, kernel, kernel}, {1, stride, stride},
          {1, 1, 1}, {0, pad, pad},   {0, pad, pad}};
}

int64_t sizeOfX(const PoolShape& s) { return s.planes * s.in[1] * s.in[2]; }
int64_t sizeOfY(const PoolShape& s) { return s.planes * s.out[1] * s.out[2]; }

template <class T>
std::vector<T> mixed(int64_t n) {
  std::vector<T> x(static_cast<size_t>(n));
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<T>(i * 2654435761u >> 13 & 0xff);
  return x;
}

// Calls body(pool) for each iteration; `elements` of x are what counts.
template <class Body>
void measure(benchmark::State& state, int64_t elements, const Body& body) {
  ThreadPool pool(1);
  for (auto _ : state) {
    body(pool);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * elements);
}

const PoolShape kMaxPool = shapeOf(16 * 64, 112, 3, 2, 1);
const PoolShape kAveragePool = shapeOf(16 * 128, 56, 2, 2, 0);

template <class T>
void maxPools(benchmark::State& state) {
  const std::vector<T> x = mixed<T>(sizeOfX(kMaxPool));
  std::vector<T> y(static_cast<size_t>(sizeOfY(kMaxPool)));
  measure(state, sizeOfX(kMaxPool),
          [&](ThreadPool& pool) { maxPool(kMaxPool, x.data(), y.data(), pool); });
}
BENCHMARK_TEMPLATE(maxPools, uint8_t)->Unit(benchmark::kMicrosecond);
BENCHMARK_TEMPLATE(maxPools, float)->Unit(benchmark::kMicrosecond);

template <class T>
void maxPoolGrads(benchmark::State& state) {
  const std::vector<T> x = mixed<T>(sizeOfX(kMaxPool));
  const std::vector<float> dy(static_cast<size_t>(sizeOfY(kMaxPool)), 0.5f);
  std::vector<float> dx(x.size());
  measure(state, sizeOfX(kMaxPool),
          [&](ThreadPool& pool) { maxPoolGrad(kMaxPool, x.data(), dy.data(), dx.data(), pool); });
}
BENCHMARK_TEMPLATE(maxPoolGrads, uint8_t)->Unit(benchmark::kMicrosecond);
BENCHMARK_TEMPLATE(maxPoolGrads, float)->Unit(benchmark::kMicrosecond);

void averagePools(benchmark::State& state) {
  std::vector<float> x = mixed<float>(sizeOfX(kAveragePool));
  std::vector<float> y(static_cast<size_t>(sizeOfY(kAveragePool)));
  measure(state, sizeOfX(kAveragePool), [&](ThreadPool& pool) {
    if (state.range(0) == 0) {
      averagePool(kAveragePool, false, x.data(), y.data(), pool);
    } else {
      averagePoolGrad(kAveragePool, false, y.data(), x.data(), pool);
    }
  });
}
BENCHMARK(averagePools)->ArgName("gradient")->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond);

void globalAveragePools(benchmark::State& state) {
  constexpr int64_t kPlanes = 16 * 512, kSize = 49;
  std::vector<float> x = mixed<float>(kPlanes * kSize);
  std::vector<float> y(kPlanes);
  measure(state, kPlanes * kSize, [&](ThreadPool& pool) {
    if (state.range(0) == 0) {
      globalAveragePool(x.data(), kPlanes, kSize, y.data(), pool);
    } else {
      globalAveragePoolGrad(y.data(), kPlanes, kSize, x.data(), pool);
    }
  });
}
BENCHMARK(globalAveragePools)->ArgName("gradient")->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace simaqat::kernels
