// A network in double precision becomes one in float; arithmetic on the side does not.
#include "qat/passes/simplify.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

std::unique_ptr<Attributes> castTo(const Graph& graph, ElementType type) {
  auto attributes = graph.registry().get("Cast").make_attributes();
  attributes->parse({{"to", static_cast<int64_t>(type)}});
  return attributes;
}

// y = Cast(x, double) * w, with x in float or in double.
Graph network(ElementType x, bool with_weight) {
  Graph graph(opRegistry());
  Value* input = graph.addInput("x", {x, Shape{Dim::named("N"), 3}});
  Value* wide = graph.add("Cast", "wide", {input}, castTo(graph, ElementType::kDouble));
  const Tensor weight = Tensor::of<double>({3}, {0.5, 1, 2});
  Value* w = with_weight ? graph.addVariable("w", VariableRole::kWeight, weight)->source
                         : graph.addConstant("w", weight);
  graph.outputs.push_back({"y", graph.add("Mul", "y", {wide, w})});
  return graph;
}

}  // namespace

TEST_CASE("a weight or an input in double makes the network one in float") {
  for (const bool with_weight : {false, true}) {
    Graph graph = network(with_weight ? ElementType::kFloat : ElementType::kDouble, with_weight);
    narrowDouble(graph);
    CHECK(graph.inputs[0]->type.element == ElementType::kFloat);
    CHECK(graph.outputs[0].value->type.element == ElementType::kFloat);
    CHECK(graph.findValue("wide")->type.element == ElementType::kFloat);
    const Value* w = graph.findValue("w");
    const Tensor& held = with_weight ? w->variable->value : w->constant;
    CHECK(held.identical(Tensor::of<float>({3}, {0.5f, 1, 2})));
  }
}

TEST_CASE("arithmetic in double on the side stays") {
  Graph graph = network(ElementType::kFloat, false);
  narrowDouble(graph);
  CHECK(graph.outputs[0].value->type.element == ElementType::kDouble);
  CHECK(graph.findValue("w")->constant.type() == ElementType::kDouble);
}

}  // namespace simaqat
