#include "qat/passes/finalize.h"

#include <cmath>

#include "qat/passes/scaffold.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;

// Scaffolded, calibrated on random inputs and finalized.
Graph finalized(const std::string& text, const ScaffoldOptions& options = {}) {
  Graph graph = parse(text);
  scaffold(graph, options);
  std::vector<Tensor> inputs;
  for (const Value* input : graph.inputs) {
    std::vector<int64_t> dims;
    for (const Dim& dim : *input->type.shape) dims.push_back(dim.known() ? dim.value : 4);
    inputs.push_back(randomTensor(dims, 3));
  }
  calibrate(graph, inputs);
  finalize(graph);
  linesWith(graph, "");  // verifies
  CHECK(graph.variables().empty());
  CHECK(countNodes(graph, "simaqat::FakeQuantize") == 0);
  return graph;
}

std::vector<int> codes(const Graph& graph, const std::string& name) {
  const Value* value = graph.findValue(name);
  SIMAQAT_CHECK(value != nullptr && value->isConstant(), "{}\n{}", name, toText(graph));
  return value->constant.toVector<int>();
}

std::vector<float> numbers(const Graph& graph, const std::string& name) {
  const Value* value = graph.findValue(name);
  SIMAQAT_CHECK(value != nullptr && value->isConstant(), "{}\n{}", name, toText(graph));
  return value->constant.toVector<float>();
}

std::string batchNorm(const std::string& gamma, const std::string& beta) {
  return R"(
    input %x : float[N, 2, 4]
    weight %w : float[3, 2, 1] = [1, -0.5, 127, 3, 0.1, -0.2]
    weight %bias : float[3] = [0.5, 1, -1]
    weight %g : float[3] = [)" + gamma + R"(]
    weight %b : float[3] = [)" + beta + R"(]
    batch_norm_statistic %m : float[3] = [0.5, 0, 1]
    batch_norm_statistic %v : float[3] = [3, 3, 3]
    %c = Conv(%x, %w, %bias)
    %n = BatchNormalization(%c, %g, %b, %m, %v) {epsilon = 1.0}
    %y = Relu(%n)
    output y = %y)";
}

// Folding a bias takes one number for each channel.
TEST_CASE("a weight whose node adds something else stays float") {
  for (const std::string addend :
       {"weight %c : float[4, 3] = [...]", "input %b : float[3]\n %c = Abs(%b)",
        "input %c : float[4, 3]"}) {
    INFO(addend);
    const Graph graph = finalized("input %x : float[4, 5]\n" + addend + R"(
      weight %w : float[5, 3] = [1, ...]
      %y = Gemm(%x, %w, %c)
      output y = %y)");
    CHECK(graph.findValue("w")->constant.type() == ElementType::kFloat);
    CHECK(graph.findValue("w/quantized") == nullptr);
  }
  const Graph graph = finalized(R"(
    input %x : float[4, 5]
    weight %c : float[1, 3] = [...]
    weight %w : float[5, 3] = [1, ...]
    %y = Gemm(%x, %w, %c)
    output y = %y)");
  CHECK(graph.findValue("w/quantized")->constant.type() == ElementType::kInt8);
}

TEST_CASE("folding keeps W's own codes and flips them for a negative gamma") {
  const Graph graph = finalized(batchNorm("1, -4, 2", "0, 0, 0"));
  CHECK(codes(graph, "w/quantized") == std::vector<int>{127, -64, -127, -3, 64, -127});
  const std::vector<float> scales = numbers(graph, "w/quantized_scale");
  CHECK(scales[0] == Catch::Approx(1.0 / 127 / 2));
  CHECK(scales[1] == 2);
  CHECK(scales[2] == Catch::Approx(0.2 / 127));
  // b' = beta + (b - mean) * gamma / sqrt(var + eps)
  const float x_scale = numbers(graph, "x/quantize_scale")[0];
  const std::vector<int> bias = codes(graph, "bias/quantized");
  CHECK(bias[0] == 0);
  CHECK(bias[1] == std::nearbyint(-2 / (x_scale * 2)));
  CHECK(bias[2] == Catch::Approx(-2 / (x_scale * scales[2])).margin(1));
  const std::vector<float> bias_scales = numbers(graph, "bias/quantized_scale");
  for (size_t c = 0; c < 3; ++c) CHECK(bias_scales[c] == x_scale * scales[c]);
  // BatchNormalization and Relu are gone; one quantizer is behind the Conv.
  CHECK(countNodes(graph, "BatchNormalization") == 0);
  CHECK(countNodes(graph, "Relu") == 0);
  CHECK(graph.outputs[0].value->name() == "y");
  CHECK(countNodes(graph, "QuantizeLinear") == 2);
}

