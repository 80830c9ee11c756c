#include "qat/passes/conv_gradients.h"

#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

// Both gradients of a convolution of x, 4 channels, to 8.
Graph gradientsOfConv(const std::string& x, const std::string& w = "%w",
                      const std::string& attributes = "") {
  return parse(R"(
    input %x : float[3, 4, 5, 5]
    input %dy : float[3, 8, 5, 5]
    input %other : float[3, 8, 5, 5]
    constant %scale : float[] = [0.02]
    constant %zero : float[] = [128]
    constant %ws : float[8] = [0.01, ...]
    weight %w : float[8, 4, 1, 1] = [1, ...]
    %codes, %s = simaqat::Quantize(%x, %scale, %zero) {qmin = 0, qmax = 255}
    %dx = simaqat::ConvInputGradient(%dy, )" +
               w + R"() {shape = [3, 4, 5, 5])" + attributes + R"(}
    %dw = simaqat::ConvWeightGradient()" +
               x + R"() {shape = [8, 4, 1, 1])" + attributes + R"(}
    output dx = %dx
    output dw = %dw)");
}

void checkResults(const Graph& before, const Graph& after, const std::vector<Tensor>& inputs) {
  const std::vector<Tensor> expected = run(before, inputs), got = run(after, inputs);
  for (size_t i = 0; i < expected.size(); ++i) CHECK(got[i].identical(expected[i]));
}

void check(const Graph& before, size_t joined) {
  Graph after = before.clone();
  joinConvGradients(after);
  CHECK(countNodes(after, "simaqat::ConvGradients") == joined);
  CHECK(countNodes(after, "simaqat::ConvInputGradient") == 1 - joined);
  CHECK(countNodes(after, "simaqat::ConvWeightGradient") == 1 - joined);
  const std::vector<Tensor> inputs = {randomTensor({3, 4, 5, 5}, 1), randomTensor({3, 8, 5, 5}, 2),
                                      randomTensor({3, 8, 5, 5}, 3)};
  checkResults(before, after, inputs);
}

}  // namespace

TEST_CASE("both gradients of a 1x1 convolution are one node, with the same numbers") {
  for (uint64_t seed : {1, 2}) {
    Graph floats = gradientsOfConv("%x, %dy");
    randomizeVariables(floats, seed);
    check(floats, 1);
    Graph rounded = gradientsOfConv("%x, %dy", "%w", ", bfloat16 = 1");
    randomizeVariables(rounded, seed);
    check(rounded, 1);
    Graph codes = gradientsOfConv("%codes, %dy, %s, %zero", "%w, %ws", ", pads = [0, 0, 0, 0]");
    randomizeVariables(codes, seed);
    check(codes, 1);
  }
}

TEST_CASE("gradients that have not the same dy, or little to share, stay two nodes") {
  check(gradientsOfConv("%x, %other"), 0);
  // 3x3, and 1x1 to fewer channels.
  check(parse(R"(
    input %x : float[3, 4, 5, 5]
    input %dy : float[3, 8, 5, 5]
    input %other : float[3, 8, 5, 5]
    weight %w : float[8, 4, 3, 3] = [1, ...]
    %dx = simaqat::ConvInputGradient(%dy, %w) {shape = [3, 4, 5, 5], pads = [1, 1, 1, 1]}
    %dw = simaqat::ConvWeightGradient(%x, %dy) {shape = [8, 4, 3, 3], pads = [1, 1, 1, 1]}
    output dx = %dx
    output dw = %dw)"),
        0);
  check(parse(R"(
    input %y : float[3, 4, 5, 5]
    input %x : float[3, 8, 5, 5]
    input %other : float[3, 8, 5, 5]
    weight %w : float[4, 8, 1, 1] = [1, ...]
    %dx = simaqat::ConvInputGradient(%y, %w) {shape = [3, 8, 5, 5]}
    %dw = simaqat::ConvWeightGradient(%x, %y) {shape = [4, 8, 1, 1]}
    output dx = %dx
    output dw = %dw)"),
        0);
}

TEST_CASE("a weight's gradient that others need before stays where it is") {
  // Two convolutions whose results are added have the same dy; the first one's x has no gradient.
  const Graph graph = parse(R"(
    input %x : float[3, 4, 5, 5]
    input %dy : float[3, 8, 5, 5]
    input %other : float[3, 4, 5, 5]
    weight %w : float[8, 4, 1, 1] = [1, ...]
    %dw1 = simaqat::ConvWeightGradient(%other, %dy) {shape = [8, 4, 1, 1]}
    %used = Neg(%dw1)
    %dx = simaqat::ConvInputGradient(%dy, %w) {shape = [3, 4, 5, 5]}
    %late = Neg(%dx)
    %dw2 = simaqat::ConvWeightGradient(%late, %dy) {shape = [8, 4, 1, 1]}
    %dw3 = simaqat::ConvWeightGradient(%x, %dy) {shape = [8, 4, 1, 1]}
    output used = %used
    output dx = %dx
    output dw2 = %dw2
    output dw3 = %dw3)");
  Graph after = graph.clone();
  joinConvGradients(after);
  CHECK(countNodes(after, "simaqat::ConvGradients") == 1);
  CHECK(countNodes(after, "simaqat::ConvWeightGradient") == 2);
  const std::vector<Tensor> inputs = {randomTensor({3, 4, 5, 5}, 1), randomTensor({3, 8, 5, 5}, 2),
                                      randomTensor({3, 4, 5, 5}, 3)};
  checkResults(graph, after, inputs);
}

TEST_CASE("gradients of a convolution right behind another are joined, too") {
  const Graph graph = parse(R"(
    input %x1 : float[3, 4, 5, 5]
    input %x2 : float[3, 8, 5, 5]
    input %dy : float[3, 9, 5, 5]
    weight %w1 : float[8, 4, 1, 1] = [1, ...]
    weight %w2 : float[9, 8, 1, 1] = [1, ...]
    %dx2 = simaqat::ConvInputGradient(%dy, %w2) {shape = [3, 8, 5, 5]}
    %dw2 = simaqat::ConvWeightGradient(%x2, %dy) {shape = [9, 8, 1, 1]}
    %dx1 = simaqat::ConvInputGradient(%dx2, %w1) {shape = [3, 4, 5, 5]}
    %dw1 = simaqat::ConvWeightGradient(%x1, %dx2) {shape = [8, 4, 1, 1]}
    output dx1 = %dx1
    output dw1 = %dw1
    output dw2 = %dw2)");
  Graph after = graph.clone();
  joinConvGradients(after);
  CHECK(countNodes(after, "simaqat::ConvGradients") == 2);
  const std::vector<Tensor> inputs = {randomTensor({3, 4, 5, 5}, 1), randomTensor({3, 8, 5, 5}, 2),
                                      randomTensor({3, 9, 5, 5}, 3)};
  checkResults(graph, after, inputs);
}

}  // namespace simaqat
