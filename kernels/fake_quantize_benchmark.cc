// Quantizers of ResNet-20's first activation (64 x 16 x 32 x 32) and of MobileNetV2's weights.
#include <benchmark/benchmark.h>

#include <vector>

#include "kernels/bit_mask.h"
#include "kernels/fake_quantize.h"
#include "kernels/isa.h"

namespace simaqat::kernels {
namespace {

constexpr int64_t kActivation = 64 * 16 * 32 * 32;

std::vector<float> ramp(int64_t n) {
  std::vector<float> x(static_cast<size_t>(n));
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 1021) * 0.01f - 5;
  return x;
}

// Serial, on one instruction set.
void table(benchmark::State& state, void (*body)(const KernelTable&, const float*, float*)) {
  const Isa isa = static_cast<Isa>(state.range(0));
  if (isa > detectedIsa()) return state.SkipWithError("not on this CPU");
  state.SetLabel(isaName(isa));
  const std::vector<float> x = ramp(kActivation);
  std::vector<float> y(x.size());
  for (auto _ : state) {
    body(kernelsOf(isa), x.data(), y.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kActivation);
}
BENCHMARK_CAPTURE(table, fake_quantize,
                  [](const KernelTable& k, const float* x, float* y) {
                    k.fakeQuantize(x, kActivation, 0.03f, 100, 0, 255, y);
                  })
    ->Arg(0)
    ->Arg(1)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(table, fake_quantize_grad,
                  [](const KernelTable& k, const float* x, float* y) {
                    k.fakeQuantizeGrad(x, y, kActivation, 0.03f, 100, 0, 255, y);
                  })
    ->Arg(0)
    ->Arg(1)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(table, quantize_uint8,
                  [](const KernelTable& k, const float* x, float* y) {
                    k.quantizeUint8(x, kActivation, 0.03f, 100, 0, 255,
                                    reinterpret_cast<uint8_t*>(y));
                  })
    ->Arg(0)
    ->Arg(1)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(table, min_max,
                  [](const KernelTable& k, const float* x, float* y) {
                    k.minMax(x, kActivation, y, y + 1);
                  })
    ->Arg(0)
    ->Arg(1)
    ->Unit(benchmark::kMicrosecond);

// What passes as bits, and a gradient by them.
void masks(benchmark::State& state) {
  ThreadPool pool(1);
  const std::vector<float> x = ramp(kActivation);
  std::vector<float> dx(x.size());
  std::vector<uint8_t> mask(static_cast<size_t>(maskBytes(kActivation)));
  for (auto _ : state) {
    maskWithin(x.data(), kActivation, -1, 1, mask.data());
    maskGradient(x.data(), mask.data(), kActivation, dx.data(), pool);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kActivation);
}
BENCHMARK(masks)->Unit(benchmark::kMicrosecond);

// MobileNetV2's largest 1x1 weights and its depthwise ones, through the pool.
void weights(benchmark::State& state) {
  ThreadPool pool(1);
  const int64_t channels = state.range(0), inner = state.range(1);
  const std::vector<float> x = ramp(channels * inner);
  std::vector<float> y(x.size()), scale(static_cast<size_t>(channels));
  for (auto _ : state) {
    channelAbsMax(x.data(), 1, channels, inner, scale.data(), pool);
    fakeQuantizePerChannel(x.data(), 1, channels, inner, scale.data(), nullptr, -127, 127, y.data(),
                           pool);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * channels * inner);
}
BENCHMARK(weights)->Args({320, 960})->Args({960, 9})->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace simaqat::kernels
