#include "qat/plan/plan.h"

#include "qat/ir/op.h"
#include "qat/ir/parser.h"
#include "qat/ops/registry.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

struct Planned {
  explicit Planned(const std::string& text)
      : graph(parseText(text, opRegistry())), plan(makePlan(graph, 1)) {}

  const Location& at(const std::string& name) const {
    return plan.locations.at(graph.findValue(name));
  }
  bool together(const std::string& a, const std::string& b) const {
    return at(a).kind == Location::Kind::kArena && at(b).kind == Location::Kind::kArena &&
           at(a).offset == at(b).offset;
  }

  Graph graph;
  Plan plan;
};

TEST_CASE("a value takes the place of one that is needed no more") {
  const Planned p(R"(
    input %x : float[100]
    %a = Neg(%x)
    %b = Relu(%a)
    %c = Relu(%b)
    output y = %c)");
  CHECK(p.together("a", "b"));
  CHECK(p.together("b", "c"));
  CHECK(p.plan.arena_bytes == 448);
  CHECK(p.plan.arena_bytes >= p.plan.lower_bound_bytes);
}

TEST_CASE("inputs, constants and variables are never overwritten") {
  const Planned p(R"(
    input %x : float[4]
    weight %w : float[4] = [1, 2, 3, 4]
    constant %c : float[4] = [1, 2, 3, 4]
    %a = Relu(%x)
    %b = Relu(%w)
    %d = Relu(%c)
    output a = %a
    output b = %b
    output d = %d)");
  CHECK(p.at("x").kind == Location::Kind::kInput);
  CHECK(p.at("w").kind == Location::Kind::kVariable);
  CHECK(p.at("c").kind == Location::Kind::kConstant);
  for (const char* name : {"a", "b", "d"}) CHECK(p.at(name).kind == Location::Kind::kArena);
  CHECK(!p.together("a", "b"));
  CHECK(!p.together("b", "d"));
}

TEST_CASE("scratch memory lives while its node runs") {
  const Planned p(R"(
    input %x : float[100, 100]
    %a = MatMul(%x, %x)
    %b = Concat(%a, %a, %a, %a) {axis = 0}
    %c = ReduceSum(%b) {keepdims = 0}
    %d = Add(%x, %c)
    %e = MatMul(%d, %d)
    output y = %e)");
  for (size_t i = 0; i < p.plan.schedule.size(); ++i) {
    const Node& node = *p.plan.schedule[i];
    if (node.op().name != "MatMul") continue;
    const int64_t scratch = node.op().workspace(node, 1);
    REQUIRE(scratch > 0);
    for (const Value* value : {node.input(0), node.output()}) {
      const Location& at = p.plan.locations.at(value);
      if (at.kind != Location::Kind::kArena) continue;
      const int64_t begin = p.plan.workspace_offsets[i];
      CHECK((at.offset + value->type.bytes() <= begin || begin + scratch <= at.offset));
    }
  }
  // Four matrices and the one they are made of live without any.
  CHECK(p.plan.arena_bytes == 5 * 40000);
}

TEST_CASE("what is needed later is not overwritten") {
  const Planned p(R"(
    input %x : float[4]
    %a = Neg(%x)
    %b = Relu(%a)
    %c = Add(%a, %b)
    output y = %c)");
  CHECK(!p.together("a", "b"));
  const Planned output(R"(
    input %x : float[4]
    %a = Neg(%x)
    %b = Relu(%a)
    output a = %a
    output b = %b)");
  CHECK(!output.together("a", "b"));
  const Planned next(R"(
    input %x : float[4]
    batch_norm_statistic %m : float[4] = [...]
    %a = Add(%x, %m)
    %b = Relu(%a)
    next %m = %a
    output b = %b)");
  CHECK(!next.together("a", "b"));
  CHECK(next.plan.copies.size() == 1);
}

TEST_CASE("a value that is both operands is not overwritten, nor one of another size") {
  const Planned twice(R"(
    input %x : float[4]
    %a = Neg(%x)
    %b = Add(%a, %a)
    output y = %b)");
  CHECK(!twice.together("a", "b"));
  const Planned grows(R"(
    input %x : float[1]
    input %z : float[4]
    %a = Neg(%x)
    %b = Add(%a, %z)
    output y = %b)");
  CHECK(!grows.together("a", "b"));
}

constexpr char kUpdate[] = R"(
  input %g : float[4]
  input %rate : float[]
  weight %w : float[4] = [1, 2, 3, 4]
  momentum %v : float[4] = [0, ...]
  constant %one : float[] = [1]
  %w1, %v1 = simaqat::SgdMomentum(%w, %g, %v, %rate, %one) "update"
  %r = Relu(%w)
  next %w = %w1
  next %v = %v1
  output y = %r)";

TEST_CASE("updates come last, in their variables' place") {
  const Planned p(kUpdate);
  REQUIRE(p.plan.schedule.size() == 2);
  CHECK(p.plan.compute_count == 1);
  CHECK(p.plan.schedule[0]->opType() == "Relu");
  CHECK(p.at("w1").kind == Location::Kind::kVariable);
  CHECK(p.at("w1").source == p.graph.findValue("w"));
  CHECK(p.at("v1").source == p.graph.findValue("v"));
  CHECK(p.plan.copies.empty());
}

}  // namespace
}  // namespace simaqat
