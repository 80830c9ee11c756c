// One scale for a weight that ships with a BatchNormalization folded in: the folded weight's.
#include <algorithm>
#include <cmath>

#include "qat/ir/range_search.h"
#include "qat/passes/finalize.h"
#include "qat/passes/scaffold.h"
#include "qat/passes/simplify.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;

constexpr char kConv[] = R"(
    input %x : float[N, 2, 4]
    weight %w : float[3, 2, 1] = [1, -0.5, 127, 3, 0.1, -0.2]
    weight %g : float[3] = [1, -4, 0]
    weight %b : float[3] = [0, 0, 5]
    batch_norm_statistic %m : float[3] = [0.5, 0, 1]
    batch_norm_statistic %v : float[3] = [3, 3, 3]
    %c = Conv(%x, %w)
    %n = BatchNormalization(%c, %g, %b, %m, %v) {epsilon = 1.0}
    %y = Relu(%n)
    output y = %y)";
// With gamma / sqrt(var + epsilon) 0.5, -2 and 0.
const std::vector<float> kFolded = {0.5f, -0.25f, -254, -6, 0, 0};

Graph prepared(const std::string& observer, int64_t bits) {
  ScaffoldOptions options;
  options.weight.per_channel = false;
  options.weight.observer = observer;
  options.weight.bits = bits;
  Graph graph = parse(kConv);
  scaffold(graph, options);
  calibrate(graph, {randomTensor({4, 2, 4}, 3)});
  return graph;
}

std::vector<float> stored(const Graph& graph, const std::string& variable) {
  return graph.findVariable(variable)->value.toVector<float>();
}

// What ships: codes, and the one scale they have.
struct Shipped {
  std::vector<int> codes;
  float scale = 0;
};

Shipped shipped(const Graph& prepared) {
  Graph graph = prepared.clone();
  finalize(graph);
  const Value* scale = graph.findValue("w/quantized_scale");
  CHECK(scale->type.rank() == 0);
  return {graph.findValue("w/quantized")->constant.toVector<int>(), *scale->constant.data<float>()};
}

std::vector<int> codesOf(const QuantizerSpec& spec, const std::vector<float>& values, float scale) {
  std::vector<int> codes;
  for (float x : values) codes.push_back(quantizeOne(x, scale, 0, spec.qmin, spec.qmax));
  return codes;
}

TEST_CASE("mse finds the scale of least error of the folded weight") {
  const Graph graph = prepared("channel_mse", 3);
  QuantizerSpec spec = weightQuantizer(-1);
  setWeightBits(spec, 3);
  const auto size = static_cast<int64_t>(kFolded.size());
  const float expected = scaleOfLeastError(spec, kFolded.data(), 1, size, size, 254.0f / 3);
  const Shipped result = shipped(graph);
  CHECK(result.scale == Catch::Approx(expected));
  CHECK(result.codes == codesOf(spec, kFolded, result.scale));
  // Training has it over |a|; where a is 0 the channel has its own.
  const std::vector<float> scales = stored(graph, "w/scale");
  CHECK(scales[0] == Catch::Approx(expected / 0.5f));
  CHECK(scales[1] == Catch::Approx(expected / 2));
  CHECK(scales[2] == Catch::Approx(0.2f / 3));
}

TEST_CASE("mse of a folded weight may leave out what max keeps") {
  Graph graph = parse(R"(
    input %x : float[N, 100, 4]
    weight %w : float[2, 100, 1] = [...]
    weight %g : float[2] = [1, -0.01]
    weight %b : float[2] = [0, 0]
    batch_norm_statistic %m : float[2] = [0, 0]
    batch_norm_statistic %v : float[2] = [1, 1]
    %c = Conv(%x, %w)
    %y = BatchNormalization(%c, %g, %b, %m, %v) {epsilon = 0.0}
    output y = %y)");
  graph.findVariable("w")->value = randomTensor({2, 100, 1}, 1);
  float* w = graph.findVariable("w")->value.mutableData<float>();
  w[7] = 8;
  ScaffoldOptions options;
  options.weight = {{}, 4, {}, {}, false, "channel_mse", {}, {}};
  scaffold(graph, options);
  calibrate(graph, {randomTensor({4, 100, 4}, 3)});
  std::vector<float> folded(w, w + 200);
  for (size_t i = 100; i < 200; ++i) folded[i] *= -0.01f;
  QuantizerSpec spec = weightQuantizer(-1);
  setWeightBits(spec, 4);
  const float scale = stored(graph, "w/scale")[0];
  CHECK(scale == Catch::Approx(scaleOfLeastError(spec, folded.data(), 1, 200, 200, 8.0f / 7)));
  CHECK(scale < 0.9f * 8 / 7);
}

