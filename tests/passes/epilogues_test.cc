#include "qat/passes/epilogues.h"

#include <cmath>

#include "qat/passes/integer_products.h"
#include "qat/passes/scaffold.h"
#include "qat/passes/simplify.h"
#include "qat/passes/split_batch_norms.h"
#include "qat/passes/store_codes.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

// Two convolutions of quantized values, `between` them.
Graph convolutions(const std::string& between) {
  Graph graph = parse(R"(
    input %x : float[3, 4, 9, 9]
    input %other : float[3, 8, 9, 9]
    constant %low : float[] = [0.05]
    constant %high : float[] = [0.4]
    weight %w1 : float[8, 4, 3, 3] = [1, ...]
    weight %b1 : float[8] = [0, ...]
    weight %w2 : float[5, 8, 1, 1] = [1, ...]
    %c = Conv(%x, %w1, %b1) {pads = [1, 1, 1, 1]}
    )" + between + R"(
    %y = Conv(%v, %w2)
    output y = %y)");
  randomizeVariables(graph, 5);
  scaffold(graph, {});
  calibrate(graph, {randomTensor({3, 4, 9, 9}, 1), randomTensor({3, 8, 9, 9}, 2)});
  Graph evaluated = evaluationOf(graph);
  storeCodes(evaluated);
  useIntegerProducts(evaluated);
  removeDeadCode(evaluated);
  return evaluated;
}

void check(const std::string& between, size_t first_fused) {
  INFO(between);
  const Graph before = convolutions(between);
  Graph after = before.clone();
  useEpilogues(after);
  removeDeadCode(after);
  // The last one's result is an output, and quantized alone.
  CHECK(countNodes(after, "simaqat::QuantizingConv") == first_fused + 1);
  const std::vector<Tensor> inputs = {randomTensor({3, 4, 9, 9}, 3), randomTensor({3, 8, 9, 9}, 4)};
  CHECK(run(after, inputs)[0].identical(run(before, inputs)[0]));
}

}  // namespace

TEST_CASE("a convolution whose result is only quantized does that itself") {
  check("%v = Relu(%c)", 1);
  check("%v = Clip(%c, %low, %high)", 1);
  check("%v = Clip(%c, %low)", 1);
  check("%v = MaxPool(%c) {kernel_shape = [1, 1]}", 1);
  check("%s = Sigmoid(%c)\n %v = Mul(%s, %other)", 1);
  check("%v = Add(%c, %other)", 1);
}

TEST_CASE("a convolution sums up for the BatchNormalization behind it") {
  for (const std::string conv :
       {"%w : float[6, 4, 3, 3] = [1, ...]", "%w : float[4, 1, 3, 3] = [1, ...]"}) {
    const bool is_depthwise = conv.find("[4, 1") != std::string::npos;
    const std::string channels = is_depthwise ? "4" : "6";
    Graph graph = parse(R"(
      input %x : float[3, 4, 9, 9]
      constant %xs : float[] = [0.02]
      constant %xz : float[] = [128]
      constant %gamma : float[)" +
                        channels + R"(] = [1, ...]
      constant %beta : float[)" +
                        channels + R"(] = [0.5, ...]
      constant %mean : float[)" +
                        channels + R"(] = [0, ...]
      constant %var : float[)" +
                        channels + R"(] = [1, ...]
      weight )" + conv + R"(
      %f = simaqat::FakeQuantize(%x, %xs, %xz) {qmin = 0, qmax = 255}
      %s = simaqat::WeightScale(%w) {qmin = -127, qmax = 127, axis = 0, is_weight = 1, observer = "channel_max"}
      %z = Sub(%s, %s)
      %q = simaqat::FakeQuantize(%w, %s, %z) {qmin = -127, qmax = 127, axis = 0, is_weight = 1, observer = "channel_max"}
      %c = Conv(%f, %q) {pads = [1, 1, 1, 1], group = )" +
                        (is_depthwise ? "4" : "1") + R"(}
      %y, %rm, %rv, %m, %i = simaqat::BatchNormTraining(%c, %gamma, %beta, %mean, %var)
      output y = %y
      output c = %c
      output rm = %rm
      output rv = %rv)");
    randomizeVariables(graph, 7);
    storeCodes(graph);
    useIntegerProducts(graph);
    splitBatchNorms(graph);
    removeDeadCode(graph);
    REQUIRE(countNodes(graph, "simaqat::QuantizedConv") == 1);
    Graph after = graph.clone();
    useEpilogues(after);
    removeDeadCode(after);
    for (const auto& node : after.nodes()) {
      if (node->op().name == "BatchNormStatistics") CHECK(node->inputCount() == 6);
    }
    const std::vector<Tensor> inputs = {randomTensor({3, 4, 9, 9}, 3)};
    const std::vector<Tensor> expected = run(graph, inputs), got = run(after, inputs);
    for (size_t k = 0; k < expected.size(); ++k) {
      const std::vector<float> a = expected[k].toVector<float>(), b = got[k].toVector<float>();
      for (size_t i = 0; i < a.size(); ++i) {
        CHECK(std::fabs(a[i] - b[i]) <= 2e-6f * (1 + std::fabs(a[i])));
      }
    }
  }
}

TEST_CASE("a BatchNormalization whose result is only quantized does that itself") {
  const auto graph_with = [](const std::string& between) {
    Graph graph = parse(R"(
      input %x : float[3, 4, 9, 9]
      constant %scale : float[] = [0.02]
      constant %zero : float[] = [3]
      constant %low : float[] = [0.05]
      constant %high : float[] = [0.4]
      weight %gamma : float[4] = [1, ...]
      weight %beta : float[4] = [0.5, ...]
      weight %mean : float[4] = [0, ...]
      weight %var : float[4] = [1, ...]
      %b, %rm, %rv, %m, %i = simaqat::BatchNormTraining(%x, %gamma, %beta, %mean, %var)
      )" + between + R"(
      %codes, %s = simaqat::Quantize(%v, %scale, %zero) {qmin = 0, qmax = 255}
      output codes = %codes
      output s = %s
      output rm = %rm)");
    randomizeVariables(graph, 7);
    splitBatchNorms(graph);
    return graph;
  };
  const auto check_fused = [&](const std::string& between, size_t fused) {
    INFO(between);
    const Graph before = graph_with(between);
    Graph after = before.clone();
    useEpilogues(after);
    removeDeadCode(after);
    CHECK(countNodes(after, "simaqat::NormalizeQuantize") == fused);
    Tensor x = randomTensor({3, 4, 9, 9}, 3);
    const std::vector<Tensor> expected = run(before, {x}), got = run(after, {x});
    for (size_t k = 0; k < expected.size(); ++k) CHECK(got[k].identical(expected[k]));
    // The scale tells of a NaN.
    x.mutableData<float>()[100] = std::nanf("");
    CHECK(std::isnan(*run(after, {x})[expected.size() - 2].data<float>()));
  };
  check_fused("%v = Relu(%b)", 1);
  check_fused("%v = Clip(%b, %low, %high)", 1);
  check_fused("%v = Identity(%b)\n output b = %b", 0);
  check_fused("%v = Sigmoid(%b)", 0);
  check_fused("%v = Relu(%b)\n output v = %v", 0);
}

}  // namespace simaqat
