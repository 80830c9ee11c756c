#include "qat/exec/executor.h"

#include <limits>

#include "qat/ir/parser.h"
#include "qat/ops/registry.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;
using Floats = std::vector<float>;

struct Runner {
  explicit Runner(const std::string& text, int threads = 2)
      : pool(threads), executor(parseText(text, opRegistry()), pool) {}

  Floats variable(const std::string& name) const {
    return executor.variable(name).toVector<float>();
  }

  ThreadPool pool;
  Executor executor;
};

constexpr char kCounter[] = R"(
  input %x : float[2]
  batch_norm_statistic %sum : float[2] = [10, 20]
  %next = Add(%sum, %x)
  %y = Neg(%sum)
  next %sum = %next
  output y = %y)";

TEST_CASE("compute changes no variable, commit does") {
  Runner runner(kCounter);
  const Tensor x = Tensor::of<float>({2}, {1, 2});
  runner.executor.setInput(0, x);
  runner.executor.compute(0);
  runner.executor.compute(0);
  CHECK(runner.variable("sum") == Floats{10, 20});
  CHECK(runner.executor.outputTensor(0).toVector<float>() == Floats{-10, -20});
  runner.executor.commit();
  CHECK(runner.variable("sum") == Floats{11, 22});
  runner.executor.compute(1);
  runner.executor.commit();
  CHECK(runner.executor.outputTensor(0).toVector<float>() == Floats{-11, -22});
  CHECK(runner.variable("sum") == Floats{12, 24});
}

TEST_CASE("the optimizer updates in place, once per commit") {
  Runner runner(R"(
    input %g : float[2]
    input %rate : float[]
    weight %w : float[2] = [1, 2]
    momentum %v : float[2] = [0, 0]
    constant %one : float[] = [1]
    %w1, %v1 = simaqat::SgdMomentum(%w, %g, %v, %rate, %one) {momentum = 0.5, weight_decay = 0.0}
    %y = Relu(%w)
    next %w = %w1
    next %v = %v1
    output y = %y)");
  const Tensor g = Tensor::of<float>({2}, {1, -2});
  const Tensor rate = Tensor::scalar(0.5f);
  runner.executor.setInput(runner.executor.inputIndex("g"), g);
  runner.executor.setInput(runner.executor.inputIndex("rate"), rate);
  runner.executor.compute(0);
  CHECK(runner.variable("w") == Floats{1, 2});
  runner.executor.commit();
  CHECK(runner.variable("v") == Floats{1, -2});
  CHECK(runner.variable("w") == Floats{0.5f, 3});
  runner.executor.compute(1);
  runner.executor.commit();
  CHECK(runner.variable("v") == Floats{1.5f, -3});
  CHECK(runner.variable("w") == Floats{-0.25f, 4.5f});
}

TEST_CASE("two variables may swap") {
  Runner runner(R"(
    input %x : float[1]
    weight %a : float[1] = [1]
    weight %b : float[1] = [2]
    %y = Add(%a, %b)
    next %a = %b
    next %b = %a
    output y = %y)");
  const Tensor x = Tensor::of<float>({1}, {0});
  runner.executor.setInput(0, x);
  runner.executor.compute(0);
  runner.executor.commit();
  CHECK(runner.variable("a") == Floats{2});
  CHECK(runner.variable("b") == Floats{1});
}

TEST_CASE("variables are read, set and written back by name") {
  Graph graph = parseText(kCounter, opRegistry());
  ThreadPool pool(1);
  Executor executor(graph.clone(), pool);
  executor.setVariable("sum", Tensor::of<float>({2}, {5, 6}));
  const Tensor x = Tensor::of<float>({2}, {1, 1});
  executor.setInput(0, x);
  executor.compute(0);
  executor.commit();
  // The graph it was made from is another.
  CHECK(graph.findVariable("sum")->value.toVector<float>() == Floats{10, 20});
  executor.writeBack(graph);
  CHECK(graph.findVariable("sum")->value.toVector<float>() == Floats{6, 7});
}

TEST_CASE("inputs of another type or shape are errors that name them") {
  Runner runner(kCounter);
  CHECK_THROWS_WITH(runner.executor.setInput(0, Tensor::of<float>({3}, {1, 2, 3})),
                    ContainsSubstring("input 'x': expected float[2], got float[3]"));
  CHECK_THROWS_WITH(runner.executor.setInput(0, Tensor::of<int64_t>({2}, {1, 2})),
                    ContainsSubstring("got int64[2]"));
}

TEST_CASE("inputs and constants may leave as they are") {
  Runner runner(R"(
    input %x : float[2]
    constant %c : float[2] = [3, 4]
    weight %w : float[2] = [5, 6]
    output x = %x
    output c = %c
    output w = %w)");
  const Tensor x = Tensor::of<float>({2}, {1, 2});
  runner.executor.setInput(0, x);
  runner.executor.compute(0);
  CHECK(runner.executor.outputTensor(0).toVector<float>() == Floats{1, 2});
  CHECK(runner.executor.outputTensor(1).toVector<float>() == Floats{3, 4});
  CHECK(runner.executor.outputTensor(2).toVector<float>() == Floats{5, 6});
}

TEST_CASE("the first node that makes a number infinite is named") {
  Runner runner(R"(
    input %x : float[2]
    %a = Neg(%x)
    %l = Log(%a) "logarithm"
    %b = Exp(%l)
    %y = Add(%b, %a)
    output y = %y)");
  const Tensor good = Tensor::of<float>({2}, {-1, -2});
  runner.executor.setInput(0, good);
  CHECK(runner.executor.firstNonFinite(0).empty());
  const Tensor zero = Tensor::of<float>({2}, {-1, 0});
  runner.executor.setInput(0, zero);
  CHECK(runner.executor.firstNonFinite(0) == "Log 'logarithm'");
  // What was not finite to begin with is no node's fault.
  const Tensor bad = Tensor::of<float>({2}, {-1, std::numeric_limits<float>::infinity()});
  runner.executor.setInput(0, bad);
  CHECK(runner.executor.firstNonFinite(0).empty());
}

TEST_CASE("results do not depend on threads") {
  const std::string text = R"(
    input %x : float[3, 4, 16, 16]
    weight %w : float[8, 4, 3, 3] = [0.1, -0.7, 0.33, 0.05, ...]
    %c = Conv(%x, %w) {pads = [1, 1, 1, 1]}
    %r = Relu(%c)
    %y = GlobalAveragePool(%r)
    output y = %y)";
  Tensor x(ElementType::kFloat, {3, 4, 16, 16});
  const RandomStream random(1, 2, 3);
  for (int64_t i = 0; i < x.size(); ++i) {
    x.mutableData<float>()[i] = random.normal(static_cast<uint64_t>(i));
  }
  Tensor first;
  for (int threads : {1, 2, 3, 7}) {
    Runner runner(text, threads);
    runner.executor.setInput(0, x);
    runner.executor.compute(0);
    const Tensor y = runner.executor.outputTensor(0);
    if (!first.defined()) first = y;
    CHECK(y.identical(first));
  }
}

}  // namespace
}  // namespace simaqat
