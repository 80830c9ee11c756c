#include "qat/passes/integer_products.h"

#include <cmath>
#include <string>

#include "qat/passes/finalize.h"
#include "qat/passes/scaffold.h"
#include "qat/passes/store_codes.h"
#include "qat/train/step_graph.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"
#include "tests/passes/round_biases.h"

namespace simaqat {
namespace {

constexpr char kNetwork[] = R"(
  input %x : float[4, 6, 9, 9]
  weight %w1 : float[8, 6, 3, 3] = [1, ...]
  weight %b1 : float[8] = [1, ...]
  weight %w2 : float[8, 1, 3, 3] = [1, ...]
  weight %w3 : float[5, 8, 1, 1] = [1, ...]
  %c1 = Conv(%x, %w1, %b1) {pads = [1, 1, 1, 1]}
  %r1 = Relu(%c1)
  %p = MaxPool(%r1) {kernel_shape = [2, 2], strides = [2, 2]}
  %c2 = Conv(%p, %w2) {group = 8}
  %y = Conv(%c2, %w3)
  output y = %y)";

Graph scaffolded(const Tensor& x, const std::string& network = kNetwork) {
  Graph graph = parse(network);
  randomizeVariables(graph, 5);
  scaffold(graph, {});
  calibrate(graph, {x});
  return graph;
}

TEST_CASE("convolutions of quantized values multiply codes") {
  const Tensor x = randomTensor({4, 6, 9, 9}, 3);
  const Graph stored = scaffolded(x);
  Graph graph = evaluationOf(stored);
  roundBiases(graph);
  const std::vector<Tensor> before = run(graph, {x});
  storeCodes(graph);
  useIntegerProducts(graph);
  CHECK(countNodes(graph, "simaqat::QuantizedConv") == 3);
  // Behind MaxPool, which only picks values, the codes are those of the Relu's quantizer.
  const std::vector<Tensor> after = run(graph, {x});
  const std::vector<float> a = before[0].toVector<float>();
  const std::vector<float> b = after[0].toVector<float>();
  const float step = *stored.findVariable("y/scale")->value.data<float>();
  size_t equal = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    // A sum that lies within float's rounding of a tie may fall either way.
    CHECK(std::fabs(a[i] - b[i]) <= 1.001f * step);
    equal += a[i] == b[i];
  }
  CHECK(equal >= a.size() * 99 / 100);
  // Evaluation as eval runs it.
  const Graph evaluated = buildInference(stored.clone(), Mode::kEvaluate, 4, {});
  CHECK(countNodes(evaluated, "simaqat::QuantizingConv") == 3);
  const std::vector<Tensor> as_run = run(evaluated, {x});
  CHECK(as_run[0].identical(after[0]));
}

TEST_CASE("products of quantized matrices multiply codes") {
  const Graph source = parse(R"(
    input %x : float[6, 10, 20]
    weight %w1 : float[20, 12] = [1, ...]
    weight %b1 : float[12] = [0.1, ...]
    weight %w2 : float[7, 120] = [1, ...]
    weight %b2 : float[7] = [0.1, ...]
    constant %rows : int64[2] = [6, 120]
    %m = MatMul(%x, %w1)
    %a = Add(%m, %b1)
    %r = Relu(%a)
    %f = Reshape(%r, %rows)
    %y = Gemm(%f, %w2, %b2) {transB = 1}
    output y = %y)");
  const Tensor x = randomTensor({6, 10, 20}, 3);
  Graph stored = source.clone();
  randomizeVariables(stored, 5);
  scaffold(stored, {});
  calibrate(stored, {x});
  Graph graph = evaluationOf(stored);
  roundBiases(graph);
  const std::vector<float> before = run(graph, {x})[0].toVector<float>();
  storeCodes(graph);
  useIntegerProducts(graph);
  CHECK(countNodes(graph, "simaqat::QuantizedGemm") == 2);
  const std::vector<float> after = run(graph, {x})[0].toVector<float>();
  const float step = *stored.findVariable("y/scale")->value.data<float>();
  for (size_t i = 0; i < before.size(); ++i)
    CHECK(std::fabs(before[i] - after[i]) <= 1.001f * step);
  // As eval runs the scaffolded model, and the file that ships.
  const Graph evaluated = buildInference(stored.clone(), Mode::kEvaluate, 6, {});
  CHECK(countNodes(evaluated, "simaqat::QuantizedGemm") == 2);
  Graph finalized = stored.clone();
  finalize(finalized);
  const Graph exported = buildInference(std::move(finalized), Mode::kEvaluate, 6, {});
  CHECK(countNodes(exported, "simaqat::QuantizedGemm") == 2);
  CHECK(run(exported, {x})[0].identical(run(evaluated, {x})[0]));
}

TEST_CASE("products with something else than one number a column stay") {
  for (const std::string product : {"Gemm(%x, %w, %c)", "Gemm(%x, %w, %xs)",
                                    "Gemm(%x, %w) {alpha = 0.5}", "Gemm(%x, %w) {transA = 1}"}) {
    Graph graph = parse(R"(
      input %q : float[8, 8]
      constant %c : float[8, 1] = [1, ...]
      constant %xs : float[] = [0.02]
      constant %xz : float[] = [128]
      constant %ws : float[8] = [0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01]
      constant %wz : float[8] = [0, ...]
      weight %v : float[8, 8] = [1, ...]
      %x = simaqat::FakeQuantize(%q, %xs, %xz) {qmin = 0, qmax = 255}
      %w = simaqat::FakeQuantize(%v, %ws, %wz) {qmin = -127, qmax = 127, axis = 1, is_weight = 1, observer = "channel_max"}
      %y = )" + product +
                        "\n output y = %y");
    storeCodes(graph);
    useIntegerProducts(graph);
    CHECK(countNodes(graph, "simaqat::QuantizedGemm") == 0);
  }
}

TEST_CASE("a batch that is not known yet hides no convolution") {
  std::string network = kNetwork;
  network.replace(network.find("[4,"), 3, "[N,");
  Graph graph = scaffolded(randomTensor({4, 6, 9, 9}, 3), network);
  const Graph evaluated = buildInference(std::move(graph), Mode::kEvaluate, 4, {});
  CHECK(countNodes(evaluated, "simaqat::QuantizingConv") == 3);
}

TEST_CASE("float operands, and what moves values off the grid, stay") {
  Graph plain = parse(kNetwork);
  storeCodes(plain);
  useIntegerProducts(plain);
  CHECK(countNodes(plain, "simaqat::QuantizedConv") == 0);

  Graph padded = parse(R"(
    input %x : float[4, 6, 9]
    constant %pads : int64[6] = [0, 0, 1, 0, 0, 1]
    constant %one : float[] = [1]
    weight %w : float[8, 6, 3] = [1, ...]
    %p = Pad(%x, %pads, %one)
    %y = Conv(%p, %w)
    output y = %y)");
  scaffold(padded, {});
  // 1 need not be on the grid of x, so the Pad's output has a quantizer of its own.
  CHECK(countNodes(padded, "simaqat::FakeQuantize") == 4);
}

}  // namespace
}  // namespace simaqat
