// Weights that are computed from parameters, parts of parameters and repeated ones: quantized where
// they are used, float in front of that, and stored as codes once finalized.
#include "qat/passes/stored.h"

#include "qat/passes/batch_norm_state.h"
#include "qat/passes/bind_quantizers.h"
#include "qat/passes/canonicalize.h"
#include "qat/passes/exported_forms.h"
#include "qat/passes/finalize.h"
#include "qat/passes/finalize_weights.h"
#include "qat/passes/scaffold.h"
#include "qat/passes/sizes.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;

// A convolution of [N, 4, 5, 5] by the lines' %w, with BatchNormalization behind it.
std::string convolution(const std::string& lines, const std::string& attributes = "") {
  return "input %x : float[N, 4, 5, 5]\n" + lines + R"(
    weight %g : float[6] = [1, -2, 0.5, 1, 1.5, 1]
    weight %b : float[6] = [0.1, 0, 0.2, 0, 0, 0]
    batch_norm_statistic %m : float[6] = [0, 0.1, 0, 0, 0, 0.2]
    batch_norm_statistic %var : float[6] = [1, 2, 1, 1, 0.5, 1]
    %c = Conv(%x, %w) )" +
         attributes + R"(
    %n = BatchNormalization(%c, %g, %b, %m, %var)
    %y = Relu(%n)
    output y = %y)";
}

const std::string kWeightNorm = convolution(R"(
    weight %direction : float[6, 4, 3, 3] = [1, ...]
    weight %length : float[6, 1, 1, 1] = [1, ...]
    constant %axes : int64[3] = [1, 2, 3]
    %norm = ReduceL2(%direction, %axes)
    %unit = Div(%direction, %norm)
    %w = Mul(%unit, %length))");

// The scaffolded graph with random weights and calibrated ranges.
Graph scaffolded(const std::string& text) {
  Graph graph = parse(text);
  randomizeVariables(graph, 7);
  scaffold(graph, {});
  calibrate(graph, {randomTensor({4, 4, 5, 5}, 3)});
  return graph;
}

// What ships takes its weight from codes with one scale for each of six channels, computes as the
// scaffolded graph does in evaluation, bit for bit, and has nothing left of the weight's
// computation.
void checkShips(const std::string& text) {
  INFO(text);
  Graph graph = scaffolded(text);
  Graph evaluation = evaluationOf(graph);
  lowerWeights(evaluation);
  Graph finalized = graph.clone();
  finalize(finalized);
  const Node& weight = *producerOf(finalized, "c").input(1)->producer();
  CHECK(weight.opType() == "DequantizeLinear");
  CHECK(weight.input(0)->constant.type() == ElementType::kInt8);
  CHECK(weight.input(1)->constant.size() == 6);
  CHECK(countNodes(finalized, "BatchNormalization") == 0);
  CHECK(finalized.nodes().size() ==
        7);  // two pairs, of input and output, two DequantizeLinear, Conv
  const std::vector<Tensor> inputs = {randomTensor({4, 4, 5, 5}, 11)};
  CHECK(run(finalized, inputs)[0].identical(run(evaluation, inputs)[0]));
}

