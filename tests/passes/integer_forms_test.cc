#include "qat/passes/integer_forms.h"

#include <fmt/ranges.h>

#include <array>
#include <random>
#include <set>

#include "qat/passes/finalize.h"
#include "qat/passes/scaffold.h"
#include "qat/passes/stored.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

// ONNX Runtime refuses a file with two nodes of one name.
void checkNamesDiffer(const Graph& graph) {
  std::set<std::string> names;
  for (const auto& node : graph.nodes()) CHECK(names.insert(node->name()).second);
}

void checkClose(const Tensor& got, const Tensor& expected) {
  REQUIRE(got.dims() == expected.dims());
  for (int64_t i = 0; i < got.size(); ++i) {
    CHECK(got.data<float>()[i] == Catch::Approx(expected.data<float>()[i]).margin(1e-6));
  }
}

constexpr char kLinear[] = R"(
  input %x : float[N, 2]
  weight %w : float[3, 2] = [1, 2, 3, 4, 5, 6]
  weight %b : float[3] = [1, 2, 3]
  %t = Transpose(%w) {perm = [1, 0]}
  %m = MatMul(%x, %t) "linear"
  %y = Add(%b, %m)
  output y = %y)";

TEST_CASE("MatMul of rank 2 and its bias are one Gemm") {
  Graph graph = parse(kLinear);
  matMulsToGemms(graph);
  const Node& gemm = producerOf(graph, "y");
  CHECK(gemm.opType() == "Gemm");
  CHECK(gemm.name() == "linear");
  CHECK(gemm.input(0)->name() == "x");
  CHECK(gemm.input(1)->name() == "t");
  CHECK(gemm.input(2)->name() == "b");
  CHECK(countNodes(graph, "MatMul") + countNodes(graph, "Add") == 0);
  const std::vector<Tensor> inputs = {randomTensor({4, 2}, 1)};
  checkClose(run(graph, inputs)[0], run(parse(kLinear), inputs)[0]);
}

TEST_CASE("what an Add adds stays behind the Gemm where it is no bias") {
  const auto behind = [](const std::string& other, const std::string& output) {
    Graph graph = parse("input %x : float[N, 2]\nweight %w : float[2, 3] = [1, 2, 3, 4, 5, 6]\n" +
                        other + "\n%m = MatMul(%x, %w)\n%y = Add(%m, %b)\noutput y = %y" + output);
    matMulsToGemms(graph);
    CHECK(countNodes(graph, "Gemm") == 1);
    return countNodes(graph, "Add");
  };
  CHECK(behind("weight %b : float[3] = [1, 2, 3]", "") == 0);
  CHECK(behind("weight %b : float[1] = [1]", "") == 1);
  CHECK(behind("input %b : float[3]", "") == 1);
  CHECK(behind("weight %b : float[3] = [1, 2, 3]", "\noutput m = %m") == 1);
}

TEST_CASE("MatMul of computed or higher-rank operands stays") {
  Graph graph = parse(R"(
    input %x : float[N, 2]
    input %z : float[2, 3]
    input %h : float[N, 4, 2]
    weight %w : float[2, 3] = [1, 2, 3, 4, 5, 6]
    %a = MatMul(%x, %z)
    %b = MatMul(%h, %w)
    output a = %a
    output b = %b)");
  matMulsToGemms(graph);
  CHECK(countNodes(graph, "MatMul") == 2);
}

TEST_CASE("a mean over the spatial axes is a pooling") {
  const std::string input = "input %x : float[N, 2, 3, 4]\nconstant %axes : int64[2] = ";
  const auto pooled = [&](const std::string& axes, const std::string& keep) {
    Graph graph = parse(input + axes + "\n%y = ReduceMean(%x, %axes) {keepdims = " + keep +
                        "}\noutput y = %y");
    const std::vector<Tensor> inputs = {randomTensor({4, 2, 3, 4}, 1)};
    const Tensor expected = run(graph, inputs)[0];
    meansToPools(graph);
    const Tensor got = run(graph, inputs)[0];
    checkNamesDiffer(graph);
    checkClose(got, expected);
    return countNodes(graph, "GlobalAveragePool");
  };
  CHECK(pooled("[2, 3]", "1") == 1);
  CHECK(pooled("[-1, -2]", "0") == 1);
  CHECK(pooled("[1, 2]", "0") == 0);
  CHECK(pooled("[0, 3]", "1") == 0);
}

TEST_CASE("a Sum is a chain of Adds") {
  Graph graph = parse(R"(
    input %a : float[2]
    input %b : float[2]
    input %c : float[2]
    %y = Sum(%a, %b, %c) "s"
    output y = %y)");
  sumsToAdds(graph);
  CHECK(countNodes(graph, "Sum") == 0);
  CHECK(countNodes(graph, "Add") == 2);
  CHECK(producerOf(graph, "y").name() == "s");
  checkNamesDiffer(graph);
}

