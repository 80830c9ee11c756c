// Where gradients flow, and where they end.
#include "qat/autodiff/differentiate.h"

#include <cmath>
#include <limits>

#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/examples.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

// Numbers at which functions or their derivatives are not finite, all left out by `mask` but 0.5.
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
const std::vector<float> kNumbers = {0,      -2,        2,          1,    -1,  1e30f,
                                     -1e30f, kInfinity, -kInfinity, kNaN, 0.5f};
const int64_t kCount = static_cast<int64_t>(kNumbers.size());

Tensor mask() {
  Tensor tensor(ElementType::kBool, {kCount});
  tensor.mutableData<bool>()[kCount - 1] = true;
  return tensor;
}

// Of Where(mask, f, 0) by x: 0 but at the last element, whatever f is elsewhere.
void checkLeftOut(const std::string& lines) {
  INFO(lines);
  const Graph graph = parse(fmt::format(R"(
    input %mask : bool[{0}]
    input %x : float[{0}]
    constant %zero : float[] = [0]
    constant %two : float[] = [2]
    {1}
    %y = Where(%mask, %f, %zero)
    output y = %y)",
                                        kCount, lines));
  const Tensor x = Tensor::of<float>({kCount}, kNumbers);
  // Node by node, and with what is elementwise run as one.
  for (const bool fused : {false, true}) {
    const Tensor dx = gradients(graph, {mask(), x}, fused)[1];
    REQUIRE(dx.defined());
    for (int64_t i = 0; i + 1 < kCount; ++i) {
      INFO(kNumbers[static_cast<size_t>(i)] << (fused ? ", fused" : ""));
      CHECK(dx.data<float>()[i] == 0);
    }
  }
}

}  // namespace

TEST_CASE("0 times NaN of a branch that Where left out does not reach a gradient") {
  int functions = 0;
  for (const auto& [name, op] : opRegistry().all()) {
    const bool elementwise = op->infer == &ops::inferSameAsInput && op->max_inputs == 1;
    if (!elementwise || op->gradient == nullptr) continue;
    checkLeftOut("%f = " + name + "(%x)");
    // Nor of what comes before and behind.
    checkLeftOut("%a = Log(%x)\n%f = " + name + "(%a)");
    checkLeftOut("%a = " + name + "(%x)\n%f = Sqrt(%a)");
    ++functions;
  }
  CHECK(functions >= 30);
  for (const char* lines :
       {"%f = Mul(%x, %x)", "%f = Div(%two, %x)", "%f = Div(%x, %zero)", "%f = Pow(%x, %two)",
        "%f = Pow(%two, %x)", "%a = Neg(%two)\n%f = Pow(%x, %a)", "%f = Max(%x, %two)",
        "%f = PRelu(%x, %two)", "%f = Mod(%x, %x) {fmod = 1}", "%f = Clip(%x, %zero, %two)"}) {
    checkLeftOut(lines);
  }
}

TEST_CASE("a row of a softmax that Where left out reaches no gradient") {
  for (const char* softmax : {"Softmax", "LogSoftmax"}) {
    INFO(softmax);
    const Graph graph = parse(fmt::format(R"(
      input %mask : bool[2, 1]
      input %x : float[2, 3]
      constant %zero : float[] = [0]
      %f = {}(%x)
      %y = Where(%mask, %f, %zero)
      output y = %y)",
                                          softmax));
    Tensor rows(ElementType::kBool, {2, 1});
    rows.mutableData<bool>()[1] = true;
    // All of a row masked by minus infinity, as attention does, has no softmax.
    const std::vector<float> dx =
        gradients(graph, {rows, Tensor::of<float>(
                                    {2, 3}, {-kInfinity, -kInfinity, -kInfinity, 0, 1, 2})})[1]
            .toVector<float>();
    for (size_t i = 0; i < 3; ++i) CHECK(dx[i] == 0);
    for (size_t i = 3; i < 6; ++i) CHECK(std::isfinite(dx[i]));
  }
}

