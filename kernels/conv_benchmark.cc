// Convolutions of ResNet-20 (batch 64), MobileNetV2 and ResNet-18 (batch 16), in GFLOP/s.
#include <benchmark/benchmark.h>

#include <array>
#include <string>
#include <vector>

#include "kernels/conv.h"
#include "kernels/quantized_conv.h"
#include "kernels/winograd_conv.h"

namespace simaqat::kernels {
namespace {

struct Case {
  const char* name;
  ConvShape shape;
};

ConvShape square(int64_t batch, int64_t in_channels, int64_t out_channels, int64_t size,
                 int64_t kernel, int64_t stride, int64_t group = 1) {
  const int64_t pad = kernel / 2;
  const int64_t out = (size + 2 * pad - kernel) / stride + 1;
  return {batch,
          in_channels,
          out_channels,
          group,
          2,
          {1, size, size},
          {1, out, out},
          {1, kernel, kernel},
          {1, stride, stride},
          {1, 1, 1},
          {0, pad, pad}};
}

enum Pass {
  kForward,
  kWideForward,
  kQuantized,
  kInputGrad,
  kWeightGrad,
  kBfloat16InputGrad,
  kBfloat16WeightGrad,
  kGrads,
  kWinogradInputGrad,
  kWinogradWeightGrad
};

void run(benchmark::State& state, const ConvShape& s, Pass pass) {
  ThreadPool pool(static_cast<int>(state.range(0)));
  const int64_t positions = s.out[0] * s.out[1] * s.out[2];
  const int64_t taps = s.in_channels / s.group * s.kernel[0] * s.kernel[1] * s.kernel[2];
  std::vector<float> x(static_cast<size_t>(s.batch * s.in_channels * s.in[0] * s.in[1] * s.in[2]),
                       0.5f);
  std::vector<float> y(static_cast<size_t>(s.batch * s.out_channels * positions), 0.5f);
  std::vector<float> w(static_cast<size_t>(s.out_channels * taps), 0.5f);
  std::vector<float> dw(w.size());
  const std::vector<uint8_t> codes(x.size(), 1);
  const std::vector<float> w_scale(static_cast<size_t>(s.out_channels), 0.5f);
  const Sums sums = pass == kForward ? Sums::kFloat : Sums::kDouble;
  const size_t bytes =
      pass <= kWideForward         ? convForwardWorkspace(s, sums, pool.threads())
      : pass == kQuantized         ? quantizedConvWorkspace(s, pool.threads())
      : pass == kInputGrad         ? convInputGradWorkspace(s, Operands::kFloat, pool.threads())
      : pass == kBfloat16InputGrad ? convInputGradWorkspace(s, Operands::kBfloat16, pool.threads())
      : pass == kBfloat16WeightGrad
          ? convWeightGradWorkspace(s, Operands::kBfloat16, pool.threads())
      : pass == kWeightGrad        ? convWeightGradWorkspace(s, Operands::kFloat, pool.threads())
      : pass == kGrads             ? convGradsWorkspace(s, Operands::kFloat, pool.threads())
      : pass == kWinogradInputGrad ? winogradInputGradWorkspace(s, pool.threads())
                                   : winogradWeightGradWorkspace(s, pool.threads());
  std::vector<std::byte> workspace(bytes);
  for (auto _ : state) {
    if (pass <= kWideForward) {
      convForward(s, sums, x.data(), w.data(), nullptr, y.data(), workspace.data(), pool);
    } else if (pass == kQuantized) {
      quantizedConv(s, {codes.data(), 0.5f, 0}, w.data(), w_scale.data(), nullptr, {y.data()},
                    workspace.data(), pool);
    } else if (pass == kInputGrad) {
      convInputGrad(s, Operands::kFloat, y.data(), w.data(), x.data(), workspace.data(), pool);
    } else if (pass == kBfloat16InputGrad) {
      convInputGrad(s, Operands::kBfloat16, y.data(), w.data(), x.data(), workspace.data(), pool);
    } else if (pass == kBfloat16WeightGrad) {
      convWeightGrad(s, Operands::kBfloat16, {codes.data(), 0.5f, 0}, y.data(), w.data(),
                     workspace.data(), pool);
    } else if (pass == kWeightGrad) {
      convWeightGrad(s, Operands::kFloat, {codes.data(), 0.5f, 0}, y.data(), w.data(),
                     workspace.data(), pool);
    } else if (pass == kGrads) {
      convGrads(s, Operands::kFloat, {codes.data(), 0.5f, 0}, y.data(), w.data(), x.data(),
                dw.data(), workspace.data(), pool);
    } else if (pass == kWinogradInputGrad) {
      winogradInputGrad(s, y.data(), w.data(), x.data(), workspace.data(), pool);
    } else {
      winogradWeightGrad(s, {codes.data(), 0.5f, 0}, y.data(), w.data(), workspace.data(), pool);
    }
    benchmark::ClobberMemory();
  }
  const double flops = (pass == kGrads ? 4.0 : 2.0) *
                       static_cast<double>(s.batch * s.out_channels * positions) *
                       static_cast<double>(taps);
  state.counters["FLOP"] = benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
}

const bool registered = [] {
  const Case cases[] = {
      {"resnet20/3-16", square(64, 3, 16, 32, 3, 1)},
      {"resnet20/16-16", square(64, 16, 16, 32, 3, 1)},
      {"resnet20/16-32/2", square(64, 16, 32, 32, 3, 2)},
      {"resnet20/32-32", square(64, 32, 32, 16, 3, 1)},
      {"resnet20/64-64", square(64, 64, 64, 8, 3, 1)},
      {"resnet20/1x1/16-32/2", square(64, 16, 32, 32, 1, 2)},
      {"mobilenet/1x1/16-96", square(16, 16, 96, 112, 1, 1)},
      {"mobilenet/1x1/24-144", square(16, 24, 144, 56, 1, 1)},
      {"mobilenet/1x1/64-384", square(16, 64, 384, 14, 1, 1)},
      {"mobilenet/1x1/96-24", square(16, 96, 24, 56, 1, 1)},
      {"mobilenet/1x1/384-64", square(16, 384, 64, 14, 1, 1)},
      {"mobilenet/1x1/960-160", square(16, 960, 160, 7, 1, 1)},
      {"mobilenet/depthwise/96/2", square(16, 96, 96, 112, 3, 2, 96)},
      {"mobilenet/depthwise/144", square(16, 144, 144, 56, 3, 1, 144)},
      {"mobilenet/depthwise/576", square(16, 576, 576, 14, 3, 1, 576)},
      {"mobilenet/depthwise/960", square(16, 960, 960, 7, 3, 1, 960)},
      {"resnet18/7x7/2", square(16, 3, 64, 224, 7, 2)},
      {"resnet18/64-64", square(16, 64, 64, 56, 3, 1)},
      {"resnet18/128-128", square(16, 128, 128, 28, 3, 1)},
      {"resnet18/256-256", square(16, 256, 256, 14, 3, 1)},
      {"resnet18/512-512", square(16, 512, 512, 7, 3, 1)},
  };
  const char* const passes[] = {"forward",
                                "wide_forward",
                                "quantized",
                                "input_grad",
                                "weight_grad",
                                "bf16_input_grad",
                                "bf16_weight_grad",
                                "grads",
                                "winograd_input_grad",
                                "winograd_weight_grad"};
  for (const Case& c : cases) {
    for (int pass = 0; pass <= kWinogradWeightGrad; ++pass) {
      if (pass == kGrads && c.shape.kernel[2] > 1) continue;
      if (pass > kGrads && !winogradFits(c.shape)) continue;
      benchmark::RegisterBenchmark((std::string(c.name) + "/" + passes[pass]).c_str(),
                                   [shape = c.shape, pass](benchmark::State& state) {
                                     run(state, shape, static_cast<Pass>(pass));
                                   })
          ->ArgName("threads")
          ->Arg(1)
          ->Arg(2)
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
  return true;
}();

}  // namespace
}  // namespace simaqat::kernels
