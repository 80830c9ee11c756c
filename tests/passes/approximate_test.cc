#include "qat/passes/approximate.h"

#include <cmath>

#include "qat/passes/finalize.h"
#include "qat/passes/simplify.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

Approximation tableOf(const std::string& op_type, int64_t entries) {
  Approximation how;
  how.op_type = op_type;
  how.table = entries;
  return how;
}

Approximation segmentsOf(const std::string& op_type, int64_t segments) {
  Approximation how;
  how.op_type = op_type;
  how.segments = segments;
  return how;
}

const std::string kHardSwish = R"(
    input %x : float[N, 3, 6, 6]
    weight %w : float[4, 3, 1, 1] = [1, ...]
    %c = Conv(%x, %w)
    %y = HardSwish(%c)
    output y = %y)";

const std::string kGelu = R"(
    input %x : float[N, 8]
    constant %root : float[] = [1.4142135]
    constant %one : float[] = [1]
    constant %half : float[] = [0.5]
    %d = Div(%x, %root)
    %e = Erf(%d)
    %a = Add(%e, %one)
    %m = Mul(%x, %a)
    %y = Mul(%m, %half)
    output y = %y)";

const std::string kSiLU = R"(
    input %x : float[N, 8]
    %s = Sigmoid(%x)
    %y = Mul(%x, %s)
    output y = %y)";

Graph scaffolded(const std::string& text, const std::vector<Approximation>& approximations) {
  Graph graph = parse(text);
  randomizeVariables(graph, 3);
  ScaffoldOptions options;
  options.approximations = approximations;
  scaffold(graph, options);
  return graph;
}

Tensor inputOf(const Graph& graph, uint64_t seed) {
  std::vector<int64_t> dims = {4};
  const Shape& shape = *graph.inputs[0]->type.shape;
  for (size_t k = 1; k < shape.size(); ++k) dims.push_back(shape[k].value);
  return randomTensor(dims, seed);
}

Graph calibrated(const std::string& text, const std::vector<Approximation>& approximations) {
  Graph graph = scaffolded(text, approximations);
  calibrate(graph, {inputOf(graph, 1)});
  return graph;
}

std::vector<double> outputOf(const Graph& graph, uint64_t seed = 2) {
  return run(graph, {inputOf(graph, seed)})[0].toVector<double>();
}

double largestDifference(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::fabs(a[i] - b[i]));
  return largest;
}

double outputScale(const Graph& graph) {
  return *graph.outputs[0].value->quantizer->scale->variable->value.data<float>();
}

TEST_CASE("a table of all codes is the function itself") {
  for (const auto& [text, op_type] : {std::pair(kHardSwish, "HardSwish"), std::pair(kGelu, "Gelu"),
                                      std::pair(kSiLU, "Swish")}) {
    INFO(op_type);
    ScaffoldOptions plain;
    // SiLU's Sigmoid has a quantizer of its own where it is not one function.
    plain.overrides = {quantized("Sigmoid", "", false)};
    Graph expected = parse(text);
    randomizeVariables(expected, 3);
    if (text != kSiLU) plain.overrides.clear();
    scaffold(expected, plain);
    calibrate(expected, {inputOf(expected, 1)});
    const Graph graph = calibrated(text, {tableOf(op_type, 256)});
    CHECK(countNodes(graph, "simaqat::TableLookup") == 1);
    const double step = outputScale(graph);
    CHECK(largestDifference(outputOf(evaluationOf(graph)), outputOf(evaluationOf(expected))) <=
          1.001 * step);
  }
}

TEST_CASE("fewer entries and segments are coarser, and more segments nearer") {
  const auto error = [](const Approximation& how) {
    return largestDifference(outputOf(evaluationOf(calibrated(kHardSwish, {how}))),
                             outputOf(evaluationOf(calibrated(kHardSwish, {tableOf("HardSwish", 256)}))));
  };
  CHECK(error(tableOf("HardSwish", 8)) > error(tableOf("HardSwish", 64)));
  CHECK(error(segmentsOf("HardSwish", 2)) > error(segmentsOf("HardSwish", 16)));
  CHECK(error(segmentsOf("HardSwish", 2)) > 0.1);
}

TEST_CASE("trained and finalized agree, in standard operators") {
  for (const std::string& text : {kHardSwish, kGelu, kSiLU}) {
    const std::string op_type = text == kHardSwish ? "HardSwish" : text == kGelu ? "Gelu" : "Swish";
    for (Approximation how : {tableOf(op_type, 32), segmentsOf(op_type, 8), segmentsOf(op_type, 1)}) {
      for (const bool has_range : {false, true}) {
        INFO(op_type << " " << how.toString() << " range " << has_range);
        if (has_range) how.range = {-2.0f, 1.5f};
        const Graph graph = calibrated(text, {how});
        Graph finalized = graph.clone();
        finalize(finalized);
        CHECK(linesWith(finalized, "simaqat::").empty());
        CHECK(countNodes(finalized, "Gather") == (how.table > 0 ? 1 : 3));
        CHECK(largestDifference(outputOf(evaluationOf(graph)), outputOf(finalized)) <=
              1.001 * outputScale(graph));
      }
    }
  }
}

