#include "qat/passes/regions.h"

#include <set>

#include "qat/passes/scaffold.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

// Which values of the network are quantized, weights aside.
std::set<std::string> quantized(const std::string& text) {
  Graph graph = parse(text);
  scaffold(graph, {});
  std::set<std::string> values;
  for (const auto& node : graph.nodes()) {
    if (node->opType() != "FakeQuantize" || node->attributes<QuantizerSpec>().is_weight) continue;
    std::string name = node->input(0)->name();
    const std::string raw = "/raw";  // a graph output gave its name away
    if (name.size() > 4 && name.substr(name.size() - 4) == raw) name.resize(name.size() - 4);
    values.insert(name);
  }
  return values;
}

using Values = std::set<std::string>;

TEST_CASE("GELU by Erf, in the orders that exporters write") {
  const std::string constants = R"(
    input %x : float[N, 8]
    constant %root : float[] = [1.4142135]
    constant %one : float[] = [1]
    constant %half : float[] = [0.5]
    %d = Div(%x, %root)
    %e = Erf(%d)
    %a = Add(%e, %one))";
  CHECK(quantized(constants + R"(
    %m = Mul(%x, %a)
    %y = Mul(%m, %half)
    output y = %y)") == Values{"x", "y"});
  CHECK(quantized(constants + R"(
    %m = Mul(%x, %half)
    %y = Mul(%m, %a)
    output y = %y)") == Values{"x", "y"});
}

TEST_CASE("GELU by Tanh") {
  CHECK(quantized(R"(
    input %x : float[N, 8]
    constant %three : float[] = [3]
    constant %c : float[] = [0.044715]
    constant %k : float[] = [0.7978845]
    constant %one : float[] = [1]
    constant %half : float[] = [0.5]
    %p = Pow(%x, %three)
    %s = Mul(%p, %c)
    %t = Add(%x, %s)
    %u = Mul(%t, %k)
    %v = Tanh(%u)
    %w = Add(%v, %one)
    %h = Mul(%x, %half)
    %y = Mul(%h, %w)
    output y = %y)") == Values{"x", "y"});
}

TEST_CASE("HardSwish behind a convolution") {
  const std::string conv = R"(
    input %x : float[N, 3, 6, 6]
    weight %w : float[4, 3, 1, 1] = [1, ...]
    constant %three : float[] = [3]
    constant %zero : float[] = [0]
    constant %six : float[] = [6]
    %c = Conv(%x, %w))";
  CHECK(quantized(conv + R"(
    %a = Add(%c, %three)
    %r = Clip(%a, %zero, %six)
    %m = Mul(%c, %r)
    %y = Div(%m, %six)
    output y = %y)") == Values{"x", "c", "y"});
  CHECK(quantized(conv + R"(
    %h = HardSigmoid(%c)
    %y = Mul(%c, %h)
    output y = %y)") == Values{"x", "c", "y"});
  // Sigmoid and Mul have integer kernels each.
  CHECK(quantized(conv + R"(
    %s = Sigmoid(%c)
    %y = Mul(%c, %s)
    output y = %y)") == Values{"x", "c", "s", "y"});
}

constexpr char kLayerNorm[] = R"(
    input %x : float[N, 8]
    weight %gamma : float[8] = [1, ...]
    weight %beta : float[8] = [0, ...]
    constant %two : float[] = [2]
    constant %eps : float[] = [1e-5]
    constant %axes : int64[1] = [-1]
    %mean = ReduceMean(%x, %axes)
    %d = Sub(%x, %mean)
    %p = Pow(%d, %two)
    %var = ReduceMean(%p, %axes)
    %e = Add(%var, %eps)
    %s = Sqrt(%e)
    %n = Div(%d, %s))";

TEST_CASE("LayerNormalization with its scale and bias, and without") {
  CHECK(quantized(std::string(kLayerNorm) + R"(
    %g = Mul(%n, %gamma)
    %y = Add(%g, %beta)
    output y = %y)") == Values{"x", "y"});
  CHECK(quantized(std::string(kLayerNorm) + "\noutput n = %n") == Values{"x", "n"});
}

TEST_CASE("Softmax written out") {
  CHECK(quantized(R"(
    input %x : float[N, 8]
    constant %axes : int64[1] = [-1]
    %max = ReduceMax(%x, %axes)
    %d = Sub(%x, %max)
    %e = Exp(%d)
    %s = ReduceSum(%e, %axes)
    %y = Div(%e, %s)
    output y = %y)") == Values{"x", "y"});
}

TEST_CASE("what others see is quantized, and what has two sources is no function of one value") {
  CHECK(quantized(R"(
    input %x : float[N, 8]
    constant %one : float[] = [1]
    %e = Erf(%x)
    %a = Add(%e, %one)
    %m = Mul(%x, %a)
    output a = %a
    output m = %m)") == Values{"x", "a", "m"});
  CHECK(quantized(R"(
    input %x : float[N, 8]
    input %z : float[N, 8]
    %e = Erf(%x)
    %y = Mul(%e, %z)
    output y = %y)") == Values{"x", "z", "e", "y"});
  // A scale for each channel is an operand of its own where nothing is normalized.
  CHECK(quantized(R"(
    input %x : float[N, 8]
    weight %gamma : float[8] = [1, ...]
    constant %one : float[] = [1]
    %m = Mul(%x, %gamma)
    %y = Add(%m, %one)
    output y = %y)") == Values{"x", "m", "y"});
}

TEST_CASE("an activation stays with its convolution") {
  CHECK(quantized(R"(
    input %x : float[N, 3, 6, 6]
    weight %w : float[4, 3, 1, 1] = [1, ...]
    constant %two : float[] = [2]
    %c = Conv(%x, %w)
    %r = Relu(%c)
    %y = Mul(%r, %two)
    output y = %y)") == Values{"x", "r", "y"});
}

TEST_CASE("squeeze-excite: its gate is a function of its own, the product has two operands") {
  CHECK(quantized(R"(
    input %x : float[N, 4, 6, 6]
    weight %w1 : float[2, 4, 1, 1] = [1, ...]
    weight %w2 : float[4, 2, 1, 1] = [1, ...]
    %p = GlobalAveragePool(%x)
    %a = Conv(%p, %w1)
    %r = Relu(%a)
    %b = Conv(%r, %w2)
    %g = HardSigmoid(%b)
    %y = Mul(%g, %x)
    output y = %y)") == Values{"x", "p", "r", "b", "g", "y"});
}

// Attention of q, k and v whose scores %s become %m by `mask`.
std::set<std::string> quantizedAttention(const std::string& mask) {
  return quantized(R"(
    input %q : float[N, 2, 5, 4]
    input %k : float[N, 2, 5, 4]
    input %v : float[N, 2, 5, 4]
    constant %half : float[] = [0.5]
    %t = Transpose(%k) {perm = [0, 1, 3, 2]}
    %s = MatMul(%q, %t)
    )" + mask + R"(
    %p = Softmax(%m)
    %y = MatMul(%p, %v)
    output y = %y)");
}

TEST_CASE("scaled dot-product attention: scaling, masks and Softmax are one function") {
  const Values expected = {"q", "k", "v", "s", "p", "y"};
  CHECK(quantizedAttention("%m = Mul(%s, %half)") == expected);
  CHECK(quantizedAttention(R"(
    constant %mask : float[5, 5] = [0, -1e9, ...]
    %z = Mul(%s, %half)
    %m = Add(%z, %mask))") == expected);
  CHECK(quantizedAttention(R"(
    input %keep : bool[5, 5]
    constant %lowest : float[] = [-inf]
    %m = Where(%keep, %s, %lowest))") == expected);
  // A mask that is made of an input of the model, and between movements as a window's attention has
  // it.
  CHECK(quantizedAttention(R"(
    input %keep : float[N, 1, 1, 5]
    constant %one : float[] = [1]
    constant %lowest : float[] = [-1e9]
    %gone = Sub(%one, %keep)
    %mask = Mul(%gone, %lowest)
    %m = Add(%s, %mask))") == expected);
  CHECK(quantizedAttention(R"(
    weight %table : float[50] = [1, ...]
    constant %bias_shape : int64[3] = [2, 5, 5]
    constant %apart : int64[5] = [-1, 1, 2, 5, 5]
    constant %together : int64[4] = [-1, 2, 5, 5]
    constant %mask : float[5, 5] = [0, -100, ...]
    %bias = Reshape(%table, %bias_shape)
    %a = Add(%s, %bias)
    %r = Reshape(%a, %apart)
    %b = Add(%r, %mask)
    %m = Reshape(%b, %together))") == expected);
}

TEST_CASE("another function in front of a Softmax keeps its end") {
  CHECK(quantized(R"(
    input %x : float[N, 8]
    weight %w : float[8, 8] = [1, ...]
    constant %root : float[] = [1.4142135]
    constant %one : float[] = [1]
    constant %half : float[] = [0.5]
    %c = Gemm(%x, %w)
    %d = Div(%c, %root)
    %e = Erf(%d)
    %a = Add(%e, %one)
    %m = Mul(%c, %a)
    %g = Mul(%m, %half)
    %y = Softmax(%g)
    output y = %y)") == Values{"x", "c", "g", "y"});
}

TEST_CASE("LayerNormalization of rank 3, written as nodes") {
  CHECK(quantized(R"(
    input %x : float[N, 5, 8]
    weight %gamma : float[8] = [1, ...]
    weight %beta : float[8] = [1, ...]
    constant %last : int64[1] = [-1]
    constant %two : float[] = [2]
    constant %epsilon : float[] = [1e-5]
    %mean = ReduceMean(%x, %last)
    %d = Sub(%x, %mean)
    %s = Pow(%d, %two)
    %v = ReduceMean(%s, %last)
    %a = Add(%v, %epsilon)
    %r = Sqrt(%a)
    %q = Div(%d, %r)
    %z = Mul(%q, %gamma)
    %y = Add(%z, %beta)
    output y = %y)") == Values{"x", "y"});
}

TEST_CASE("a layer's bias in front of a Softmax is no mask") {
  CHECK(quantized(R"(
    input %x : float[N, 5, 4]
    weight %w : float[4, 3] = [1, ...]
    weight %b : float[3] = [1, ...]
    %s = MatMul(%x, %w)
    %a = Add(%s, %b)
    %y = Softmax(%a)
    output y = %y)") == Values{"x", "s", "a", "y"});
}

TEST_CASE("channel shuffle moves codes") {
  CHECK(quantized(R"(
    input %x : float[N, 4, 6, 6]
    constant %apart : int64[5] = [0, 2, 2, 6, 6]
    constant %together : int64[4] = [0, 4, 6, 6]
    %a = Reshape(%x, %apart)
    %b = Transpose(%a) {perm = [0, 2, 1, 3, 4]}
    %c = Reshape(%b, %together)
    %y = Relu(%c)
    output y = %y)") == Values{"x", "y"});
}

}  // namespace
}  // namespace simaqat