TEST_CASE("lsq learns one scale of the folded weight, which ships") {
  Graph graph = prepared("lsq", 4);
  double sum = 0;
  for (float x : kFolded) sum += std::fabs(x);
  const float start = learnedScaleStart(sum / static_cast<double>(kFolded.size()), 7);
  REQUIRE(stored(graph, "w/folded_scale").size() == 1);
  CHECK(stored(graph, "w/folded_scale")[0] == Catch::Approx(start));
  CHECK(graph.findVariable("w/folded_scale")->trainable);
  CHECK(!graph.findVariable("w/scale")->trainable);
  // As if trained, beyond zero.
  *graph.findVariable("w/folded_scale")->value.mutableData<float>() = -0.25f;
  calibrate(graph, {randomTensor({4, 2, 4}, 3)});
  CHECK(stored(graph, "w/scale")[0] == 0.5f);
  CHECK(stored(graph, "w/scale")[1] == 0.125f);
  CHECK(stored(graph, "w/scale")[2] == Catch::Approx(0.2f / 7));
  const Shipped result = shipped(graph);
  CHECK(result.scale == 0.25f);
  CHECK(result.codes == std::vector<int>{2, -1, -7, -7, 0, 0});
}

TEST_CASE("scales of the kernels of a ConvTranspose with groups follow their channel's factor") {
  for (const char* observer : {"channel_max", "channel_mse", "lsq"}) {
    INFO(observer);
    Graph graph = parse(R"(
    input %x : float[N, 4, 3]
    weight %w : float[4, 3, 2] = [...]
    weight %g : float[6] = [1, -2, 4, 0, 16, 32]
    weight %b : float[6] = [0, ...]
    batch_norm_statistic %m : float[6] = [0, ...]
    batch_norm_statistic %v : float[6] = [1, ...]
    %c = ConvTranspose(%x, %w) {group = 2}
    %y = BatchNormalization(%c, %g, %b, %m, %v) {epsilon = 0.0}
    output y = %y)");
    graph.findVariable("w")->value = randomTensor({4, 3, 2}, 1);
    ScaffoldOptions options;
    options.weight.observer = observer;
    options.weight.bits = 4;
    scaffold(graph, options);
    calibrate(graph, {randomTensor({4, 4, 3}, 3)});
    const std::vector<float> scales = stored(graph, "w/scale");
    REQUIRE(scales.size() == 12);
    // Rows 0 and 1 are of channels 0 to 2, rows 2 and 3 of channels 3 to 5.
    for (size_t row = 0; row < 4; ++row) {
      for (size_t k = 0; k < 3; ++k) {
        const size_t channel = row / 2 * 3 + k;
        if (channel == 3) continue;
        const float factor = std::fabs(stored(graph, "g")[channel]);
        CHECK(scales[row * 3 + k] * factor == Catch::Approx(scales[0]));
      }
    }
    double sum = 0;
    float most = 0;
    for (size_t i = 0; i < 24; ++i) {
      const float folded =
          std::fabs(stored(graph, "w")[i] * stored(graph, "g")[i / 12 * 3 + i / 2 % 3]);
      sum += folded;
      most = std::max(most, folded);
    }
    if (observer == std::string("lsq")) {
      CHECK(scales[0] == Catch::Approx(learnedScaleStart(sum / 24, 7)));
    } else {
      CHECK(scales[0] <= 1.00001f * most / 7);
      CHECK(scales[0] >= 0.29f * most / 7);
    }
  }
}

