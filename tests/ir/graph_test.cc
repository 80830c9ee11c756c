#include "qat/ir/graph.h"

#include "qat/ir/op.h"
#include "qat/ir/parser.h"
#include "qat/ir/printer.h"
#include "qat/ir/verifier.h"
#include "qat/ops/registry.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

Graph parse(const std::string& text) { return parseText(text, opRegistry()); }

constexpr char kText[] = R"(input %x : float[N, 2]
weight %w : float[2] = [1, 2]
batch_norm_statistic %m : float[2] = [0, 0]
quantizer_scale %s : float[] = [1]
quantizer_scale %z : float[] = [0]
constant %c : float[] = [3]
%q : float[N, 2] @x = simaqat::FakeQuantize(%x, %s, %z) {observer = "fixed", qmax = 255, qmin = 0} "q"
%a : float[N, 2] = Add(%q, %w) "add"
%b : float[N, 2] = Mul(%a, %c) "mul"
%d : float[2] = Add(%m, %w) "update"
next %m = %d
output y = %b
)";

TEST_CASE("a clone is the same graph, and another") {
  Graph graph = parse(kText);
  graph.name = "g";
  graph.metadata["key"] = "value";
  graph.findVariable("w")->trainable = true;
  Graph copy = graph.clone();
  verify(copy, "clone");
  CHECK(toText(copy) == kText);
  CHECK(copy.name == "g");
  CHECK(copy.metadata.at("key") == "value");
  CHECK(copy.findVariable("w")->trainable);
  const Quantizer* quantizer = copy.findValue("q")->quantizer;
  CHECK(quantizer != graph.findValue("q")->quantizer);
  CHECK(quantizer->scale == copy.findValue("s"));
  // Tensors are shared until one is written.
  copy.findVariable("w")->value.mutableData<float>()[0] = 9;
  copy.findVariable("m")->setNext(nullptr);
  copy.removeNode(copy.findValue("d")->producer());
  CHECK(toText(graph) == kText);
}

TEST_CASE("splicing binds inputs, prefixes names that exist, and keeps updates") {
  Graph graph = parse(kText);
  const Graph other = parse(R"(input %in : float[N, 2]
    weight %w : float[2] = [5, 6]
    batch_norm_statistic %fresh : float[2] = [0, 0]
    %a = Mul(%in, %w)
    %u = Add(%fresh, %w)
    next %fresh = %u
    output out = %a)");
  const std::vector<Value*> results = graph.splice(other, {{"in", graph.findValue("b")}}, "loss/");
  graph.outputs.push_back({"out", results.at(0)});
  verify(graph, "splice");
  CHECK(results[0]->name() == "loss/a");
  CHECK(results[0]->producer()->input(0) == graph.findValue("b"));
  CHECK(graph.findVariable("loss/w")->value.toVector<int>() == std::vector<int>{5, 6});
  CHECK(graph.findVariable("fresh")->next() == graph.findValue("u"));
}

TEST_CASE("uses are replaced everywhere but in the one node") {
  Graph graph = parse(R"(input %x : float[2]
    weight %w : float[2] = [1, 2]
    %a = Relu(%x)
    %b = Add(%a, %a)
    %c = Neg(%a)
    next %w = %a
    output y = %a)");
  Value* a = graph.findValue("a");
  Value* x = graph.findValue("x");
  CHECK(graph.useCount(a) == 4);
  graph.replaceUses(a, x, graph.findValue("c")->producer());
  verify(graph, "replaceUses");
  CHECK(graph.useCount(a) == 1);
  CHECK(graph.findValue("b")->producer()->inputs() == std::vector<Value*>{x, x});
  CHECK(graph.outputs[0].value == x);
  CHECK(graph.outputs[0].name == "y");
  CHECK(graph.findVariable("w")->next() == x);
  CHECK(!graph.isOutput(a));
}

TEST_CASE("names are unique, and a variable goes by its value's") {
  Graph graph = parse(kText);
  CHECK(graph.uniqueName("new") == "new");
  CHECK(graph.uniqueName("x") == "x.1");
  graph.rename(graph.findValue("w"), "x");
  CHECK(graph.findValue("w") == nullptr);
  CHECK(graph.findVariable("x.1")->name == "x.1");
  graph.rename(graph.findValue("x.1"), "x.1");
  CHECK(graph.findVariable("x.1") != nullptr);
  CHECK(graph.addConstant("w", Tensor::scalar(1.0f))->name() == "w");
  verify(graph, "rename");
}

TEST_CASE("what nothing uses is dropped") {
  Graph graph = parse(kText);
  graph.addConstant("unused", Tensor::scalar(1.0f));
  graph.addVariable("idle", VariableRole::kWeight, Tensor::scalar(1.0f));
  graph.addQuantizer("nothing", activationQuantizer());
  graph.addInput("ignored", {ElementType::kFloat, Shape{}});
  graph.dropUnused();
  CHECK(graph.findValue("unused") == nullptr);
  CHECK(graph.findValue("idle") == nullptr);
  CHECK(graph.quantizers().size() == 1);
  // An input is the model's interface, used or not.
  CHECK(graph.findValue("ignored") != nullptr);
  CHECK(toText(graph) == std::string(kText).insert(std::string(kText).find("weight"),
                                                   "input %ignored : float[]\n"));
  verify(graph, "dropUnused");
}

TEST_CASE("what is written and not read is kept: a later step may read it") {
  Graph graph = parse(kText);
  Variable* written =
      graph.addVariable("written", VariableRole::kQuantizerScale, Tensor::scalar(1.0f));
  written->setNext(graph.add("Neg", "new", {graph.addConstant("two", Tensor::scalar(2.0f))}));
  graph.dropUnused();
  CHECK(graph.findVariable("written") == written);
  verify(graph, "dropUnused");
}

TEST_CASE("nodes go where they are put, and only unused ones can leave") {
  Graph graph = parse(kText);
  Node* mul = graph.findValue("b")->producer();
  CHECK_THROWS_AS(graph.removeNode(mul), InternalError);
  Value* relu = graph.add("Relu", "relu", {mul->input(0)}, nullptr, mul);
  mul->setInput(0, relu);
  verify(graph, "insertion");
  CHECK(relu->type == graph.findValue("a")->type);
  graph.replaceUses(relu, graph.findValue("a"));
  graph.removeNode(relu->producer());
  graph.dropUnused();
  CHECK(toText(graph) == kText);
}

TEST_CASE("a frozen variable is a constant of its present value") {
  Graph graph = parse(kText);
  graph.freezeVariable(graph.findVariable("w"));
  CHECK(graph.findVariable("w") == nullptr);
  CHECK(graph.findValue("w")->constant.toVector<int>() == std::vector<int>{1, 2});
  verify(graph, "freezeVariable");
}

TEST_CASE("trailing absent inputs are not stored") {
  Graph graph = parse(R"(input %x : float[2]
    constant %lo : float[] = [0]
    constant %hi : float[] = [6]
    %y = Clip(%x, %lo, %hi)
    output y = %y)");
  Node* clip = graph.findValue("y")->producer();
  clip->setInput(1, nullptr);
  CHECK(clip->inputCount() == 3);
  clip->setInput(2, nullptr);
  CHECK(clip->inputCount() == 1);
  CHECK(clip->input(2) == nullptr);
  CHECK(graph.findValue("lo")->uses().empty());
  verify(graph, "setInput");
}

}  // namespace
}  // namespace simaqat
