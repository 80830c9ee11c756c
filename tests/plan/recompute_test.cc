#include "qat/plan/recompute.h"

#include "qat/exec/executor.h"
#include "qat/ir/parser.h"
#include "qat/ir/printer.h"
#include "qat/ir/verifier.h"
#include "qat/ops/registry.h"
#include "qat/plan/plan.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;

// Two values wait while two others, four times as large, are there.
constexpr char kWaiting[] = R"(
  input %x : float[64]
  constant %four : int64[1] = [4]
  %a = Neg(%x)
  %b = Exp(%a)
  %large = Tile(%b, %four)
  %larger = Exp(%large)
  %sum = ReduceSum(%larger)
  %c = Mul(%b, %a)
  %y = Mul(%c, %sum)
  output y = %y)";

Graph parsed(const std::string& text) { return parseText(text, opRegistry()); }

Tensor outputOf(Graph graph) {
  ThreadPool pool(1);
  Executor executor(std::move(graph), pool);
  Tensor x(ElementType::kFloat, {64});
  for (int64_t i = 0; i < 64; ++i) x.mutableData<float>()[i] = 0.01f * static_cast<float>(i);
  executor.setInput(0, x);
  executor.compute(0);
  return executor.outputTensor(0);
}

TEST_CASE("values are computed again until the plan fits, to the same numbers") {
  const Tensor expected = outputOf(parsed(kWaiting));
  Graph graph = parsed(kWaiting);
  const int64_t before = makePlan(graph, 1).arena_bytes;
  const Recomputation result = recomputeWithin(graph, before - 256, 1);
  verify(graph, "recomputation");
  CHECK(makePlan(graph, 1).arena_bytes <= before - 256);
  // Neg or Exp, of 64 elements each; the step's others are 7 nodes.
  CHECK(result.nodes >= 1);
  CHECK(result.operations == 64.0 * static_cast<double>(result.nodes));
  CHECK(result.all_operations == 64 + 64 + 256 + 256 + 1 + 64 + 64);
  CHECK(outputOf(std::move(graph)).identical(expected));
}

TEST_CASE("a plan that fits stays as it is") {
  Graph graph = parsed(kWaiting);
  const std::string text = toText(graph);
  CHECK(recomputeWithin(graph, makePlan(graph, 1).arena_bytes, 1).nodes == 0);
  CHECK(toText(graph) == text);
}

TEST_CASE("too little is an error that says how far it came") {
  Graph graph = parsed(kWaiting);
  CHECK_THROWS_WITH(recomputeWithin(graph, 64, 1),
                    ContainsSubstring("came down to") && ContainsSubstring("64"));
}

TEST_CASE("one of several outputs is computed again") {
  Graph graph = parsed(R"(
    input %x : float[128]
    constant %four : int64[1] = [4]
    %p, %q = Split(%x) {axis = 0, num_outputs = 2}
    %large = Tile(%x, %four)
    %larger = Exp(%large)
    %sum = ReduceSum(%larger)
    %y = Mul(%p, %sum)
    output y = %y)");
  const int64_t before = makePlan(graph, 1).arena_bytes;
  CHECK(recomputeWithin(graph, before - 256, 1).nodes == 1);
  verify(graph, "recomputation");
  CHECK(makePlan(graph, 1).arena_bytes <= before - 256);
}

TEST_CASE("random numbers are drawn once") {
  Graph graph = parsed(R"(
    input %x : float[64]
    constant %four : int64[1] = [4]
    %a = RandomUniformLike(%x)
    %large = Tile(%a, %four)
    %larger = Exp(%large)
    %sum = ReduceSum(%larger)
    %y = Mul(%a, %sum)
    output y = %y)");
  CHECK_THROWS_AS(recomputeWithin(graph, makePlan(graph, 1).arena_bytes - 256, 1), Error);
}

}  // namespace
}  // namespace simaqat