TEST_CASE("no division by gamma, where all of it is 0") {
  for (const char* observer : {"channel_max", "channel_mse", "lsq"}) {
    Graph graph = prepared(observer, 8);
    graph.findVariable("g")->value = Tensor(ElementType::kFloat, {3});
    calibrate(graph, {randomTensor({4, 2, 4}, 3)});
    for (float scale : stored(graph, "w/scale")) CHECK(std::isfinite(scale));
    CHECK(shipped(graph).codes == std::vector<int>(6, 0));
  }
}

// In training, with the learned scale and W as inputs to differentiate by.
constexpr char kTraining[] = R"(
    input %s : float[]
    input %w : float[3, 5, 2]
    input %dy : float[3, 5, 2]
    constant %g : float[3] = [0.5, -3, 0]
    constant %v : float[3] = [1, 4, 1]
    constant %epsilon : float[] = [0]
    constant %a : float[3, 1, 1] = [0.5, -1.5, 0]
    constant %zero : float[3, 1, 1] = [0, 0, 0]
    %scales = simaqat::FoldedWeightScale(%w, %g, %v, %epsilon, %s) {axis = 0, observer = "folded_lsq", qmax = 7, qmin = -7, is_weight = 1}
    %q = simaqat::FakeQuantize(%w, %scales, %zero) {axis = 0, observer = "folded_lsq", qmax = 7, qmin = -7, is_weight = 1}
    %f = Mul(%q, %a)
    %y = Mul(%f, %dy)
    output y = %y)";

TEST_CASE("the gradient of a folded weight's scale is LSQ's, of the folded weight") {
  const Tensor w = randomTensor({3, 5, 2}, 1);
  const Tensor dy = randomTensor({3, 5, 2}, 2);
  const float s = 0.15f;
  const std::vector<Tensor> inputs = {Tensor::scalar(s), w, dy};
  const Graph graph = parse(kTraining);
  const float a[] = {0.5f, -1.5f, 0};
  double expected = 0;
  bool clips = false;
  const std::vector<float> y = run(graph, inputs)[0].toVector<float>();
  for (int64_t i = 0; i < 30; ++i) {
    const double v = static_cast<double>(a[i / 10] * w.data<float>()[i]) / s;
    const double code = std::clamp(std::nearbyint(v), -7.0, 7.0);
    const double slope = std::fabs(v) > 7 ? code : code - v;
    clips = clips || std::fabs(v) > 7;
    expected += dy.data<float>()[i] * slope;
    CHECK(y[static_cast<size_t>(i)] == Catch::Approx(code * s * dy.data<float>()[i]).margin(1e-6));
  }
  CHECK(clips);
  const std::vector<Tensor> found = gradients(graph, inputs);
  CHECK(*found[0].data<float>() == Catch::Approx(expected / std::sqrt(30.0 * 7)).epsilon(1e-4));
  // The weight's passes within the codes; gamma of 0 lets none through.
  const float* dw = found[1].data<float>();
  for (int64_t i = 0; i < 30; ++i) {
    const float folded = a[i / 10] * w.data<float>()[i];
    const bool within = std::fabs(folded / s) <= 7;
    CHECK(dw[i] == Catch::Approx(within ? a[i / 10] * dy.data<float>()[i] : 0).margin(1e-7));
  }
}

TEST_CASE("a training step takes the learned scale of a folded weight through its magnitude") {
  Graph graph = prepared("lsq", 8);
  specialize(graph, Specialization{Mode::kTrain});
  const Node& quantizer = producerOf(graph, "w/fake_quantize");
  const Node& scales = *quantizer.input(1)->producer();
  REQUIRE(scales.opType() == "FoldedWeightScale");
  CHECK(scales.input(4)->producer()->opType() == "Min");
  CHECK_THAT(linesWith(graph, "Abs("), ContainsSubstring("%w/folded_scale"));
}

}  // namespace
}  // namespace simaqat