TEST_CASE("gamma 0 gives zero codes and the scale of the bias") {
  const Graph graph = finalized(batchNorm("0, 0, 1", "3, 0, 0"));
  const std::vector<int> w = codes(graph, "w/quantized");
  CHECK(std::vector<int>(w.begin(), w.begin() + 4) == std::vector<int>(4, 0));
  const float x_scale = numbers(graph, "x/quantize_scale")[0];
  const std::vector<float> scales = numbers(graph, "w/quantized_scale");
  CHECK(scales[0] == Catch::Approx(3 / (x_scale * 8388608.0)));
  CHECK(scales[1] == 1);
  CHECK(std::abs(codes(graph, "bias/quantized")[0] - 8388608) <= 1);
  CHECK(codes(graph, "bias/quantized")[1] == 0);
}

TEST_CASE("a bias that does not fit raises the scale") {
  const Graph graph = finalized(batchNorm("1e-15, 1, 1", "5, 0, 0"));
  const int bias = codes(graph, "bias/quantized")[0];
  CHECK(bias <= 1 << 30);
  CHECK(bias > (1 << 30) - 256);
  CHECK(static_cast<double>(bias) * numbers(graph, "bias/quantized_scale")[0] == Catch::Approx(5));
}

TEST_CASE("weights come out as one DequantizeLinear along the output channels") {
  const Graph graph = finalized(batchNorm("1, 1, 1", "0, 0, 0"));
  CHECK(linesWith(graph, "%w/dequantize :") ==
        "%w/dequantize : float[3, 2, 1] = DequantizeLinear(%w/quantized, %w/quantized_scale, "
        "%w/quantized_zero_point) {axis = 0} \"w/dequantize\"\n");
  CHECK(graph.findValue("w/quantized")->type.element == ElementType::kInt8);
  CHECK(graph.findValue("bias/quantized")->type.element == ElementType::kInt32);
  CHECK(numbers(graph, "w/quantized_zero_point") == std::vector<float>(3, 0));
}

TEST_CASE("Gemm is transposed, and its factors go into the constants") {
  const Graph graph = finalized(R"(
    input %x : float[N, 2]
    weight %w : float[2, 3] = [1, 10, 127, 0.5, 5, -1]
    weight %b : float[3] = [1, 2, 3]
    %y = Gemm(%x, %w, %b) {alpha = -2.0, beta = 0.5}
    output y = %y)");
  CHECK(linesWith(graph, "Gemm").find("{transB = 1}") != std::string::npos);
  CHECK(graph.findValue("w/quantized")->constant.dims() == std::vector<int64_t>{3, 2});
  CHECK(codes(graph, "w/quantized") == std::vector<int>{-127, -64, -127, -64, -127, 1});
  const std::vector<float> scales = numbers(graph, "w/quantized_scale");
  CHECK(scales[0] == Catch::Approx(2.0 / 127));
  CHECK(scales[2] == 2);
  const float x_scale = numbers(graph, "x/quantize_scale")[0];
  CHECK(codes(graph, "b/quantized")[2] == std::nearbyint(1.5 / (x_scale * 2)));
}

TEST_CASE("a MatMul with a BatchNormalization behind it becomes a Gemm with a bias") {
  const Graph graph = finalized(R"(
    input %x : float[N, 2]
    weight %w : float[2, 3] = [1, 10, 127, 0.5, 5, -1]
    weight %g : float[3] = [1, 1, 1]
    weight %b : float[3] = [1, 2, 3]
    batch_norm_statistic %m : float[3] = [0, 0, 0]
    batch_norm_statistic %v : float[3] = [1, 1, 1]
    %h = MatMul(%x, %w)
    %y = BatchNormalization(%h, %g, %b, %m, %v)
    output y = %y)");
  CHECK(countNodes(graph, "MatMul") == 0);
  CHECK(countNodes(graph, "BatchNormalization") == 0);
  REQUIRE(countNodes(graph, "Gemm") == 1);
  CHECK(linesWith(graph, "Gemm").find("{transB = 1} \"h\"") != std::string::npos);
}

