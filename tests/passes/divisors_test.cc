// Divisors have no quantizer: a code of 0 would make an infinity of them.
#include "qat/passes/divisors.h"

#include "qat/passes/finalize.h"
#include "qat/passes/finalize_weights.h"
#include "qat/passes/scaffold.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;

// Two products of one input, and what the lines make of %a and %b.
std::string products(const std::string& lines) {
  return R"(
    input %x : float[N, 4, 4]
    weight %w : float[4, 4] = [0.5, 1, -1, 2, ...]
    weight %u : float[4, 4] = [1, -2, 1, 0.5, ...]
    constant %epsilon : float[] = [0.00001]
    constant %one : float[] = [1]
    constant %half : float[] = [-0.5]
    %a = MatMul(%x, %w)
    %b = MatMul(%x, %u)
    )" + lines +
         "\noutput y = %y";
}

// The reason for no quantizer at the node, "" where one is there.
std::string reasonAt(const std::string& text, const std::string& node,
                     const ScaffoldOptions& options = {}) {
  Graph graph = parse(text);
  for (const PlacementEntry& entry : scaffold(graph, options)) {
    if (entry.node == node) return entry.output.empty() ? entry.reason : "";
  }
  return "no such node";
}

TEST_CASE("what a node divides by stays float, and what that is made of") {
  const std::string reason = "a code of 0 would make Div 'y' infinite";
  const std::string plain = products("%y = Div(%a, %b)");
  CHECK(reasonAt(plain, "b") == reason);
  CHECK(reasonAt(plain, "a").empty());
  CHECK(reasonAt(plain, "y").empty());
  const std::string shifted = products("%s = Add(%b, %epsilon)\n%y = Div(%a, %s)");
  CHECK(reasonAt(shifted, "b") == reason);
  CHECK(reasonAt(shifted, "s") == reason);
  const std::string moved = products("%t = Transpose(%b) {perm = [0, 2, 1]}\n%y = Div(%a, %t)");
  CHECK(reasonAt(moved, "b") == reason);
  CHECK(reasonAt(moved, "t") == "its input is float");
  const std::string norm = products("%s = Mul(%b, %a)\n%r = Sqrt(%s)\n%y = Div(%a, %r)");
  CHECK(reasonAt(norm, "s") == "a code of 0 would make Sqrt 'r' infinite");
  CHECK(reasonAt(norm, "b").empty());
  for (const std::string line :
       {"%r = Reciprocal(%b)", "%r = Log(%b)", "%r = Sqrt(%b)", "%r = Pow(%b, %half)"}) {
    INFO(line);
    CHECK_THAT(reasonAt(products(line + "\n%y = Mul(%a, %r)"), "b"),
               ContainsSubstring("a code of 0 would make"));
  }
}

TEST_CASE("what a great constant keeps from 0 has its quantizer") {
  const std::string text = products("%p = Abs(%b)\n%s = Add(%p, %one)\n%y = Div(%a, %s)");
  CHECK(reasonAt(text, "b").empty());
  // A divisor that is stored, or an input's divisor of 1 or more, is none to be kept.
  CHECK(reasonAt(products("%y = Div(%a, %w)"), "a").empty());
}

TEST_CASE("an override quantizes a divisor") {
  ScaffoldOptions options;
  options.overrides.push_back(quantized("", "b", true));
  const std::string text = products("%y = Div(%a, %b)");
  CHECK(reasonAt(text, "b", options).empty());
  Graph graph = parse(text);
  scaffold(graph, options);
  CHECK(producerOf(graph, "y/raw").input(1)->producer()->op().name == "FakeQuantize");
}

TEST_CASE("beside an integer kernel the division alone takes the float") {
  Graph graph = parse(products("%c = MatMul(%b, %w)\n%y = Div(%c, %b)"));
  std::string kernels;
  for (const PlacementEntry& entry : scaffold(graph, {})) {
    if (entry.node == "b" || entry.node == "c") kernels += entry.kernel + "\n";
  }
  CHECK(kernels == "float: its output is used in float, too\ninteger\n");
  CHECK(producerOf(graph, "c/fake_quantize").input(0) == graph.findValue("c"));
  CHECK(producerOf(graph, "c").input(0) == graph.findValue("b/fake_quantize"));
  CHECK(producerOf(graph, "y/raw").input(1) == graph.findValue("b"));
  calibrate(graph, {randomTensor({4, 4, 4}, 3)});
  Graph evaluation = evaluationOf(graph);
  lowerWeights(evaluation);
  Graph finalized = graph.clone();
  finalize(finalized);
  const std::vector<Tensor> inputs = {randomTensor({4, 4, 4}, 5)};
  CHECK(run(finalized, inputs)[0].identical(run(evaluation, inputs)[0]));
}

TEST_CASE("an input of the model that is a divisor stays float") {
  const std::string text =
      "input %x : float[N, 4]\ninput %d : float[N, 4]\n%y = Div(%x, %d)\n"
      "output y = %y";
  CHECK(reasonAt(text, "d") == "a code of 0 would make Div 'y' infinite");
  CHECK(reasonAt(text, "x").empty());
}

}  // namespace
}  // namespace simaqat
