// Matrix products of classifiers and of ViT-B, in GFLOP/s.
#include <benchmark/benchmark.h>

#include <vector>

#include "kernels/gemm.h"

namespace simaqat::kernels {
namespace {

void run(benchmark::State& state) {
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  ThreadPool pool(1);
  const std::vector<float> a(static_cast<size_t>(m * k), 0.5f);
  const std::vector<float> b(static_cast<size_t>(k * n), 0.5f);
  std::vector<float> c(static_cast<size_t>(m * n));
  std::vector<std::byte> workspace(gemmWorkspace(m, n, k, pool.threads()));
  for (auto _ : state) {
    gemm(false, state.range(3) != 0, m, n, k, 1, a.data(), b.data(), 0, c.data(), workspace.data(),
         pool);
    benchmark::ClobberMemory();
  }
  state.counters["FLOP"] = benchmark::Counter(2.0 * static_cast<double>(m * n * k),
                                              benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(run)
    ->ArgNames({"m", "n", "k", "trans_b"})
    ->Args({64, 10, 64, 1})
    ->Args({16, 1000, 512, 1})
    ->Args({197, 197, 64, 1})
    ->Args({1576, 768, 768, 0})
    ->Args({1576, 768, 768, 1})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace simaqat::kernels
