#include "qat/ir/parser.h"

#include <cmath>

#include "qat/ir/op.h"
#include "qat/ir/printer.h"
#include "qat/ir/verifier.h"
#include "qat/ops/registry.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;

Graph parse(const std::string& text) { return parseText(text, opRegistry()); }

// Prints as it was, and parses to a graph that holds together.
void checkRoundTrip(const std::string& text) {
  const Graph graph = parse(text);
  CHECK(toText(graph) == text);
  verify(graph, "parsing");
}

TEST_CASE("a graph with everything in it reads as it prints") {
  checkRoundTrip(
      R"(input %x : float[N, 3, height/2 - 1, ?]
input %any : float[*]
input %flag : bool[]
weight %w : float[4, 3, 1, 1] = [0.5, -0.25, 1e-05, inf, -inf, nan, 3, 4, ...]
weight %gamma : float[4] = [1, 1, 1, 1]
weight %beta : float[4] = [0, 0, 0, 0]
batch_norm_statistic %mean : float[4] = [0, 0, 0, 0]
batch_norm_statistic %var : float[4] = [1, 1, 1, 1]
quantizer_scale %x/scale : float[] = [1]
quantizer_scale %x/zero_point : float[] = [0]
observer_range %x/range_min : float[] = [inf]
observer_range %x/range_max : float[] = [-inf]
momentum %w/momentum : float[4, 3, 1, 1] = [0, 0, 0, 0, 0, 0, 0, 0, ...]
constant %shape : int64[2] = [-1, 9223372036854775807]
constant %codes : int8[2] = [-128, 127]
constant %mask : bool[2] = [0, 1]
constant %empty : int64[0] = []
%xq : float[N, 3, height/2 - 1, ?] @x = simaqat::FakeQuantize(%x, %x/scale, %x/zero_point, %x/range_min, %x/range_max) {qmax = 255, qmin = 0, upper_bound = 6.0} "x/fake_quantize"
%conv : float[N, 4, ?, ?] = Conv(%xq, %w) {kernel_shape = [1, 1]} "conv"
%bn : float[N, 4, ?, ?], %bn.1 : float[4], %bn.2 : float[4] = BatchNormalization(%conv, %gamma, %beta, %mean, %var) {epsilon = 0.001, training_mode = 1} "bn"
%low : float[N, 4, ?, ?] = Clip(%bn, _, %x/scale) "low"
%m : float[*] = Mul(%any, %w/momentum) "m"
%c : int64[2] = Concat(%shape, %empty) {axis = 0} "c"
%d : int8[2] = Where(%mask, %codes, %codes) "d"
next %mean = %bn.1
next %var = %bn.2
output y = %low
output again = %low
output m = %m
output c = %c
output d = %d
)");
}

TEST_CASE("names with spaces and punctuation stand in quotes") {
  checkRoundTrip(R"_(input %"the input, (raw)" : float[2]
%onnx::Relu_1 : float[2] @"q = 1" = Relu(%"the input, (raw)") "say \"hi\" \\ there\nand go"
output "a, b" = %onnx::Relu_1
)_");
}

TEST_CASE("attributes of every kind keep theirs") {
  checkRoundTrip(R"(input %x : float[2, 3]
constant %n : int64[1] = [2]
%a : double[2] = ConstantOfShape(%n) {value = double[1] [0.25]} "a"
%b : float[2, 3] = Elu(%x) {alpha = 2.0} "b"
%c : float[3, 2] = Transpose(%b) {perm = [1, 0]} "c"
output a = %a
output c = %c
)");
}

TEST_CASE("every operator's examples read as they print") {
  for (const auto& [name, op] : opRegistry().all()) {
    if (op->examples == nullptr) continue;
    for (const OpExample& example : op->examples()) {
      INFO(name << ", " << example.name);
      Graph graph(opRegistry());
      std::vector<Value*> inputs;
      for (const Tensor& input : example.inputs) {
        inputs.push_back(input.defined() ? graph.addConstant("x", input) : nullptr);
      }
      auto attributes = op->make_attributes();
      attributes->parse(example.attributes);
      Graph::NodeOptions options;
      options.output_count = example.output_count;
      Node* node =
          graph.addNode(op->qualifiedName(), "node", inputs, std::move(attributes), options);
      graph.outputs.push_back({"y", node->output()});
      checkRoundTrip(toText(graph));
    }
  }
}

TEST_CASE("types and names of nodes may be left out") {
  const Graph graph = parse(R"(
    # A comment.
    input %x : float[N, 3]
    weight %w : float[4, 3] = [0.5, ...]
    %y = Gemm(%x, %w) {transB = 1}
    output y = %y)");
  CHECK(toText(graph) == R"(input %x : float[N, 3]
weight %w : float[4, 3] = [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, ...]
%y : float[N, 4] = Gemm(%x, %w) {transB = 1} "y"
output y = %y
)");
}