TEST_CASE("a BatchNormalization behind a Concat becomes a depthwise Conv") {
  const Graph graph = finalized(R"(
    input %x : float[N, 2, 4]
    input %z : float[N, 1, 4]
    weight %g : float[3] = [1, -2, 0]
    weight %b : float[3] = [0, 0, 1]
    batch_norm_statistic %m : float[3] = [0, 0, 0]
    batch_norm_statistic %v : float[3] = [1, 1, 1]
    %c = Concat(%x, %z) {axis = 1}
    %n = BatchNormalization(%c, %g, %b, %m, %v) {epsilon = 0.0}
    %y = Relu(%n)
    output y = %y)");
  CHECK(countNodes(graph, "BatchNormalization") == 0);
  CHECK_THAT(linesWith(graph, "Conv("), ContainsSubstring("{group = 3, kernel_shape = [1]} \"n\""));
  CHECK(codes(graph, "n/weight/quantized") == std::vector<int>{127, -127, 0});
  CHECK(numbers(graph, "n/weight/quantized_scale")[1] == Catch::Approx(2.0 / 127));
}

TEST_CASE("an activation that does more than the quantizer stays") {
  const std::string text = R"(
    input %x : float[N, 2, 4]
    weight %w : float[2, 2, 1] = [1, 2, 3, 4]
    constant %lo : float[] = [0]
    constant %hi : float[] = [6]
    %c = Conv(%x, %w)
    %y = Clip(%c, %lo, %hi)
    output y = %y)";
  CHECK(countNodes(finalized(text), "Clip") == 0);
  // A bound that the scaffolding did not see.
  Graph graph = parse(text);
  scaffold(graph, {});
  calibrate(graph, {randomTensor({4, 2, 4}, 1)});
  graph.findValue("hi")->constant = Tensor::scalar(0.5f);
  finalize(graph);
  CHECK(countNodes(graph, "Clip") == 1);
}

TEST_CASE("a weight of granularity tensor ships with one scale, that of the folded weight") {
  ScaffoldOptions options;
  options.weight.per_channel = false;
  // a = gamma / sqrt(var + epsilon) is 0.5, -2 and 0.
  const Graph graph = finalized(batchNorm("1, -4, 0", "0, 0, 5"), options);
  // a W = [0.5, -0.25], [-254, -6], [0, 0]: its largest magnitude is 127 * 2.
  CHECK(numbers(graph, "w/quantized_scale") == std::vector<float>{2});
  CHECK(graph.findValue("w/quantized_scale")->type.rank() == 0);
  CHECK(codes(graph, "w/quantized") == std::vector<int>{0, 0, -127, -3, 0, 0});
  const float input_scale = numbers(graph, "x/quantize_scale")[0];
  CHECK(graph.findValue("bias/quantized_scale")->type.rank() == 0);
  CHECK(codes(graph, "bias/quantized")[2] == std::nearbyint(5 / (input_scale * 2)));
  // Without a BatchNormalization.
  const Graph plain = finalized(R"(
    input %x : float[N, 2, 4]
    weight %w : float[3, 2, 1] = [1, -0.5, 127, 3, 0.1, -0.2]
    %y = Conv(%x, %w)
    output y = %y)",
                                options);
  CHECK(numbers(plain, "w/quantized_scale") == std::vector<float>{1});
  // A channel of zeros asks for nothing.
  const Graph dead = finalized(R"(
    input %x : float[N, 2, 4]
    weight %w : float[3, 2, 1] = [0.0127, -0.005, 0, 0, 0.002, -0.001]
    %y = Conv(%x, %w)
    output y = %y)",
                               options);
  CHECK(numbers(dead, "w/quantized_scale")[0] == Catch::Approx(0.0001));
  CHECK(codes(dead, "w/quantized") == std::vector<int>{127, -50, 0, 0, 20, -10});
  CHECK(codes(plain, "w/quantized") == std::vector<int>{1, 0, 127, 3, 0, 0});
}