TEST_CASE("a sum of products in a branch that Where left out reaches no gradient") {
  // The first of the two samples is not finite, and left out.
  struct Branch {
    std::vector<int64_t> x;
    std::vector<int64_t> w;
    std::string lines;
  };
  const std::vector<Branch> branches = {
      {{2, 3}, {3, 4}, "%f = MatMul(%x, %w)"},
      {{2, 1, 3}, {2, 3, 4}, "%f = MatMul(%x, %w)"},
      {{2, 3}, {4, 3}, "%f = Gemm(%x, %w) {transB = 1}"},
      {{2, 3, 4}, {2, 3, 2}, "%f = Conv(%x, %w)"},
      {{2, 3, 4}, {3, 2, 2}, "%f = ConvTranspose(%x, %w)"},
      {{2, 3}, {3, 4}, "%f = Einsum(%x, %w) {equation = \"bi,ij->bj\"}"},
      {{2, 3}, {3}, "%f = LayerNormalization(%x, %w)"},
      {{2, 3}, {3}, "%f = RMSNormalization(%x, %w)"},
      {{2, 3, 4}, {3}, "%f = InstanceNormalization(%x, %w, %w)"},
      {{2, 3, 4}, {3}, "%f = GroupNormalization(%x, %w, %w) {num_groups = 3}"},
      {{2, 3}, {3, 4}, "%e = Exp(%x)\n%f = MatMul(%e, %w)"},
      {{2, 3}, {3, 4}, "%g = MatMul(%x, %w)\n%f = Relu(%g)"},
  };
  for (const Branch& branch : branches) {
    INFO(branch.lines);
    const size_t rank = branch.x.size();
    const Graph graph =
        parse(fmt::format(R"(
      input %mask : bool{}
      input %x : float{}
      input %w : float{}
      constant %zero : float[] = [0]
      {}
      %y = Where(%mask, %f, %zero)
      output y = %y)",
                          rank == 2 ? "[2, 1]" : "[2, 1, 1]", dimsToString(branch.x),
                          dimsToString(branch.w), branch.lines));
    Tensor chosen(ElementType::kBool,
                  rank == 2 ? std::vector<int64_t>{2, 1} : std::vector<int64_t>{2, 1, 1});
    chosen.mutableData<bool>()[1] = true;
    Tensor w = ops::exampleTensor(branch.w, 2).converted(ElementType::kFloat);
    const Tensor finite = ops::exampleTensor(branch.x, 1).converted(ElementType::kFloat);
    Tensor x = finite;
    const float values[] = {kNaN, kInfinity, -kInfinity};
    const int64_t half = x.size() / 2;
    for (int64_t i = 0; i < half; ++i) x.mutableData<float>()[i] = values[i % 3];

    const std::vector<Tensor> expected = gradients(graph, {chosen, finite, w});
    const std::vector<Tensor> got = gradients(graph, {chosen, x, w});
    for (int64_t i = 0; i < half; ++i) CHECK(got[1].data<float>()[i] == 0);
    for (int64_t i = half; i < x.size(); ++i) {
      CHECK(got[1].data<float>()[i] == expected[1].data<float>()[i]);
    }
    for (int64_t i = 0; i < w.size(); ++i) {
      CHECK(got[2].data<float>()[i] == expected[2].data<float>()[i]);
    }
  }
}

TEST_CASE("a sum of products that reaches the loss beside a Where keeps its infinity") {
  const Graph graph = parse(R"(
    input %mask : bool[2, 1]
    input %x : float[2, 2]
    input %w : float[2, 1]
    %f = MatMul(%x, %w)
    %y = Where(%mask, %f, %f)
    %z = Add(%y, %f)
    output z = %z)");
  const Tensor x = Tensor::of<float>({2, 2}, {kInfinity, 1, 2, 3});
  const Tensor w = Tensor::of<float>({2, 1}, {1, 1});
  const Tensor mask(ElementType::kBool, {2, 1});
  CHECK(std::isinf(gradients(graph, {mask, x, w})[2].data<float>()[0]));
}

TEST_CASE("a weight that is used in several ways has the sum of their gradients") {
  // sum(x w) + sum(3 w') + 2 w[1, 0] + sum of row 1
  const Graph graph = parse(R"(
    input %x : float[2, 2]
    input %w : float[2, 3]
    constant %three : float[] = [3]
    constant %two : float[] = [2]
    constant %starts : int64[2] = [1, 0]
    constant %ends : int64[2] = [2, 1]
    constant %row : int64[1] = [1]
    %i = Identity(%w)
    %product = MatMul(%x, %i)
    %t = Transpose(%w) {perm = [1, 0]}
    %scaled = Mul(%t, %three)
    %part = Slice(%w, %starts, %ends)
    %twice = Mul(%part, %two)
    %rows = Gather(%w, %row)
    output a = %product
    output b = %scaled
    output c = %twice
    output d = %rows)");
  const Tensor x = Tensor::of<float>({2, 2}, {1, 2, 3, 4});
  const Tensor dw = gradients(graph, {x, randomTensor({2, 3}, 1)})[1];
  CHECK(dw.toVector<float>() == std::vector<float>{4 + 3, 4 + 3, 4 + 3,  //
                                                   6 + 3 + 2 + 1, 6 + 3 + 1, 6 + 3 + 1});
}

TEST_CASE("comparisons, rounding, indices, shapes and a stop end the gradient") {
  for (const char* lines :
       {"%y = Round(%x)", "%y = Floor(%x)", "%y = Ceil(%x)", "%y = Sign(%x)",
        "%b = Greater(%x, %zero)\n%y = Cast(%b) {to = 1}",
        "%i = Cast(%x) {to = 7}\n%y = Cast(%i) {to = 1}", "%i = ArgMax(%x)\n%y = Cast(%i) {to = 1}",
        "%i = Shape(%x)\n%y = Cast(%i) {to = 1}", "%y = simaqat::StopGradient(%x)"}) {
    INFO(lines);
    const Graph graph =
        parse(std::string("input %x : float[3]\ninput %w : float[3]\n") +
              "constant %zero : float[] = [0]\n" + lines + "\noutput y = %y\noutput w = %w");
    const std::vector<Tensor> found =
        gradients(graph, {randomTensor({3}, 1), randomTensor({3}, 2)});
    CHECK(!found[0].defined());
    CHECK(found[1].defined());
  }
}

}  // namespace simaqat
