// Matrix products of classifiers, of ViT-B and of ViT-S, in GFLOP/s.
#include <benchmark/benchmark.h>

#include <vector>

#include "kernels/gemm.h"
#include "kernels/quantized_gemm.h"

namespace simaqat::kernels {
namespace {

void run(benchmark::State& state, Operands operands) {
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  ThreadPool pool(1);
  const std::vector<float> a(static_cast<size_t>(m * k), 0.5f);
  const std::vector<float> b(static_cast<size_t>(k * n), 0.5f);
  std::vector<float> c(static_cast<size_t>(m * n));
  std::vector<std::byte> workspace(gemmWorkspace(operands, m, n, k, pool.threads()));
  for (auto _ : state) {
    gemm(operands, state.range(3) != 0, state.range(4) != 0, m, n, k, 1, a.data(), b.data(), 0,
         c.data(), workspace.data(), pool);
    benchmark::ClobberMemory();
  }
  state.counters["FLOP"] = benchmark::Counter(2.0 * static_cast<double>(m * n * k),
                                              benchmark::Counter::kIsIterationInvariantRate);
}
void sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"m", "n", "k", "trans_a", "trans_b"})
      ->Args({64, 10, 64, 0, 1})
      ->Args({16, 1000, 512, 0, 1})
      ->Args({197, 197, 64, 0, 1})
      ->Args({1576, 768, 768, 0, 0})
      ->Args({1576, 768, 768, 0, 1})
      ->Args({1536, 384, 1576, 1, 0})
      ->Unit(benchmark::kMicrosecond);
}
BENCHMARK_CAPTURE(run, float, Operands::kFloat)->Apply(sizes);
BENCHMARK_CAPTURE(run, bfloat16, Operands::kBfloat16)->Apply(sizes);

// The scores of ViT-S's attention: a product for each of 8 samples' 6 heads.
void attention(benchmark::State& state) {
  constexpr int64_t kCount = 48, kTokens = 196, kDepth = 64;
  ThreadPool pool(static_cast<int>(state.range(0)));
  const std::vector<float> a(kCount * kTokens * kDepth, 0.5f), b(a.size(), 0.5f);
  std::vector<float> c(kCount * kTokens * kTokens);
  std::vector<std::byte> workspace(
      gemmsWorkspace(Operands::kFloat, kCount, kTokens, kTokens, kDepth, pool.threads()));
  const auto offsets = [](const void*, int64_t i) {
    return GemmOffsets{i * kTokens * kDepth, i * kTokens * kDepth};
  };
  for (auto _ : state) {
    gemms(Operands::kFloat, kCount, kTokens, kTokens, kDepth, a.data(), b.data(), offsets, nullptr,
          c.data(), workspace.data(), pool);
    benchmark::ClobberMemory();
  }
  state.counters["FLOP"] = benchmark::Counter(2.0 * kCount * kTokens * kTokens * kDepth,
                                              benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(attention)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime()->Unit(
    benchmark::kMicrosecond);

void quantized(benchmark::State& state) {
  const QuantizedGemmShape shape{state.range(0), state.range(1), state.range(2),
                                 state.range(3) != 0};
  ThreadPool pool(1);
  const std::vector<uint8_t> x(static_cast<size_t>(shape.m * shape.k), 1);
  const std::vector<float> w(static_cast<size_t>(shape.k * shape.n), 0.5f);
  const std::vector<float> w_scale(static_cast<size_t>(shape.n), 0.5f);
  std::vector<float> y(static_cast<size_t>(shape.m * shape.n));
  std::vector<std::byte> workspace(quantizedGemmWorkspace(shape));
  for (auto _ : state) {
    quantizedGemm(shape, {x.data(), 0.5f, 0}, w.data(), w_scale.data(), nullptr, y.data(),
                  workspace.data(), pool);
    benchmark::ClobberMemory();
  }
  state.counters["FLOP"] =
      benchmark::Counter(2.0 * static_cast<double>(shape.m * shape.n * shape.k),
                         benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(quantized)
    ->ArgNames({"m", "n", "k", "trans_w"})
    ->Args({64, 10, 64, 1})
    ->Args({1568, 384, 384, 0})
    ->Args({1568, 1536, 384, 0})
    ->Args({1568, 384, 1536, 1})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace simaqat::kernels