TEST_CASE("the folded weight of a ConvTranspose with groups, whose channels share an axis") {
  // Output channels 0 and 1 are of the inputs 0 and 1, channels 2 and 3 of the inputs 2 and 3.
  const std::string text = R"(
    input %x : float[N, 4, 3]
    weight %w : float[4, 2, 1] = [1, 2, 3, 4, 5, 6, 7, 8]
    weight %bias : float[4] = [1, 2, 3, 4]
    weight %g : float[4] = [2, -20, 0, 10]
    weight %b : float[4] = [1, 2, 3, 4]
    batch_norm_statistic %m : float[4] = [0, 0, 0, 0]
    batch_norm_statistic %v : float[4] = [3, 3, 3, 3]
    %c = ConvTranspose(%x, %w, %bias) {group = 2}
    %n = BatchNormalization(%c, %g, %b, %m, %v) {epsilon = 1.0}
    %y = Relu(%n)
    output y = %y)";
  // Whatever the recipe says of quantizers behind it.
  ScaffoldOptions weights_only;
  weights_only.activation.quantize = false;
  CHECK(codes(finalized(text, weights_only), "w/quantized") ==
        codes(finalized(text), "w/quantized"));
  const Graph graph = finalized(text);
  // Factors 1, -10, 0 and 5: [1, -20], [3, -40], [0, 30], [0, 40].
  const float scale = 40.0f / 127;
  CHECK(numbers(graph, "w/quantized_scale") == std::vector<float>{scale});
  CHECK(graph.findValue("w/quantized_scale")->type.rank() == 0);
  std::vector<int> expected;
  for (float w : {1, -20, 3, -40, 0, 30, 0, 40}) {
    expected.push_back(static_cast<int>(std::nearbyint(w / scale)));
  }
  CHECK(codes(graph, "w/quantized") == expected);
  CHECK(graph.findValue("w/quantized")->type.dims() == std::vector<int64_t>{4, 2, 1});
  const float bias_scale = numbers(graph, "bias/quantized_scale").at(0);
  CHECK(bias_scale == numbers(graph, "x/quantize_scale")[0] * scale);
  const std::vector<int> biases = codes(graph, "bias/quantized");
  for (size_t c = 0; c < 4; ++c) {
    const float folded[] = {2, -18, 3, 24};
    CHECK(biases[c] == Catch::Approx(folded[c] / bias_scale).margin(0.6));
  }
}

TEST_CASE("a BatchNormalization that is off by the recipe stays one") {
  const std::string text = R"(
    input %x : float[N, 2, 4]
    weight %g : float[2] = [1, 2]
    weight %b : float[2] = [0, 1]
    batch_norm_statistic %m : float[2] = [0, 0]
    batch_norm_statistic %v : float[2] = [1, 1]
    %n = BatchNormalization(%x, %g, %b, %m, %v)
    %y = Relu(%n)
    output y = %y)";
  CHECK(countNodes(finalized(text), "BatchNormalization") == 0);
  ScaffoldOptions options;
  options.overrides = {quantized("BatchNormalization", "", false)};
  CHECK(countNodes(finalized(text, options), "BatchNormalization") == 1);
}

TEST_CASE("a bias that is too large for the scale of its tensor raises it") {
  ScaffoldOptions options;
  options.weight.per_channel = false;
  const Graph graph = finalized(batchNorm("1, -4, 0", "1e10, 0, 5"), options);
  const float scale = numbers(graph, "w/quantized_scale").at(0);
  const float input_scale = numbers(graph, "x/quantize_scale")[0];
  CHECK(scale > 2);
  CHECK(static_cast<double>(codes(graph, "bias/quantized")[0]) * scale * input_scale ==
        Catch::Approx(1e10));
}

TEST_CASE("the quantizer of a Concat is copied to its inputs") {
  const Graph graph = finalized(R"(
    input %x : float[N, 2, 4]
    weight %w1 : float[2, 2, 1] = [1, 2, 3, 4]
    weight %w2 : float[2, 2, 1] = [5, 6, 7, 8]
    %a = Conv(%x, %w1)
    %ar = Relu(%a)
    %b = Conv(%x, %w2)
    %br = Relu(%b)
    %y = Concat(%ar, %br) {axis = 1}
    %m = Sigmoid(%y)
    output y = %y
    output m = %m)");
  CHECK(countNodes(graph, "Relu") == 0);
  CHECK(linesWith(graph, "QuantizeLinear(").find("%a/quantize :") != std::string::npos);
  const Node& concat = producerOf(graph, "y/raw");
  REQUIRE(concat.opType() == "Concat");
  const Node& behind = *producerOf(graph, "y").input(0)->producer();
  for (const Value* part : concat.inputs()) {
    REQUIRE(part->producer()->opType() == "DequantizeLinear");
    CHECK(part->producer()->input(1) == behind.input(1));
    CHECK(part->producer()->input(2) == behind.input(2));
  }
}