TEST_CASE("a function that the device approximates ships as itself") {
  Approximation how = segmentsOf("Gelu", 4);
  how.ships_as_function = true;
  Graph graph = calibrated(kGelu, {how});
  CHECK(countNodes(graph, "simaqat::PiecewiseLinear") == 1);
  finalize(graph);
  CHECK(countNodes(graph, "Erf") == 1);
  CHECK(countNodes(graph, "Gather") == 0);
  Graph plain = calibrated(kGelu, {});
  finalize(plain);
  CHECK(outputOf(graph) == outputOf(plain));
}

TEST_CASE("calibration sees the function, training the scale of its own step") {
  Graph calibration = scaffolded(kHardSwish, {tableOf("HardSwish", 256)});
  Graph training = calibration.clone();
  specialize(calibration, {Mode::kCalibrate});
  CHECK(countNodes(calibration, "simaqat::TableLookup") == 0);
  CHECK(countNodes(calibration, "HardSwish") == 1);
  specialize(training, {Mode::kTrain});
  const Node& points = *producerOf(training, "y/raw").input(1)->producer();
  CHECK(points.input(0)->producer()->opType() == "RangeToScale");
}

TEST_CASE("which nodes are meant") {
  // SiLU as a whole has no quantizer inside, its Sigmoid alone has the one that it always has.
  CHECK(countNodes(scaffolded(kSiLU, {tableOf("Swish", 256)}), "simaqat::FakeQuantize") == 2);
  const Graph gate = scaffolded(kSiLU, {tableOf("Sigmoid", 256)});
  CHECK(countNodes(gate, "simaqat::FakeQuantize") == 3);
  CHECK(countNodes(gate, "Mul") == 1);
  // Of two that fit the greater function is it.
  const Graph both = scaffolded(kSiLU, {tableOf("Sigmoid", 256), segmentsOf("Swish", 8)});
  CHECK(countNodes(both, "simaqat::PiecewiseLinear") == 1);
  CHECK(countNodes(both, "simaqat::TableLookup") == 0);
}

TEST_CASE("a value that two functions share stays where it is") {
  // Both results are functions of x, and both need s.
  const Graph graph = scaffolded(R"(
    input %x : float[N, 8]
    constant %half : float[] = [0.5]
    %s = Sigmoid(%x)
    %y = Mul(%x, %s)
    %z = Mul(%s, %half)
    output y = %y
    output z = %z)",
                                 {tableOf("Sigmoid", 16)});
  CHECK(countNodes(graph, "simaqat::TableLookup") == 1);
  CHECK(countNodes(graph, "Mul") == 2);
}

TEST_CASE("approximations that cannot be") {
  const auto fails = [](const std::string& text, const Approximation& how, const char* words) {
    CHECK_THROWS_WITH(scaffolded(text, {how}), Catch::Matchers::ContainsSubstring(words));
  };
  fails(kSiLU, tableOf("SiLU", 256), "'SiLU' is not known");
  fails(kSiLU, tableOf("Softmax", 256), "no function of single elements");
  fails(kSiLU, tableOf("HardSwish", 256), "no node is or computes HardSwish");
  // What Erf takes has no quantizer, being inside GELU.
  fails(kGelu, tableOf("Erf", 256), "Erf 'e'");
  Approximation with_range = tableOf("Erf", 256);
  with_range.range = {-4.0f, 4.0f};
  CHECK(countNodes(scaffolded(kGelu, {with_range}), "simaqat::TableLookup") == 1);
}

TEST_CASE("samples that cannot be") {
  const auto fails = [](const std::string& values, const char* words) {
    const Graph graph = parse(R"(
      input %x : float[2]
      constant %p : float[1] = [0]
      constant %v : float)" + values + R"(
      %y = simaqat::PiecewiseLinear(%x, %p, %v)
      output y = %y)");
    CHECK_THROWS_WITH(run(graph, {Tensor::of<float>({2}, {0, 1})}),
                      Catch::Matchers::ContainsSubstring(words));
  };
  fails("[1] = [0]", "2 points or more");
  fails("[2] = [0, 1]", "as many values");
}

TEST_CASE("slopes of tables and lines") {
  const std::string text = R"(
    input %x : float[6]
    constant %p : float[4] = [0, 1, 2, 3]
    constant %v : float[4] = [0, 1, 4, 9]
    %y = simaqat::)";
  const Tensor x = Tensor::of<float>({6}, {-1, 0, 0.75f, 1.25f, 3, 5});
  const auto slopes = [&](const std::string& op_type) {
    return gradients(parse(text + op_type + "(%x, %p, %v)\n    output y = %y"), {x})[0]
        .toVector<double>();
  };
  const auto values = [&](const std::string& op_type) {
    return run(parse(text + op_type + "(%x, %p, %v)\n    output y = %y"), {x})[0].toVector<double>();
  };
  CHECK(values("TableLookup") == std::vector<double>{0, 0, 1, 1, 9, 9});
  CHECK(slopes("TableLookup") == std::vector<double>{0, 1, 2, 2, 5, 0});
  CHECK(values("PiecewiseLinear") == std::vector<double>{-1, 0, 0.75, 1.75, 9, 19});
  CHECK(slopes("PiecewiseLinear") == std::vector<double>{1, 1, 1, 3, 5, 5});
}

}  // namespace
}  // namespace simaqat
