#include "qat/ir/verifier.h"

#include "qat/ir/op.h"
#include "qat/ir/parser.h"
#include "qat/ops/registry.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;

constexpr char kText[] = R"(input %x : float[2]
weight %w : float[2] = [1, 2]
%a = Add(%x, %w)
%b = Relu(%a)
output y = %b)";

struct Subject {
  Graph graph = parseText(kText, opRegistry());
  Value* x = graph.findValue("x");
  Value* b = graph.findValue("b");
  Node* add = graph.findValue("a")->producer();
  Node* relu = b->producer();

  void expect(const std::string& complaint) const {
    CHECK_THROWS_AS(verify(graph, "the pass"), InternalError);
    CHECK_THROWS_WITH(verify(graph, "the pass"), ContainsSubstring("after the pass"));
    CHECK_THROWS_WITH(verify(graph, "the pass"), ContainsSubstring(complaint));
  }
};

TEST_CASE("a sound graph passes") { CHECK_NOTHROW(verify(Subject().graph, "nothing")); }

TEST_CASE("a value used before it is defined") {
  Subject subject;
  subject.add->setInput(0, subject.b);
  subject.expect("Add 'a' uses 'b' before it is defined");
}

TEST_CASE("a value that nothing defines") {
  Subject subject;
  subject.add->setInput(0, subject.graph.addValue("nowhere"));
  subject.expect("uses 'nowhere' before it is defined");
}

TEST_CASE("too many and too few inputs") {
  Subject subject;
  subject.relu->setInput(1, subject.x);
  subject.expect("Relu 'b' has 2 inputs");
  subject.relu->setInput(1, nullptr);
  subject.relu->setInput(0, nullptr);
  subject.expect("Relu 'b' has 0 inputs");
}

TEST_CASE("outputs of the graph") {
  Subject subject;
  subject.graph.outputs[0].value = nullptr;
  subject.expect("graph output 'y' is not defined");
  subject.graph.outputs[0].value = subject.graph.addValue("nowhere");
  subject.expect("graph output 'y' is not defined");
}

TEST_CASE("next values") {
  Subject subject;
  Variable* variable = subject.graph.findVariable("w");
  variable->setNext(subject.b);
  CHECK_NOTHROW(verify(subject.graph, "the pass"));
  variable->setNext(subject.graph.addConstant("integers", Tensor::of<int64_t>({2}, {1, 2})));
  subject.expect("next value of 'w'");
  variable->setNext(subject.graph.addValue("nowhere"));
  subject.expect("next value of 'w'");
}

TEST_CASE("a variable that its source does not know") {
  Subject subject;
  subject.graph.findVariable("w")->source->variable = nullptr;
  CHECK_THROWS_AS(verify(subject.graph, "the pass"), InternalError);
}

TEST_CASE("a missing input that the operator needs") {
  Subject subject;
  subject.add->setInput(0, nullptr);
  subject.expect("Add 'a'");
}

TEST_CASE("a next value of another shape") {
  Subject subject;
  subject.graph.findVariable("w")->setNext(subject.graph.addConstant("longer", Tensor::of<float>({3}, {1, 2, 3})));
  subject.expect("next value of 'w'");
}

}  // namespace
}  // namespace simaqat
