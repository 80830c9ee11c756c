// What ends a step: sums over channels, softmax of 1000 classes, and the update of ResNet-18's 11.7
// million weights.
#include <benchmark/benchmark.h>

#include <vector>

#include "kernels/reduce.h"
#include "kernels/sgd.h"
#include "kernels/softmax_cross_entropy.h"

namespace simaqat::kernels {
namespace {

void channelSums(benchmark::State& state) {
  const int64_t outer = state.range(0), channels = state.range(1), inner = state.range(2);
  ThreadPool pool(1);
  const std::vector<float> x(static_cast<size_t>(outer * channels * inner), 0.5f);
  std::vector<float> sum(static_cast<size_t>(channels));
  for (auto _ : state) {
    channelSum(x.data(), outer, channels, inner, sum.data(), pool);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * outer * channels * inner);
}
// A convolution's bias, and a linear layer's of ViT-B.
BENCHMARK(channelSums)
    ->Args({16, 64, 112 * 112})
    ->Args({1576, 768, 1})
    ->Unit(benchmark::kMicrosecond);

void softmax(benchmark::State& state) {
  constexpr int64_t kOuter = 64, kClasses = 1000;
  ThreadPool pool(1);
  std::vector<float> x(kOuter * kClasses), y(x.size());
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 97) * 0.1f;
  for (auto _ : state) {
    logSoftmax(x.data(), kOuter, kClasses, 1, y.data(), pool);
    logSoftmaxGrad(x.data(), y.data(), kOuter, kClasses, 1, y.data(), pool);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kOuter * kClasses);
}
BENCHMARK(softmax)->Unit(benchmark::kMicrosecond);

void updates(benchmark::State& state) {
  constexpr int64_t kWeights = 11'700'000;
  ThreadPool pool(static_cast<int>(state.range(0)));
  std::vector<float> w(kWeights, 0.5f), buffer(kWeights);
  const std::vector<float> g(kWeights, 1e-3f);
  for (auto _ : state) {
    benchmark::DoNotOptimize(sumOfSquares(g.data(), kWeights, pool));
    sgdMomentum(w.data(), g.data(), buffer.data(), kWeights, {1e-6f, 0.9f, 1e-4f, false, 1.0f},
                pool);
  }
  state.SetBytesProcessed(state.iterations() * kWeights * 24);
}
BENCHMARK(updates)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime()->Unit(
    benchmark::kMicrosecond);

}  // namespace
}  // namespace simaqat::kernels