TEST_CASE("dots repeat the last element") {
  const Graph graph = parse("constant %a : float[4] = [...]\nconstant %b : int32[4] = [1, 2, ...]");
  CHECK(graph.findValue("a")->constant.toVector<int>() == std::vector<int>{0, 0, 0, 0});
  CHECK(graph.findValue("b")->constant.toVector<int>() == std::vector<int>{1, 2, 2, 2});
}

TEST_CASE("floats keep their bits") {
  Graph graph(opRegistry());
  const float values[] = {0.1f, 1.17549435e-38f, 1e-45f, 3.4028235e38f, -0.0f, 16777217.0f};
  for (float value : values) {
    graph.outputs.push_back({"y", graph.addConstant("c", Tensor::scalar(value))});
  }
  const Graph again = parse(toText(graph));
  for (const auto& value : graph.values()) {
    CHECK(again.findValue(value->name())->constant.identical(value->constant));
  }
}

TEST_CASE("a quantizer has the parameters of its FakeQuantize, and others share it") {
  const Graph graph = parse(R"(input %x : float[1, 4]
    quantizer_scale %s : float[] = [0.5]
    quantizer_scale %z : float[] = [3]
    %q @x = simaqat::FakeQuantize(%x, %s, %z) {qmin = 0, qmax = 127, observer = "fixed"}
    %f @x = Flatten(%q)
    output y = %f)");
  REQUIRE(graph.quantizers().size() == 1);
  const Quantizer* quantizer = graph.findValue("q")->quantizer;
  CHECK(quantizer->spec.qmax == 127);
  CHECK(quantizer->spec.observer == "fixed");
  CHECK(quantizer->scale == graph.findValue("s"));
  CHECK(quantizer->zero_point == graph.findValue("z"));
  CHECK(graph.findValue("f")->quantizer == quantizer);
}

TEST_CASE("errors name the line") {
  const auto error = [](const std::string& text) -> std::string {
    try {
      parse(text);
    } catch (const Error& e) {
      CHECK(e.kind() == ErrorKind::kInput);
      return e.what();
    }
    return "no error";
  };
  const std::string x = "input %x : float[2]\n";
  CHECK(error(x + "%y = Rellu(%x)") == "line 2: operator 'Rellu' is not known");
  CHECK(error(x + "\n%y = Relu(%z)") == "line 3: '%z' is not defined");
  CHECK(error(x + x) == "line 2: '%x' is defined twice");
  CHECK(error(x + "%x = Relu(%x)") == "line 2: '%x' is defined twice");
  CHECK(error(x + "%y = Relu(%x, %x)") == "line 2: expected 1 to 1 inputs, got 2");
  CHECK(error(x + "%y = Add(_, %x)") == "line 2: input 0 is missing");
  CHECK(error(x + "%y, %z = Relu(%x)") == "line 2: expected 1 to 1 outputs, got 2");
  CHECK(error(x + "%y = Relu(%x) {alpha = 1}") == "line 2: attribute 'alpha' is not known");
  CHECK(error(x + "%y = Elu(%x) {alpha = 1}") ==
        "line 2: attribute 'alpha' has the wrong type (an integer)");
  CHECK(error(x + "%y = Elu(%x) {alpha = 1..2}") == "line 2: '1..2' is not a number");
  CHECK(error(x + "%y = Relu(%x) \"open") == "line 2: expected text in quotes, got '\"open'");
  CHECK(error(x + "%y = Relu(%x) \"y\" more") ==
        "line 2: expected the end of the line, got 'more'");
  CHECK(error(x + "next %x = %x") == "line 2: '%x' is not a variable");
  CHECK(error(x + "output y = %y") == "line 2: '%y' is not defined");
  CHECK(error("input %x : floot[2]") == "line 1: 'floot' is not an element type");
  CHECK(error("input %x : float[2") == "line 1: expected ',', got 'the end of the line'");
  CHECK(error("weight %w : float[2] = [1]") == "line 1: expected 2 elements, got 1");
  CHECK(error("weight %w : float[2] = [1, 2, 3]") == "line 1: more than 2 elements");
  CHECK(error("weight %w : float[N] = [1]") == "line 1: the shape float[N] is not known");
  CHECK(error("constant %c : int8[1] = [128]") == "line 1: '128' is not a number");
  CHECK(error("wait %w : float[1] = [1]") ==
        "line 1: expected input, constant, a variable's role, a value, next or output, got "
        "'wait %w : float[1] = [1]'");
  // What the shape rules find.
  CHECK_THAT(error(x + "constant %c : float[3] = [...]\n%y = Add(%x, %c)"),
             ContainsSubstring("line 3: Add 'y' shapes [2] and [3] do not broadcast"));
}

}  // namespace
}  // namespace simaqat