TEST_CASE("a float value that several Concats take is quantized for each by itself") {
  ScaffoldOptions options;
  options.overrides.resize(1);
  options.overrides[0].op_type = "Conv";
  options.overrides[0].activation.quantize = false;
  const Graph graph = finalized(R"(
    input %x : float[N, 2, 4]
    weight %w : float[2, 2, 1] = [1, 2, 3, 4]
    %a = Conv(%x, %w) "conv"
    %b = Exp(%x)
    %c = Neg(%x)
    %y = Concat(%a, %b) {axis = 1}
    %z = Concat(%a, %c) {axis = 1}
    %u = Abs(%a)
    %ys = Sigmoid(%y)
    %zs = Sigmoid(%z)
    output ys = %ys
    output zs = %zs
    output y = %y
    output z = %z
    output u = %u)",
                                options);
  const Node& abs = *producerOf(graph, "u").input(0)->producer()->input(0)->producer();
  REQUIRE(abs.opType() == "Abs");
  CHECK(abs.input(0)->producer()->opType() == "Conv");
  for (const char* name : {"y", "z"}) {
    const Node& behind = *producerOf(graph, name).input(0)->producer();
    const Node& concat = *behind.input(0)->producer();
    REQUIRE(concat.opType() == "Concat");
    const Node& part = *concat.input(0)->producer();
    REQUIRE(part.opType() == "DequantizeLinear");
    CHECK(part.input(1) == behind.input(1));
    CHECK(part.input(0)->producer()->input(0)->producer()->opType() == "Conv");
  }
}

TEST_CASE("operators that share a quantizer stand between pairs with the same parameters") {
  const Graph graph = finalized(R"(
    input %x : float[N, 2, 4, 4]
    %p = MaxPool(%x) {kernel_shape = [2, 2], strides = [2, 2]}
    %y = Flatten(%p)
    output y = %y)");
  CHECK(countNodes(graph, "QuantizeLinear") == 3);
  for (const auto& node : graph.nodes()) {
    if (node->opType() == "MaxPool" || node->opType() == "Flatten") {
      CHECK(node->input(0)->producer()->opType() == "DequantizeLinear");
    } else {
      CHECK(node->input(1)->name() == "x/quantize_scale");
      CHECK(node->input(2)->name() == "x/quantize_zero_point");
    }
  }
  CHECK(graph.outputs[0].value->name() == "y");
  CHECK(graph.findValue("x/quantize_zero_point")->type.element == ElementType::kUint8);
}

TEST_CASE("the quantizer reaches through a Dropout") {
  const Graph graph = finalized(R"(
    input %x : float[N, 3, 2]
    weight %w : float[5, 6] = [1, ...]
    constant %ratio : float[] = [0.5]
    constant %training : bool[] = [1]
    %d = Dropout(%x, %ratio, %training)
    %f = Flatten(%d)
    %y = Gemm(%f, %w) {transB = 1}
    output y = %y)");
  CHECK(countNodes(graph, "Dropout") == 0);
  CHECK(graph.findValue("w/bias/quantized") != nullptr);
}

TEST_CASE("biases stay float where integer ones are not wanted") {
  Graph graph = parse(R"(
    input %x : float[N, 3]
    weight %w : float[2, 3] = [1, 2, 3, 4, 5, 6]
    weight %b : float[2] = [0.123, -4.5]
    %y = Gemm(%x, %w, %b) {transB = 1}
    output y = %y)");
  ScaffoldOptions options;
  options.integer_biases = false;
  scaffold(graph, options);
  calibrate(graph, {randomTensor({4, 3}, 1)});
  finalize(graph);
  const Node& gemm = *producerOf(graph, "y").input(0)->producer()->input(0)->producer();
  REQUIRE(gemm.opType() == "Gemm");
  CHECK(gemm.input(2)->constant.toVector<float>() == std::vector<float>{0.123f, -4.5f});
  CHECK(gemm.input(1)->producer()->opType() == "DequantizeLinear");
}

TEST_CASE("quantizers without a range are named") {
  Graph graph = parse("input %x : float[N, 2]\n%y = Neg(%x)\noutput y = %y");
  scaffold(graph, {});
  CHECK_THROWS_WITH(finalize(graph), ContainsSubstring("2 quantizers have no range yet") &&
                                         ContainsSubstring("'x', 'y/raw'"));
}

}  // namespace
}  // namespace simaqat
