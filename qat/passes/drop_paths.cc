#include <optional>

#include "qat/ir/op.h"
#include "qat/passes/exported_forms.h"
#include "qat/passes/integer_forms.h"
#include "qat/passes/match.h"

namespace simaqat {
namespace {

// What draws 0 or 1: the value whose shape the numbers have, and the probability of 1.
struct Draw {
  Value* like = nullptr;
  Value* keep = nullptr;
};

bool isUniform(const Node& node) {
  const AttributeMap attributes = node.rawAttributes().toMap();
  const auto number = [&](const char* name, float otherwise) {
    const auto it = attributes.find(name);
    return it == attributes.end() ? otherwise : std::get<float>(it->second);
  };
  return number("low", 0) == 0 && number("high", 1) == 1;
}

// The value whose shape uniform random numbers have, or null.
Value* uniformLike(Graph& graph, const Value* numbers) {
  if (const Node* node = producer(numbers, "RandomUniformLike"); node && isUniform(*node)) {
    return node->input(0);
  }
  if (const Node* node = producer(numbers, "RandomUniform"); node && isUniform(*node)) {
    return graph.addConstant(node->name() + "/like",
                             Tensor(ElementType::kFloat, numbers->type.dims()));
  }
  return nullptr;
}

// Cast(uniform < keep), or Floor(uniform + keep).
std::optional<Draw> asDraw(Graph& graph, const Value* value) {
  Draw draw;
  const Node* cast = producer(value, "Cast");
  if (cast == nullptr) cast = producer(value, "CastLike");
  if (cast != nullptr) {
    const Node* less = producer(cast->input(0), "Less");
    if (less == nullptr) return std::nullopt;
    draw = {uniformLike(graph, less->input(0)), less->input(1)};
  } else if (const Node* floor = producer(value, "Floor")) {
    const Node* sum = producer(floor->input(0), "Add");
    if (sum == nullptr) return std::nullopt;
    const size_t number = constantNumber(sum->input(0)) ? 0 : 1;
    draw = {uniformLike(graph, sum->input(1 - number)), sum->input(number)};
  }
  const bool found = draw.like != nullptr && constantNumber(draw.keep).value_or(0) > 0;
  return found ? std::optional(draw) : std::nullopt;
}

// Whether the value is something divided by the probability of the draw.
bool isScaled(const Value* value, const Draw& draw) {
  const Node* node = producer(value, "Div");
  return node != nullptr && constantNumber(node->input(1)) == constantNumber(draw.keep);
}

// x * (draw / keep), or (x / keep) * draw.
bool rewrite(Graph& graph, Node* node, Value* x, Value* factor) {
  std::optional<Draw> draw = asDraw(graph, factor);
  if (draw) {
    if (!isScaled(x, *draw)) return false;
    x = x->producer()->input(0);
  } else if (const Node* scaled = producer(factor, "Div")) {
    draw = asDraw(graph, scaled->input(0));
    if (!draw || !isScaled(factor, *draw)) return false;
  } else {
    return false;
  }
  Graph::NodeOptions options;
  options.before = node;
  options.output_count = 2;
  Node* dropped = graph.addNode("simaqat::DropPath", node->name(), {x, draw->like, draw->keep},
                                nullptr, options);
  replaceNode(graph, node, dropped->output());
  return true;
}

}  // namespace

void dropPaths(Graph& graph) {
  bool found = false;
  for (Node* node : graph.nodeSequence()) {
    if (node->op().qualifiedName() != "Mul") continue;
    Value* a = node->input(0);
    Value* b = node->input(1);
    found = rewrite(graph, node, a, b) || rewrite(graph, node, b, a) || found;
  }
  // The product's shape was that of unknown factors; now it is that of x.
  if (!found) return;
  for (const auto& node : graph.nodes()) graph.inferTypes(*node);
}

}  // namespace simaqat
