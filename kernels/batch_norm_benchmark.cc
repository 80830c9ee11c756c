// BatchNorm of ResNet-20 (batch 64) and MobileNetV2 (batch 16), one thread.
#include <benchmark/benchmark.h>

#include <vector>

#include "kernels/batch_norm.h"

namespace simaqat::kernels {
namespace {

enum Pass { kTrain, kInference, kGrad };

void run(benchmark::State& state, Pass pass) {
  const BatchNormShape shape{state.range(0), state.range(1), state.range(2)};
  const auto n = static_cast<size_t>(shape.batch * shape.channels * shape.inner);
  const auto channels = static_cast<size_t>(shape.channels);
  ThreadPool pool(1);
  std::vector<float> x(n), dy(n, 0.5f), out(n);
  for (size_t i = 0; i < n; ++i) x[i] = static_cast<float>(i % 1021) * 0.01f;
  std::vector<float> gamma(channels, 1), beta(channels), mean(channels), inv_std(channels, 1),
      var(channels, 1), dgamma(channels), dbeta(channels);
  for (auto _ : state) {
    if (pass == kTrain) {
      batchNormTrain(shape, x.data(), gamma.data(), beta.data(), 1e-5f, out.data(), mean.data(),
                     inv_std.data(), var.data(), pool);
    } else if (pass == kInference) {
      batchNormInference(shape, x.data(), gamma.data(), beta.data(), mean.data(), var.data(), 1e-5f,
                         out.data(), pool);
    } else {
      batchNormGrad(shape, dy.data(), x.data(), gamma.data(), mean.data(), inv_std.data(),
                    out.data(), dgamma.data(), dbeta.data(), pool);
    }
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(n));
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"batch", "channels", "inner"})
      ->Args({64, 16, 1024})
      ->Args({64, 64, 64})
      ->Args({16, 96, 112 * 112})
      ->Args({16, 960, 49})
      ->Unit(benchmark::kMicrosecond);
}
BENCHMARK_CAPTURE(run, train, kTrain)->Apply(shapes);
BENCHMARK_CAPTURE(run, inference, kInference)->Apply(shapes);
BENCHMARK_CAPTURE(run, grad, kGrad)->Apply(shapes);

}  // namespace
}  // namespace simaqat::kernels
