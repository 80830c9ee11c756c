// Cross-layer equalization keeps what the model computes, and makes ranges equal.
#include "qat/passes/equalize.h"

#include <cmath>

#include "tests/catch.h"
#include "tests/passes/graphs.h"

using namespace simaqat;

namespace {

const float* valuesOf(const Graph& graph, const std::string& name) {
  return graph.findVariable(name)->value.data<float>();
}

void checkSameOutputs(const Graph& before, const Graph& after, const std::vector<Tensor>& inputs) {
  const std::vector<float> x = run(before, inputs)[0].toVector<float>();
  const std::vector<float> y = run(after, inputs)[0].toVector<float>();
  REQUIRE(x.size() == y.size());
  for (size_t i = 0; i < x.size(); ++i) {
    CHECK(y[i] == Catch::Approx(x[i]).epsilon(1e-4).margin(1e-4));
  }
}

}  // namespace

TEST_CASE("two convolutions with a depthwise one between") {
  Graph graph = parse(R"(
    input %x : float[N, 3, 6, 6]
    weight %w1 : float[4, 3, 1, 1] = [...]
    weight %b1 : float[4] = [...]
    weight %w2 : float[4, 1, 3, 3] = [...]
    weight %w3 : float[5, 4, 1, 1] = [...]
    %a = Conv(%x, %w1, %b1)
    %r = Relu(%a)
    %d = Conv(%r, %w2) {group = 4}
    %s = Relu(%d)
    %y = Conv(%s, %w3)
    output y = %y)");
  randomizeVariables(graph, 3);
  // A channel a thousand times as wide as the others.
  float* w1 = graph.findVariable("w1")->value.mutableData<float>();
  for (int i = 0; i < 3; ++i) w1[i] *= 1000;
  const Graph before = graph.clone();
  CHECK(equalizeLayers(graph) == 2);
  checkSameOutputs(before, graph, {randomTensor({4, 3, 6, 6}, 1)});
  for (size_t c = 0; c < 4; ++c) {
    double ranges[3] = {};
    for (size_t i = 0; i < 3; ++i) {
      ranges[0] = std::max<double>(ranges[0], std::fabs(valuesOf(graph, "w1")[c * 3 + i]));
    }
    for (size_t i = 0; i < 9; ++i) {
      ranges[1] = std::max<double>(ranges[1], std::fabs(valuesOf(graph, "w2")[c * 9 + i]));
    }
    for (size_t o = 0; o < 5; ++o) {
      ranges[2] = std::max<double>(ranges[2], std::fabs(valuesOf(graph, "w3")[o * 4 + c]));
    }
    CHECK(ranges[0] == Catch::Approx(ranges[1]).epsilon(0.01));
    CHECK(ranges[1] == Catch::Approx(ranges[2]).epsilon(0.01));
  }
}

TEST_CASE("BatchNormalization takes the factors, and Gemm its inputs' ones") {
  Graph graph = parse(R"(
    input %x : float[N, 3]
    weight %w1 : float[3, 4] = [...]
    weight %gamma : float[4] = [...]
    weight %beta : float[4] = [...]
    batch_norm_statistic %mean : float[4] = [0.5, -1, 2, 0]
    batch_norm_statistic %var : float[4] = [1, 4, 0.25, 9]
    weight %w2 : float[2, 4] = [...]
    %a = Gemm(%x, %w1)
    %n = BatchNormalization(%a, %gamma, %beta, %mean, %var)
    %r = Relu(%n)
    %y = Gemm(%r, %w2) {transB = 1}
    output y = %y)");
  randomizeVariables(graph, 5);
  graph.findVariable("gamma")->value.mutableData<float>()[1] *= -50;
  const std::vector<float> w1(valuesOf(graph, "w1"), valuesOf(graph, "w1") + 12);
  const Graph before = graph.clone();
  CHECK(equalizeLayers(graph) == 1);
  checkSameOutputs(before, graph, {randomTensor({4, 3}, 1)});
  CHECK(std::vector<float>(valuesOf(graph, "w1"), valuesOf(graph, "w1") + 12) == w1);
  CHECK(valuesOf(graph, "gamma")[1] != valuesOf(before, "gamma")[1]);
}

TEST_CASE("what is no pair stays") {
  for (const char* between :
       {"%r = Clip(%a, %lo, %hi)", "%r = Sigmoid(%a)", "%r = Relu(%a)\n%z = Neg(%r)\noutput z = %z"}) {
    Graph graph = parse(R"(
      input %x : float[N, 3, 4, 4]
      weight %w1 : float[4, 3, 1, 1] = [...]
      weight %w2 : float[2, 4, 1, 1] = [...]
      constant %lo : float[] = [0]
      constant %hi : float[] = [6]
      %a = Conv(%x, %w1)
      )" + std::string(between) + R"(
      %y = Conv(%r, %w2)
      output y = %y)");
    randomizeVariables(graph, 7);
    const std::string text = linesWith(graph, "weight");
    CHECK(equalizeLayers(graph) == 0);
    CHECK(linesWith(graph, "weight") == text);
  }
}

TEST_CASE("a bias with a dimension in front is scaled by its channels") {
  Graph graph = parse(R"(
    input %x : float[N, 5]
    weight %w : float[5, 4] = [...]
    weight %b : float[1, 4] = [...]
    weight %w2 : float[4, 3] = [...]
    %h = Gemm(%x, %w, %b) {beta = 2.0}
    %r = Relu(%h)
    %y = Gemm(%r, %w2)
    output y = %y)");
  randomizeVariables(graph, 3);
  const Graph before = graph.clone();
  CHECK(equalizeLayers(graph) == 1);
  checkSameOutputs(before, graph, {randomTensor({4, 5}, 1)});
}

TEST_CASE("parameters with another use, and layers that add the value, are left alone") {
  for (const std::string tail :
       {"%y = Gemm(%r, %w2)\noutput y = %y\noutput b = %b", "%y = Gemm(%r, %w2)\noutput y = %y\noutput w = %w",
        "%y = Gemm(%r, %w2)\noutput y = %y\noutput w2 = %w2", "%y = Gemm(%z, %w2, %r)\noutput y = %y"}) {
    INFO(tail);
    Graph graph = parse(R"(
      input %x : float[4, 4]
      input %z : float[4, 4]
      weight %w : float[4, 4] = [...]
      weight %b : float[4] = [...]
      weight %w2 : float[4, 4] = [...]
      %h = Gemm(%x, %w, %b)
      %r = Relu(%h)
      )" + tail);
    randomizeVariables(graph, 3);
    CHECK(equalizeLayers(graph) == 0);
  }
}
