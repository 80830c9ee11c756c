// Forms that exporters write out: text in, text out, and numbers where the written form fails.
#include "qat/passes/exported_forms.h"

#include <cmath>
#include <limits>

#include "qat/passes/scaffold.h"
#include "qat/passes/simplify.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;

std::string after(void (*pass)(Graph&), const std::string& text) {
  Graph graph = parse(text);
  pass(graph);
  removeDeadCode(graph);
  return linesWith(graph, "");
}

std::string logarithm(const std::string& lines) {
  return "input %x : float[N, 3]\nconstant %one : float[] = [1]\n" + lines + "\noutput y = %y";
}

const std::string kLogSigmoid = logarithm("%s = Sigmoid(%x)\n%y = Log(%s)");
const std::string kLogOneMinusSigmoid =
    logarithm("%s = Sigmoid(%x)\n%d = Sub(%one, %s)\n%y = Log(%d)");
const std::string kLogOnePlusMinusSigmoid =
    logarithm("%s = Sigmoid(%x)\n%n = Neg(%s)\n%d = Add(%n, %one)\n%y = Log(%d)");
const std::string kLogSoftmax = logarithm("%s = Softmax(%x) {axis = 1}\n%y = Log(%s)");
const std::string kLogOnePlusExp = logarithm("%e = Exp(%x)\n%d = Add(%e, %one)\n%y = Log(%d)");

// What stands between input and output.
std::string nodesAfter(const std::string& text) {
  const std::string whole = after(stableLogarithms, text);
  const size_t begin = whole.find('\n') + 1;
  return whole.substr(begin, whole.rfind("output") - begin);
}

}  // namespace

