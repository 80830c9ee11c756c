#include "qat/exec/poison.h"

#include <cstdlib>

#include "qat/exec/executor.h"
#include "qat/ir/parser.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;

// Operators with one fault each.
void keepType(InferContext& c) { c.setOutput(0, c.input(0).element, c.input(0).shape); }

void leavesTheLast(const EvalContext& c) {
  for (int64_t i = 0; i + 1 < c.out().size; ++i) {
    c.out().data<float>()[i] = c.in(0).data<float>()[i];
  }
}

void readsItsWorkspace(const EvalContext& c) {
  for (int64_t i = 0; i < c.out().size; ++i) c.out().data<float>()[i] = c.in(0).data<float>()[i];
  std::memcpy(c.out().bytes + 4, c.workspace, 4);
}

void doubles(const EvalContext& c) {
  for (int64_t i = 0; i < c.out().size; ++i) {
    c.out().data<float>()[i] = 2 * c.in(0).data<float>()[i];
  }
}

OpRegistry registry() {
  OpRegistry all;
  const auto add = [&](const char* name, EvalFunction evaluate) {
    OpDefinition op;
    op.name = name;
    op.infer = keepType;
    op.evaluate = evaluate;
    op.workspace = [](const Node&, int) -> int64_t { return 4; };
    op.in_place = {{0, 0}};
    all.add(std::move(op));
  };
  add("LeavesTheLast", leavesTheLast);
  add("ReadsItsWorkspace", readsItsWorkspace);
  add("Doubles", doubles);
  return all;
}

// Of two nodes, of which the second may take the place of what the first one makes.
std::vector<float> run(const std::string& first, const std::string& second) {
  static const OpRegistry all = registry();
  const std::string text =
      "input %x : float[3]\n%y = " + first + "(%x)\n%z = " + second + "(%y)\noutput z = %z";
  ThreadPool pool(1);
  ::setenv("SIMAQAT_POISON", "1", 1);
  Executor executor(parseText(text, all), pool);
  ::unsetenv("SIMAQAT_POISON");
  const Tensor x = Tensor::of<float>({3}, {1, 2, 3});
  executor.setInput(0, x);
  executor.compute(0);
  return executor.outputTensor(0).toVector<float>();
}

TEST_CASE("memory that a node leaves unwritten shows, whatever was there") {
  CHECK_THROWS_WITH(
      run("LeavesTheLast", "Doubles"),
      ContainsSubstring("LeavesTheLast") && ContainsSubstring("element 2 of output 0"));
  CHECK_THROWS_WITH(
      run("ReadsItsWorkspace", "Doubles"),
      ContainsSubstring("ReadsItsWorkspace") && ContainsSubstring("element 1 of output 0"));
}

TEST_CASE("nodes that write all they should pass, in place too") {
  CHECK(run("Doubles", "Doubles") == std::vector<float>{4, 8, 12});
}

}  // namespace
}  // namespace simaqat