TEST_CASE("a computed weight is quantized, and nothing in front of it") {
  Graph graph = parse(kWeightNorm);
  std::string reasons;
  for (const PlacementEntry& entry : scaffold(graph, {})) {
    reasons += entry.node + ": " + entry.reason + entry.weight + "\n";
  }
  CHECK(reasons == unindented(R"(
    x: 
    norm: computed from parameters
    unit: computed from parameters
    w: computed from parameters
    c: fused with BatchNormalization 'n'int8 per channel (axis 0)
    n: fused with Relu 'y'
    y: 
)"));
  CHECK(countNodes(graph, "simaqat::FakeQuantize") == 3);
  CHECK(producerOf(graph, "c").input(1) == producerOf(graph, "w/fake_quantize").output());
}

TEST_CASE("a computed weight ships as codes") {
  checkShips(kWeightNorm);
  checkShips(convolution(R"(
    weight %flat : float[6, 36] = [1, ...]
    constant %shape : int64[4] = [6, 4, 3, 3]
    %w = Reshape(%flat, %shape))"));
  checkShips(convolution(R"(
    weight %a : float[2, 4, 3, 3] = [1, ...]
    weight %d : float[4, 4, 3, 3] = [1, ...]
    %w = Concat(%a, %d) {axis = 0})"));
  checkShips(convolution(R"(
    weight %all : float[18, 4, 3, 3] = [1, ...]
    %p, %w, %q = Split(%all) {axis = 0, num_outputs = 3})"));
  checkShips(convolution(R"(
    weight %half : float[6, 4, 3, 3] = [1, ...]
    %wide = Cast(%half) {to = 11}
    %w = Cast(%wide) {to = 1})"));
  // A product of two: low-rank adaptation.
  checkShips(convolution(R"(
    weight %base : float[6, 4, 1, 1] = [1, ...]
    weight %up : float[6, 2] = [1, ...]
    weight %down : float[2, 4] = [1, ...]
    constant %shape : int64[4] = [6, 4, 1, 1]
    %product = MatMul(%up, %down)
    %shift = Reshape(%product, %shape)
    %w = Add(%base, %shift))"));
}

TEST_CASE("a computed bias and computed parameters of BatchNormalization fold") {
  const std::string text = R"(
    input %x : float[N, 4, 5, 5]
    weight %w : float[6, 4, 3, 3] = [1, ...]
    weight %raw_bias : float[6] = [1, ...]
    weight %raw_gamma : float[6] = [1, ...]
    constant %two : float[] = [2]
    weight %b : float[6] = [0, ...]
    batch_norm_statistic %m : float[6] = [0, ...]
    batch_norm_statistic %var : float[6] = [1, ...]
    %bias = Mul(%raw_bias, %two)
    %gamma = Abs(%raw_gamma)
    %c = Conv(%x, %w, %bias)
    %n = BatchNormalization(%c, %gamma, %b, %m, %var)
    %y = Relu(%n)
    output y = %y)";
  checkShips(text);
}

TEST_CASE("what draws, what data go into, and what is quantized is not stored") {
  const Graph graph = parse(R"(
    input %x : float[3, 3]
    weight %w : float[3, 3] = [1, ...]
    constant %half : float[] = [0.5]
    %data = Add(%x, %w)
    %drawn = RandomNormalLike(%w)
    %noisy = Add(%w, %drawn)
    %dropped = Dropout(%w, %half)
    %t = Transpose(%w)
    %stored = MatMul(%t, %w)
    %y = Sum(%data, %noisy, %dropped, %stored)
    output y = %y)");
  for (const char* name : {"data", "drawn", "noisy", "dropped", "y"}) {
    INFO(name);
    CHECK(!isStored(graph.findValue(name)));
    CHECK(!storedTensor(graph, graph.findValue(name)).defined());
    CHECK(storedValues(graph).count(graph.findValue(name)) == 0);
  }
  for (const char* name : {"w", "half", "t", "stored"}) {
    INFO(name);
    CHECK(isStored(graph.findValue(name)));
    CHECK(storedValues(graph).count(graph.findValue(name)) == 1);
  }
  CHECK(storedTensor(graph, graph.findValue("stored")).toVector<float>()[0] == 3);
}

TEST_CASE("a BatchNormalization of a weight normalizes by the weight's statistics in every mode") {
  const auto text = [](const std::string& type, const std::string& channels) {
    return "weight %w : float" + type + " = [1, ...]\nweight %g : float[" + channels +
           "] = [1, ...]\nconstant %b : float[" + channels +
           "] = [0.5, ...]\n"
           "constant %zeros : float[" +
           channels +
           "] = [0, ...]\n"
           "constant %ones : float[" +
           channels +
           "] = [1, ...]\n"
           "input %x : float" +
           type +
           "\n"
           "%n, %m, %v = BatchNormalization(%w, %g, %b, %zeros, %ones) {training_mode = 1}\n"
           "%y = Add(%x, %n)\noutput y = %y";
  };
  for (const auto& [type, channels, dims] :
       std::vector<std::tuple<std::string, std::string, std::vector<int64_t>>>{
           {"[1, 6, 27]", "6", {1, 6, 27}},
           {"[5, 3]", "3", {5, 3}},
           {"[4, 3, 2, 2]", "3", {4, 3, 2, 2}}}) {
    INFO(type);
    Graph graph = parse(text(type, channels));
    randomizeVariables(graph, 5);
    const Tensor x(ElementType::kFloat, dims);
    // With training_mode = 1, the definition takes the batch's statistics.
    const std::vector<double> expected = run(graph, {x})[0].toVector<double>();
    standardizedWeights(graph);
    CHECK(countNodes(graph, "BatchNormalization") == 0);
    CHECK(countNodes(graph, "InstanceNormalization") == 1);
    const std::vector<double> got = run(evaluationOf(graph), {x})[0].toVector<double>();
    REQUIRE(got.size() == expected.size());
    for (size_t i = 0; i < got.size(); ++i) CHECK(std::fabs(got[i] - expected[i]) < 1e-5);
  }
  // The BatchNormalizations of data are no longer mixed with those of weights.
  Graph graph = parse(convolution(R"(
    weight %flat : float[1, 6, 36] = [1, ...]
    weight %gain : float[6, 1, 1, 1] = [1, ...]
    constant %fan : float[] = [0.1]
    constant %six : int64[1] = [6]
    constant %zeros : float[6] = [0, ...]
    constant %ones : float[6] = [1, ...]
    constant %shape : int64[4] = [6, 4, 3, 3]
    %scaled = Mul(%gain, %fan)
    %scale = Reshape(%scaled, %six)
    %standard = BatchNormalization(%flat, %scale, %zeros, %zeros, %ones) {training_mode = 1}
    %w = Reshape(%standard, %shape))"));
  canonicalize(graph, BatchNormPolicy::kAuto);
  CHECK(countNodes(graph, "BatchNormalization") == 1);
  CHECK_THAT(linesWith(graph, "BatchNormalization("), ContainsSubstring("training_mode = 1"));
  CHECK(graph.findVariable("zeros") == nullptr);
  scaffold(graph, {});
  CHECK(countNodes(graph, "simaqat::FakeQuantize") == 3);
}

TEST_CASE("statistics that are computed from data are refused by name") {
  Graph graph = parse(R"(
    input %x : float[N, 3, 4]
    weight %g : float[3] = [1, 1, 1]
    weight %b : float[3] = [0, 0, 0]
    constant %axes : int64[2] = [0, 2]
    batch_norm_statistic %v : float[3] = [1, 1, 1]
    %mean = ReduceMean(%x, %axes) {keepdims = 0}
    %y = BatchNormalization(%x, %g, %b, %mean, %v)
    output y = %y)");
  CHECK_THROWS_WITH(
      separateBatchNormState(graph),
      ContainsSubstring("BatchNormalization 'y' input 3: 'mean' is computed from the data"));
}

// A linear layer whose output is beside a parameter that the lines make %e of.
std::string beside(const std::string& lines, const std::string& operation = "Add(%f, %e)") {
  return R"(
    input %x : float[N, 8]
    weight %w : float[8, 6] = [1, ...]
    weight %p : float[1, 6] = [1, ...]
    constant %zero : int64[1] = [0]
    constant %one : int64[1] = [1]
    constant %six : int64[1] = [6]
    %f = Gemm(%x, %w)
    %shape = Shape(%x)
    %batch = Slice(%shape, %zero, %one)
    %dims = Concat(%batch, %six) {axis = 0}
    )" + lines +
         "\n%y = " + operation + "\noutput y = %y";
}

TEST_CASE("a parameter that is repeated over the batch is a stored operand") {
  for (const std::string lines :
       {"%e = Expand(%p, %dims)", "%many = Concat(%batch, %one) {axis = 0}\n%e = Tile(%p, %many)",
        "%turned = Transpose(%p)\n%flat = Reshape(%turned, %six)\n%e = Expand(%flat, %dims)",
        "weight %long : float[20, 6] = [1, ...]\n%e = Slice(%long, %zero, %batch, %zero)"}) {
    INFO(lines);
    Graph graph = parse(beside(lines));
    randomizeVariables(graph, 3);
    std::string kernel;
    for (const PlacementEntry& entry : scaffold(graph, {})) {
      if (entry.node == "y") kernel = entry.kernel;
    }
    CHECK(kernel == "integer");
    REQUIRE(graph.findValue("e")->quantizer != nullptr);
    CHECK(graph.findValue("e")->quantizer->spec.observer == "tensor_range");
    const Tensor x = randomTensor({4, 8}, 5);
    calibrate(graph, {x});
    Graph finalized = graph.clone();
    finalize(finalized);
    for (const auto& value : finalized.values()) {
      if (!value->isConstant() || value->constant.size() < 6) continue;
      INFO(value->name());
      const bool is_scale = value->name().find("scale") != std::string::npos;
      CHECK((value->constant.type() != ElementType::kFloat || is_scale));
    }
    Graph evaluation = evaluationOf(graph);
    lowerWeights(evaluation);
    CHECK(run(finalized, {x})[0].identical(run(evaluation, {x})[0]));
  }
}

TEST_CASE("rows that data choose stay float, and so does what no integer kernel takes") {
  const std::string choice =
      "input %ids : int64[N]\nweight %rows : float[9, 6] = [1, ...]\n"
      "%e = Gather(%rows, %ids)";
  Graph chosen = parse(beside(choice));
  scaffold(chosen, {});
  CHECK(chosen.findValue("e")->quantizer == nullptr);
  Graph divided = parse(beside("%e = Expand(%p, %dims)", "Div(%f, %e)"));
  scaffold(divided, {});
  CHECK(divided.findValue("e")->quantizer == nullptr);
}

TEST_CASE("a stored operand of a matrix product has codes, with one scale where it is batched") {
  for (const std::string lines : {"weight %s : float[5, 7] = [1, ...]\n%y = MatMul(%s, %x)",
                                  "weight %s : float[2, 4, 5] = [1, ...]\n%y = MatMul(%x, %s)"}) {
    Graph graph = parse("input %x : float[2, 7, 4]\n" + lines + "\noutput y = %y");
    std::string kernel;
    for (const PlacementEntry& entry : scaffold(graph, {})) kernel = entry.kernel;
    CHECK(kernel == "integer");
    CHECK(countNodes(graph, "simaqat::FakeQuantize") == 3);
  }
}

TEST_CASE("the size of what ships counts computed weights, and not what they are computed from") {
  Graph graph = parse(kWeightNorm);
  scaffold(graph, {});
  const Sizes sizes = sizesOf(graph);
  // Codes and scales of the weight, and the float gamma and beta.
  CHECK(sizes.quantized_bytes == 6 * 4 * 9 + 6 * 4 + 2 * 6 * 4);
}

}  // namespace
}  // namespace simaqat