TEST_CASE("logarithms have their stable forms") {
  CHECK(nodesAfter(kLogSigmoid) == unindented(R"(
    %y/negative : float[N, 3] = Neg(%x) "y/negative"
    %y/softplus : float[N, 3] = Softplus(%y/negative) "y/softplus"
    %y : float[N, 3] = Neg(%y/softplus) "y"
  )"));
  for (const std::string& text : {kLogOneMinusSigmoid, kLogOnePlusMinusSigmoid}) {
    CHECK(nodesAfter(text) == unindented(R"(
      %y/softplus : float[N, 3] = Softplus(%x) "y/softplus"
      %y : float[N, 3] = Neg(%y/softplus) "y"
    )"));
  }
  CHECK(nodesAfter(kLogSoftmax) == "%y : float[N, 3] = LogSoftmax(%x) {axis = 1} \"y\"\n");
  CHECK(nodesAfter(kLogOnePlusExp) == "%y : float[N, 3] = Softplus(%x) \"y\"\n");
}

TEST_CASE("what else uses a Sigmoid keeps it") {
  const std::string text = logarithm("%s = Sigmoid(%x)\n%y = Log(%s)\noutput s = %s");
  Graph graph = parse(text);
  stableLogarithms(graph);
  removeDeadCode(graph);
  CHECK(countNodes(graph, "Sigmoid") == 1);
  CHECK(countNodes(graph, "Softplus") == 1);
}

TEST_CASE("logarithms of something else stay") {
  for (const char* lines : {"%s = Relu(%x)\n%y = Log(%s)",  //
                            "%s = Sigmoid(%x)\n%d = Sub(%s, %one)\n%y = Log(%d)",
                            "%e = Exp(%x)\n%d = Add(%e, %two)\n%y = Log(%d)",
                            "%e = Exp(%x)\n%d = Add(%e, %deep)\n%y = Log(%d)",
                            "%e = Exp(%x)\n%d = Sub(%one, %e)\n%y = Log(%d)",
                            "%s = Softmax(%x)\n%d = Sub(%one, %s)\n%y = Log(%d)"}) {
    INFO(lines);
    // Another number, and a one that adds an axis.
    Graph graph = parse("constant %two : float[] = [2]\nconstant %deep : float[1, 1, 1] = [1]\n" +
                        logarithm(lines));
    stableLogarithms(graph);
    CHECK(countNodes(graph, "Log") == 1);
  }
}

TEST_CASE("stable logarithms are right where the written ones are not finite") {
  struct Case {
    std::string text;
    double (*value)(double);
    double (*slope)(double);
  };
  const auto softplus = [](double x) {
    return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
  };
  static const auto kSoftplus = softplus;
  const Case cases[] = {
      {kLogSigmoid, [](double x) { return -kSoftplus(-x); },
       [](double x) { return 1 / (1 + std::exp(x)); }},
      {kLogOneMinusSigmoid, [](double x) { return -kSoftplus(x); },
       [](double x) { return -1 / (1 + std::exp(-x)); }},
      {kLogOnePlusExp, [](double x) { return kSoftplus(x); },
       [](double x) { return 1 / (1 + std::exp(-x)); }},
  };
  const Tensor x =
      Tensor::of<float>({4, 3}, {-1e4f, -200, -90, -20, -1, 0, 1, 20, 40, 90, 200, 1e4f});
  for (const Case& one : cases) {
    INFO(one.text);
    Graph graph = parse(one.text);
    // The written form is what the test is about: it does fail here.
    const Tensor written = run(graph, {x})[0];
    bool all_finite = true;
    for (const float y : written.toVector<float>()) all_finite = all_finite && std::isfinite(y);
    CHECK(!all_finite);
    stableLogarithms(graph);
    const std::vector<double> y = run(graph, {x})[0].toVector<double>();
    const std::vector<double> dx = gradients(graph, {x})[0].toVector<double>();
    for (int64_t i = 0; i < x.size(); ++i) {
      const double at = x.data<float>()[i];
      INFO(at);
      CHECK(y[static_cast<size_t>(i)] == Catch::Approx(one.value(at)).epsilon(1e-6).margin(1e-30));
      CHECK(dx[static_cast<size_t>(i)] == Catch::Approx(one.slope(at)).epsilon(1e-6).margin(1e-30));
    }
  }
}

TEST_CASE("the logarithm of a Softmax is finite for classes that are out of the question") {
  Graph graph = parse(kLogSoftmax);
  const Tensor x = Tensor::of<float>({4, 3}, {0, -200, 300, 1, 2, 3, 1e4f, 0, -1e4f, 0, 0, 0});
  CHECK(std::isinf(run(graph, {x})[0].toVector<float>()[0]));
  stableLogarithms(graph);
  const std::vector<float> y = run(graph, {x})[0].toVector<float>();
  CHECK(y[0] == -300);
  CHECK(y[1] == -500);
  CHECK(y[2] == 0);
  CHECK(y[8] == -2e4f);
  // By the sum of the outputs: 1 - 3 softmax(x).
  const std::vector<float> dx = gradients(graph, {x})[0].toVector<float>();
  CHECK(dx[0] == 1);
  CHECK(dx[1] == 1);
  CHECK(dx[2] == -2);
  CHECK(dx[9] == Catch::Approx(0).margin(1e-6));
}

namespace {

// A draw for each sample, as exporters write stochastic depth; `factor` is what x is multiplied by.
std::string dropPath(const std::string& draw, const std::string& product) {
  return R"(
    input %x : float[N, 3, 2]
    constant %keep : float[] = [0.75]
    constant %inverse : float[] = [1.3333333]
    constant %zero : int64[1] = [0]
    constant %ones : int64[2] = [1, 1]
    %shape = Shape(%x)
    %n = Gather(%shape, %zero)
    %to = Concat(%n, %ones) {axis = 0}
    %like = ConstantOfShape(%to)
    %u = RandomUniformLike(%like) {dtype = 1}
    )" + draw +
         "\n" + product + "\n%y = Relu(%d)\noutput y = %y";
}

const std::string kLess = "%b = Less(%u, %keep)\n%m = Cast(%b) {to = 1}";
const std::string kFloor = "%b = Add(%keep, %u)\n%m = Floor(%b)";
const std::string kMask = "%f = Div(%m, %keep)\n%d = Mul(%x, %f) \"drop\"";

Graph recognized(const std::string& text) {
  Graph graph = parse(text);
  dropPaths(graph);
  removeDeadCode(graph);
  return graph;
}

}  // namespace

TEST_CASE("stochastic depth is recognized in the ways that exporters write it") {
  for (const std::string& text :
       {dropPath(kLess, kMask), dropPath(kFloor, kMask),
        dropPath("%b = LessOrEqual(%u, %keep)\n%m = Cast(%b) {to = 1}", kMask),
        dropPath("%b = Greater(%keep, %u)\n%m = Cast(%b) {to = 1}", kMask),
        dropPath(kLess, "%p = Mul(%x, %m)\n%d = Div(%p, %keep) \"drop\""),
        dropPath(kLess, "%p = Mul(%m, %x)\n%d = Mul(%p, %inverse) \"drop\""),
        dropPath(kFloor, "%f = Mul(%m, %inverse)\n%d = Mul(%x, %f) \"drop\""),
        dropPath(kLess, "%f = Div(%m, %keep)\n%d = Mul(%f, %x) \"drop\""),
        dropPath(kFloor, "%f = Div(%x, %keep)\n%d = Mul(%f, %m) \"drop\"")}) {
    INFO(text);
    const Graph graph = recognized(text);
    CHECK(linesWith(graph, "DropPath") ==
          "%d : float[N, 3, 2], %drop.1 : float[?, ?, ?] = simaqat::DropPath(%x, %like, %keep) "
          "\"drop\"\n");
    CHECK(countNodes(graph, "RandomUniformLike") == 0);
    CHECK(countNodes(graph, "Mul") == 0);
    requireDeterminedEvaluation(graph);
    CHECK(linesWith(evaluationOf(graph), "") == unindented(R"(
      input %x : float[N, 3, 2]
      %y : float[N, 3, 2] = Relu(%x) "y"
      output y = %y
    )"));
  }
}

TEST_CASE("a draw by the probability of being left out is one by what is left") {
  for (const char* draw :
       {"%b = Greater(%u, %drop)\n%m = Cast(%b) {to = 1}",
        "%b = GreaterOrEqual(%u, %drop)\n%m = Cast(%b) {to = 1}",
        "%b = Less(%drop, %u)\n%m = Cast(%b) {to = 1}",
        "%l = Less(%u, %drop)\n%b = Not(%l)\n%m = Cast(%b) {to = 1}",
        "%e = Expand(%keep, %to)\n%m = Bernoulli(%e)",
        "%e = Expand(%keep, %to)\n%b = Less(%u, %e)\n%m = Cast(%b) {to = 1}"}) {
    INFO(draw);
    const Graph graph = recognized("constant %drop : float[] = [0.25]\n" + dropPath(draw, kMask));
    REQUIRE(countNodes(graph, "simaqat::DropPath") == 1);
    const Node& dropped = producerOf(graph, "d");
    CHECK(dropped.input(2)->constant.toVector<float>()[0] == 0.75f);
    requireDeterminedEvaluation(graph);
  }
}

TEST_CASE("stochastic depth drops whole samples in training, others each step") {
  Graph graph = recognized(dropPath(kLess, kMask));
  specialize(graph, Specialization{Mode::kTrain});
  const Tensor ones = Tensor::of<float>({4, 3, 2}, std::vector<float>(24, 1));
  const std::vector<float> y = run(graph, {ones})[0].toVector<float>();
  for (size_t i = 0; i < 24; ++i) {
    CHECK((y[i] == 0 || y[i] == Catch::Approx(1 / 0.75)));
    CHECK(y[i] == y[i / 6 * 6]);
  }
  // What is dropped forward is dropped backward.
  CHECK(gradients(graph, {ones})[0].toVector<float>() == y);
}

TEST_CASE("stochastic depth has no quantizer of its own") {
  Graph graph = recognized(dropPath(kLess, kMask));
  scaffold(graph, {});
  CHECK(producerOf(graph, "d").opType() == "DropPath");
  // The output kept its name for what leaves.
  CHECK(producerOf(graph, "y/raw").input(0) == graph.findValue("d"));
}

TEST_CASE("other random numbers that evaluation depends on are an error that names the node") {
  for (const std::string& text :
       {dropPath(kLess, "%d = Mul(%x, %m)"),                       // not scaled
        dropPath(kLess, "%f = Div(%m, %half)\n%d = Mul(%x, %f)"),  // by another number
        dropPath("%m = Mul(%u, %keep)", "%d = Add(%x, %m)")}) {    // noise
    INFO(text);
    const Graph graph = recognized("constant %half : float[] = [0.5]\n" + text);
    CHECK(countNodes(graph, "simaqat::DropPath") == 0);
    CHECK_THROWS_WITH(requireDeterminedEvaluation(graph),
                      ContainsSubstring("RandomUniformLike 'u' draws random numbers"));
  }
  Graph unused = parse(dropPath(kLess, "%d = Mul(%x, %m)"));
  unused.outputs = {{"x", unused.findValue("x")}};
  requireDeterminedEvaluation(unused);
}

TEST_CASE("Softmax over several axes is Flatten, Softmax and Reshape") {
  CHECK(after(flattenedSoftmaxes, R"(
    input %x : float[N, 6, 4, 4]
    %y = Softmax(%x) {axis = 1, flatten = 1}
    output y = %y)") == unindented(R"(
    input %x : float[N, 6, 4, 4]
    constant %y/shape : int64[4] = [-1, 6, 4, 4]
    %y/flatten : float[N, 96] = Flatten(%x) "y/flatten"
    %y.1 : float[N, 96] = Softmax(%y/flatten) "y"
    %y : float[N, 6, 4, 4] = Reshape(%y.1, %y/shape) "y/reshape"
    output y = %y
)"));
  const Tensor x = randomTensor({4, 3, 2, 2}, 1);
  for (const std::string op_type : {"Softmax", "LogSoftmax", "Hardmax"}) {
    for (const std::string axis : {"0", "1", "2", "3", "-2"}) {
      INFO(op_type << " from axis " << axis);
      Graph graph = parse("input %x : float[N, 3, H, H]\n%y = " + op_type + "(%x) {axis = " + axis +
                          ", flatten = 1}\noutput y = %y");
      flattenedSoftmaxes(graph);
      bindShapes(graph, {{"N", 4}, {"H", 2}});
      // Each group of so many elements is one distribution.
      const int64_t first = std::stoll(axis) < 0 ? 2 : std::stoll(axis);
      const size_t group = first == 0 ? 48 : first == 1 ? 12 : first == 2 ? 4 : 2;
      const std::vector<double> y = run(graph, {x})[0].toVector<double>();
      for (size_t i = 0; i < y.size(); i += group) {
        double sum = 0;
        for (size_t k = i; k < i + group; ++k) sum += op_type == "LogSoftmax" ? std::exp(y[k]) : y[k];
        CHECK(sum == Catch::Approx(1));
      }
    }
  }
}

TEST_CASE("Softmax over one axis stays one node") {
  for (const char* input : {"float[N, 6]", "float[N, 6, 1, 1]"}) {
    const std::string text = after(
        flattenedSoftmaxes, std::string("input %x : ") + input +
                                "\n%y = Softmax(%x) {axis = 1, flatten = 1}\noutput y = %y");
    INFO(text);
    CHECK_THAT(text, ContainsSubstring("Softmax(%x) {axis = 1}"));
  }
}

namespace {

// A network that keeps channels last between its convolutions.
const std::string kChannelsLast = R"(
    input %x : float[N, 6, 5, 3]
    weight %w : float[4, 3, 3, 3] = [0.1, ...]
    weight %v : float[4, 4, 1, 1] = [0.2, ...]
    weight %shift : float[4] = [1, 2, 3, 4]
    weight %gamma : float[4] = [1, ...]
    batch_norm_statistic %mean : float[4] = [0, ...]
    constant %place : float[4, 3, 1] = [0.5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    constant %six : float[] = [6]
    constant %pads : int64[8] = [0, 1, 2, 0, 0, 0, 1, 0]
    constant %axes : int64[2] = [1, 2]
    %a = Transpose(%x) {perm = [0, 3, 1, 2]}
    %b = Conv(%a, %w)
    %c = Transpose(%b) {perm = [0, 2, 3, 1]}
    %d = Add(%c, %shift)
    %e = Transpose(%d) {perm = [0, 3, 1, 2]}
    %f = BatchNormalization(%e, %gamma, %gamma, %mean, %gamma)
    %g = Transpose(%f) {perm = [0, 2, 3, 1]}
    %h = Clip(%g, _, %six)
    %i = Mul(%h, %place)
    %p = Pad(%i, %pads)
    %j = Transpose(%p) {perm = [0, 3, 1, 2]}
    %k = Conv(%j, %v)
    %l = Transpose(%k) {perm = [0, 2, 3, 1]}
    %o = Concat(%l, %p) {axis = 3}
    %m = ReduceMean(%o, %axes) {keepdims = 0}
    output m = %m)";

}  // namespace

TEST_CASE("Transposes of the layout cancel through what computes elements") {
  Graph graph = parse(kChannelsLast);
  cancelTransposes(graph);
  removeDeadCode(graph);
  linesWith(graph, "");
  // The input's own, and the one of the operand with two axes.
  CHECK(countNodes(graph, "Transpose") == 2);
  CHECK(producerOf(graph, "f").input(0)->producer()->opType() == "Add");
  const Tensor x = randomTensor({4, 6, 5, 3}, 1);
  const std::vector<float> expected = run(parse(kChannelsLast), {x})[0].toVector<float>();
  const std::vector<float> y = run(graph, {x})[0].toVector<float>();
  REQUIRE(y.size() == expected.size());
  for (size_t i = 0; i < y.size(); ++i) CHECK(y[i] == Catch::Approx(expected[i]).epsilon(1e-5));
}

TEST_CASE("Transposes that do not cancel stay where they are") {
  for (const char* nodes :
       {// Another order than channels last, as attention has it.
        "%t = Transpose(%x) {perm = [0, 2, 1, 3]}\n%r = Relu(%t)\n"
        "%y = Transpose(%r) {perm = [0, 2, 1, 3]}",
        // Normalized over the last axis.
        "%t = Transpose(%x) {perm = [0, 2, 3, 1]}\n%r = LayerNormalization(%t, %one)\n"
        "%y = Transpose(%r) {perm = [0, 3, 1, 2]}",
        // An output in between, and two that would become three.
        "%t = Transpose(%x) {perm = [0, 2, 3, 1]}\n%r = Relu(%t)\n%y = Sigmoid(%t)\n"
        "output r = %r"}) {
    const std::string text = std::string("input %x : float[N, 4, 4, 4]\nconstant %one : float[4] = "
                                         "[1, ...]\n") + nodes + "\noutput y = %y";
    INFO(text);
    Graph graph = parse(text);
    const std::string before = linesWith(graph, "");
    cancelTransposes(graph);
    CHECK(linesWith(graph, "") == before);
  }
}

}  // namespace simaqat
