#include "qat/passes/saturation_masks.h"

#include <algorithm>
#include <cmath>

#include "qat/passes/fuse_pointwise.h"
#include "qat/passes/simplify.h"
#include "qat/passes/store_codes.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

// %v from %x, quantized, and the gradient %g behind the quantizer.
std::string step(const std::string& v, const std::string& g, const std::string& quantizer) {
  return R"(
    input %x : float[17, 9, 181]
    input %d : float[17, 9, 181]
    input %scale : float[]
    constant %zero : float[] = [3]
    )" + v +
         R"(
    %q = simaqat::FakeQuantize(%v, %scale, %zero) {)" +
         quantizer + R"(}
    %e = simaqat::FakeQuantizeGradient(%d, %v, %scale, %zero) {)" +
         quantizer + "}\n" + g + R"(
    output q = %q
    output g = %g)";
}

constexpr const char* kObserved = "qmin = 0, qmax = 15";
constexpr const char* kLearned = "qmin = 0, qmax = 15, observer = \"lsq\"";

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](float x, float y) { return x == y || (std::isnan(x) && std::isnan(y)); });
}

// x has multiples of half a step, where codes change.
void check(const std::string& text, bool is_masked, bool fuses) {
  INFO(text << fuses);
  const Graph graph = parse(text);
  Graph after = graph.clone();
  storeCodes(after);
  keepSaturationMasks(after);
  if (fuses) fusePointwise(after);
  removeDeadCode(after);
  CHECK((countNodes(after, "simaqat::FakeQuantizeGradient") == 0) == is_masked);
  for (const uint64_t seed : {1, 4}) {
    Tensor x = randomTensor({17, 9, 181}, seed);
    float* data = x.mutableData<float>();
    for (int64_t i = 0; i < x.size(); i += 3) data[i] = std::nearbyint(data[i] * 20) / 20;
    data[7] = std::numeric_limits<float>::infinity();
    data[8] = -data[7];
    if (seed == 4) data[11] = std::nanf("");
    for (const float scale : {0.05f, 2.0f}) {
      const std::vector<Tensor> inputs = {x, randomTensor({17, 9, 181}, 10 + seed),
                                          Tensor::scalar(scale)};
      // With a NaN all that is computed from the codes is NaN: then the gradients alone.
      const size_t first = seed == 4 ? 1 : 0;
      const std::vector<Tensor> expected = run(graph, inputs), got = run(after, inputs);
      for (size_t i = first; i < expected.size(); ++i) {
        CHECK(same(got[i].toVector<float>(), expected[i].toVector<float>()));
      }
    }
  }
}

}  // namespace

TEST_CASE("gradients of quantizers pass by masks, bit for bit") {
  for (const char* quantizer : {kObserved, kLearned}) {
    for (const bool fuses : {false, true}) {
      check(step("%v = Neg(%x)", "%g = Neg(%e)", quantizer), true, fuses);
      // Of what is stored anyway, and with more than one gradient.
      check(step("%v = Transpose(%x) {perm = [0, 1, 2]}", "%g = Identity(%e)", quantizer), true,
            fuses);
      check(step("%v = Neg(%x)",
                 "%f = simaqat::FakeQuantizeGradient(%e, %v, %scale, %zero) {" +
                     std::string(quantizer) + "}\n%g = Mul(%f, %d)",
                 quantizer),
            true, fuses);
    }
  }
}

TEST_CASE("BatchNormalization's gradient reads masks wherever a channel begins") {
  const std::string constants = R"(
    constant %ones : float[9] = [1, ...]
    constant %zeros : float[9] = [0, ...])";
  check(constants +
            step("%v = Abs(%x)",
                 "%g, %dg, %db = simaqat::BatchNormTrainingGradient(%e, %x, %ones, %zeros, %ones)",
                 kObserved),
        true, true);
}

TEST_CASE("a mask spares x from living until backward") {
  Graph graph = parse(step("%v = Softmax(%x)", "%g = Neg(%e)", kObserved));
  storeCodes(graph);
  keepSaturationMasks(graph);
  removeDeadCode(graph);
  const Value* mask = producerOf(graph, "g").input(0)->producer()->input(1);
  CHECK(mask->producer()->op().name == "Quantize");
  CHECK(mask->type.element == ElementType::kBit);
  CHECK(mask->type.bytes() == (17 * 9 * 181 + 7) / 8);
}

TEST_CASE("a value that backward needs anyway decides by itself") {
  check(step("%v = Relu(%x)", "%g = simaqat::ReluGradient(%e, %v)", kObserved), false, false);
  // Another quantizer's gradient.
  check(step("%v = Neg(%x)",
             "%f = simaqat::FakeQuantizeGradient(%d, %v, %scale, %zero) {qmin = 0, qmax = 7}\n"
             "%g = Add(%e, %f)",
             kObserved),
        false, false);
}

TEST_CASE("the gradient of a weight whose scale follows it passes as it is") {
  Graph graph = parse(R"(
    weight %w : float[4, 30] = [0.5, ...]
    input %d : float[4, 30]
    constant %zero : float[4, 1] = [0, 0, 0, 0]
    %s = simaqat::WeightScale(%w) {qmin = -127, qmax = 127, axis = 0, is_weight = 1, observer = "channel_max"}
    %g = simaqat::FakeQuantizeGradient(%d, %w, %s, %zero) {qmin = -127, qmax = 127, axis = 0, is_weight = 1, observer = "channel_max"}
    %n = Neg(%g)
    output n = %n)");
  randomizeVariables(graph, 3);
  const Tensor d = randomTensor({4, 30}, 1);
  const std::vector<float> expected = run(graph, {d})[0].toVector<float>();
  keepSaturationMasks(graph);
  removeDeadCode(graph);
  CHECK(graph.nodes().size() == 1);
  CHECK(run(graph, {d})[0].toVector<float>() == expected);
}

TEST_CASE("codes that do not reach as far below zero saturate") {
  for (const char* codes : {"qmin = -1, qmax = 127", "qmin = -127, qmax = 127"}) {
    const std::string spec =
        std::string(codes) + ", axis = 0, is_weight = 1, observer = \"channel_max\"";
    Graph graph = parse(R"(
    weight %w : float[4, 30] = [0.5, ...]
    input %d : float[4, 30]
    constant %zero : float[4, 1] = [0, 5, 0, 0]
    %s = simaqat::WeightScale(%w) {)" +
                        spec + R"(}
    %g = simaqat::FakeQuantizeGradient(%d, %w, %s, %zero) {)" +
                        spec + R"(}
    output g = %g)");
    keepSaturationMasks(graph);
    CHECK(countNodes(graph, "simaqat::FakeQuantizeGradient") == 1);
  }
}

}  // namespace simaqat
