#include "qat/passes/quantized_pairs.h"

#include "qat/passes/finalize.h"
#include "qat/passes/scaffold.h"
#include "qat/passes/simplify.h"
#include "qat/train/step_graph.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

// As export leaves a network: a convolution, a MaxPool on its codes' grid, a depthwise convolution.
Graph finalized(const ScaffoldOptions& options) {
  Graph graph = parse(R"(
    input %x : float[4, 6, 9, 9]
    weight %w1 : float[8, 6, 3, 3] = [1, ...]
    weight %b1 : float[8] = [1, ...]
    weight %w2 : float[8, 1, 3, 3] = [1, ...]
    %c1 = Conv(%x, %w1, %b1) {pads = [1, 1, 1, 1]}
    %r1 = Relu(%c1)
    %p = MaxPool(%r1) {kernel_shape = [2, 2], strides = [2, 2]}
    %y = Conv(%p, %w2) {group = 8}
    output y = %y)");
  randomizeVariables(graph, 5);
  scaffold(graph, options);
  calibrate(graph, {randomTensor({4, 6, 9, 9}, 3)});
  finalize(graph);
  return graph;
}

TEST_CASE("pairs and stored weights become FakeQuantize, with the same values") {
  const Graph before = finalized({});
  Graph graph = before.clone();
  pairsToFakeQuantize(graph);
  removeDeadCode(graph);
  CHECK(countNodes(graph, "QuantizeLinear") == 0);
  // The INT32 bias stays.
  CHECK(countNodes(graph, "DequantizeLinear") == 2);
  // Of x, r1 and y, and of two weights: MaxPool's result is on its input's grid.
  CHECK(countNodes(graph, "simaqat::FakeQuantize") == 5);
  const Tensor x = randomTensor({4, 6, 9, 9}, 7);
  CHECK(run(graph, {x})[0].identical(run(before, {x})[0]));
}

TEST_CASE("evaluation of a finalized file multiplies codes") {
  const Graph evaluated = buildInference(finalized({}), Mode::kEvaluate, 4, {});
  CHECK(countNodes(evaluated, "simaqat::QuantizingConv") == 2);
  CHECK(countNodes(evaluated, "QuantizeLinear") == 0);
}

TEST_CASE("weights with one scale multiply codes too") {
  ScaffoldOptions options;
  options.weight.per_channel = false;
  const Graph before = finalized(options);
  const Graph evaluated = buildInference(before.clone(), Mode::kEvaluate, 4, {});
  CHECK(countNodes(evaluated, "simaqat::QuantizingConv") == 2);
  Graph graph = before.clone();
  pairsToFakeQuantize(graph);
  const Tensor x = randomTensor({4, 6, 9, 9}, 7);
  CHECK(run(graph, {x})[0].identical(run(before, {x})[0]));
}

TEST_CASE("a stored number is no weight") {
  Graph graph = parse(R"(
    input %x : float[4]
    constant %codes : int8[] = [3]
    constant %scale : float[] = [0.5]
    %w = DequantizeLinear(%codes, %scale) {axis = 0}
    %y = Mul(%x, %w)
    output y = %y)");
  pairsToFakeQuantize(graph);
  CHECK(countNodes(graph, "DequantizeLinear") == 1);
}

TEST_CASE("signed codes, and pairs whose parameters differ, stay as they are") {
  ScaffoldOptions options;
  options.activation.is_signed = true;
  Graph graph = finalized(options);
  const size_t pairs = countNodes(graph, "QuantizeLinear");
  pairsToFakeQuantize(graph);
  CHECK(countNodes(graph, "QuantizeLinear") == pairs);

  Graph other = parse(R"(
    input %x : float[4]
    constant %s : float[] = [0.5]
    constant %t : float[] = [0.25]
    constant %z : uint8[] = [3]
    %q = QuantizeLinear(%x, %s, %z)
    %y = DequantizeLinear(%q, %t, %z)
    output y = %y)");
  pairsToFakeQuantize(other);
  CHECK(countNodes(other, "QuantizeLinear") == 1);
}

}  // namespace
}  // namespace simaqat