TEST_CASE("a transposed weight is quantized by its output channels") {
  Graph graph = parse(R"(
    input %x : float[N, 4, 2]
    weight %w : float[3, 2] = [1, 2, 3, 4, 5, 6]
    %t = Transpose(%w) {perm = [1, 0]}
    %y = MatMul(%x, %t)
    output y = %y)");
  CHECK(storedTensor(graph, graph.findValue("t")).toVector<float>() ==
        std::vector<float>{1, 3, 5, 2, 4, 6});
  CHECK_FALSE(isStored(graph.findValue("x")));
  scaffold(graph, {});
  calibrate(graph, {randomTensor({4, 4, 2}, 1)});
  const Tensor& scale = graph.findVariable("t/scale")->value;
  CHECK(scale.toVector<float>() == std::vector<float>{2.0f / 127, 4.0f / 127, 6.0f / 127});
  finalize(graph);
  const Value* weight = producerOf(graph, "y/raw").input(1);
  REQUIRE(weight->producer()->opType() == "DequantizeLinear");
  CHECK(weight->producer()->input(0)->constant.dims() == std::vector<int64_t>{2, 3});
  CHECK(countNodes(graph, "Transpose") == 0);
}

// The attributes of a pool with ceil_mode: kernels, strides, dilations and pads are drawn.
std::string drawnPool(std::mt19937_64& random, bool is_average) {
  const auto draw = [&](int64_t least, int64_t most) {
    return std::uniform_int_distribution<int64_t>(least, most)(random);
  };
  std::vector<int64_t> kernel, strides, dilations, pads(4);
  for (size_t axis = 0; axis < 2; ++axis) {
    kernel.push_back(draw(1, 4));
    strides.push_back(draw(1, 4));
    dilations.push_back(kernel.back() < 3 ? draw(1, 3) : 1);
    for (size_t side = 0; side < 2; ++side) pads[axis + 2 * side] = draw(0, kernel.back() - 1);
  }
  std::string text = fmt::format("kernel_shape = [{}], strides = [{}], dilations = [{}], ceil_mode = 1",
                                 fmt::join(kernel, ", "), fmt::join(strides, ", "),
                                 fmt::join(dilations, ", "));
  if (is_average) text += fmt::format(", count_include_pad = {}", draw(0, 1));
  if (const int64_t which = draw(0, 5); which < 3) {
    const std::array modes = {"VALID", "SAME_UPPER", "SAME_LOWER"};
    return text + fmt::format(", auto_pad = \"{}\"", modes[static_cast<size_t>(which)]);
  }
  return text + fmt::format(", pads = [{}]", fmt::join(pads, ", "));
}

TEST_CASE("pools with ceil_mode are pools with padding at the end") {
  std::mt19937_64 random(7);
  int64_t plain = 0;
  for (int64_t trial = 0; trial < 300; ++trial) {
    const std::string op = trial % 2 == 0 ? "AveragePool" : "MaxPool";
    const std::vector<int64_t> dims = {4, 3, 7 + trial % 5, 7 + trial % 3};
    const std::string text = fmt::format("input %x : float[N, {}]\n%y = {}(%x) {{{}}}\noutput y = %y",
                                         fmt::join(dims.begin() + 1, dims.end(), ", "), op,
                                         drawnPool(random, op == "AveragePool"));
    INFO(text);
    Graph graph = parse(text);
    plainPools(graph);
    const std::string line = linesWith(graph, op + "(");
    const auto has = [&](const char* text) { return line.find(text) != std::string::npos; };
    // ceil_mode says nothing with SAME.
    CHECK_FALSE((has("count_include_pad") && has("ceil_mode") && !has("SAME")));
    const bool has_pads_only = !has("ceil_mode") && !has("SAME");
    plain += has_pads_only ? 1 : 0;
    const std::vector<Tensor> inputs = {randomTensor(dims, 1)};
    checkClose(run(graph, inputs)[0], run(parse(text), inputs)[0]);
  }
  CHECK(plain > 240);  // in the others dilations would make a pad as large as the kernel
}

TEST_CASE("AveragePool whose extents are not known stays, and has no quantizer behind it") {
  Graph graph = parse(R"(
    input %x : float[N, 2, H, W]
    %y = AveragePool(%x) {kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1], ceil_mode = 1, count_include_pad = 1}
    output y = %y)");
  std::string reason;
  for (const PlacementEntry& entry : scaffold(graph, {})) reason = entry.reason;
  CHECK(reason == "ONNX Runtime's integer kernel computes other numbers");
}

}  // namespace
}  // namespace simaqat
