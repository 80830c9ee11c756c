#include <cmath>
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

// The number that every element of a value is, where it is known: of a constant, or of one that is
// spread over a shape.
std::optional<double> numberOf(const Value* value) {
  if (const Node* expand = producer(value, "Expand")) value = expand->input(0);
  return constantNumber(value);
}

// The constant itself where it holds the probability, else a new one.
Draw drawOf(Graph& graph, const Value* uniform, Value* number, bool is_drop) {
  Draw draw{uniformLike(graph, uniform), number};
  const std::optional<double> probability = numberOf(number);
  const double keep = probability ? (is_drop ? 1 - *probability : *probability) : 0;
  if (draw.like == nullptr || keep <= 0 || keep > 1) return {};
  if (is_drop || !number->isConstant()) {
    draw.keep =
        graph.addConstant(uniform->name() + "/keep", Tensor::scalar(static_cast<float>(keep)));
  }
  return draw;
}

// A comparison of uniform numbers with a probability, `inverted` behind Not.
Draw asComparison(Graph& graph, const Node* node, bool inverted = false) {
  if (node == nullptr) return {};
  const std::string type = node->op().qualifiedName();
  if (type == "Not") return asComparison(graph, node->input(0)->producer(), !inverted);
  const bool is_less = type == "Less" || type == "LessOrEqual";
  if (!is_less && type != "Greater" && type != "GreaterOrEqual") return {};
  const size_t number = numberOf(node->input(0)) ? 0 : 1;
  // True where u < p, or p > u: with probability p.
  const bool is_keep = is_less == (number == 1);
  return drawOf(graph, node->input(1 - number), node->input(number), is_keep == inverted);
}

// Cast(uniform < keep), Floor(uniform + keep), or Bernoulli(keep).
Draw asDraw(Graph& graph, const Value* value) {
  if (const Node* cast = producer(value, "Cast")) {
    return asComparison(graph, cast->input(0)->producer());
  }
  if (const Node* floor = producer(value, "Floor")) {
    const Node* sum = producer(floor->input(0), "Add");
    if (sum == nullptr) return {};
    const size_t number = numberOf(sum->input(0)) ? 0 : 1;
    return drawOf(graph, sum->input(1 - number), sum->input(number), false);
  }
  if (const Node* bernoulli = producer(value, "Bernoulli")) {
    const std::optional<double> keep = numberOf(bernoulli->input(0));
    if (!keep || *keep <= 0 || *keep > 1) return {};
    return {bernoulli->input(0),
            graph.addConstant(value->name() + "/keep", Tensor::scalar(static_cast<float>(*keep)))};
  }
  return {};
}

bool isAbout(const std::optional<double>& number, double expected) {
  constexpr double kRounding = 1e-5;
  return number && std::fabs(*number - expected) <= kRounding * expected;
}

// What the node divides by the probability, or multiplies by 1 over it; null for another node.
Value* scaledBy(const Node* node, const Draw& draw) {
  if (node == nullptr) return nullptr;
  const double keep = *constantNumber(draw.keep);
  if (node->op().qualifiedName() == "Div") {
    return isAbout(numberOf(node->input(1)), keep) ? node->input(0) : nullptr;
  }
  if (node->op().qualifiedName() != "Mul") return nullptr;
  const size_t number = numberOf(node->input(0)) ? 0 : 1;
  return isAbout(numberOf(node->input(number)), 1 / keep) ? node->input(1 - number) : nullptr;
}

// The only node that uses the value, or null.
Node* soleUser(const Graph& graph, const Value* value) {
  return graph.useCount(value) == 1 && value->uses().size() == 1 ? value->uses()[0].node : nullptr;
}

// The draw that a factor is once the scaling is taken off.
Draw asScaledDraw(Graph& graph, const Value* factor) {
  const Node* scaling = factor->producer();
  if (scaling == nullptr) return {};
  for (const Value* input : scaling->inputs()) {
    const Draw draw = input == nullptr ? Draw{} : asDraw(graph, input);
    if (draw.like != nullptr && scaledBy(scaling, draw) == input) return draw;
  }
  return {};
}

// x * (draw / keep), (x / keep) * draw, or (x * draw) / keep.
bool rewrite(Graph& graph, Node* node, Value* x, Value* factor) {
  Node* last = node;
  Draw draw = asDraw(graph, factor);
  if (draw.like == nullptr) {
    draw = asScaledDraw(graph, factor);
    if (draw.like == nullptr) return false;
  } else if (Value* unscaled = scaledBy(x->producer(), draw)) {
    x = unscaled;
  } else {
    last = soleUser(graph, node->output());
    if (scaledBy(last, draw) != node->output()) return false;
  }
  Graph::NodeOptions options;
  options.before = last;
  options.output_count = 2;
  Node* dropped =
      graph.addNode("simaqat::DropPath", last->name(), {x, draw.like, draw.keep}, nullptr, options);
  replaceNode(graph, last, dropped->output());
  return true;
}

bool rewriteOne(Graph& graph) {
  for (const auto& node : graph.nodes()) {
    if (node->op().qualifiedName() != "Mul") continue;
    Value* a = node->input(0);
    Value* b = node->input(1);
    if (rewrite(graph, node.get(), a, b) || rewrite(graph, node.get(), b, a)) return true;
  }
  return false;
}

}  // namespace

void dropPaths(Graph& graph) {
  if (!rewriteOne(graph)) return;
  while (rewriteOne(graph)) {
  }
  // The product's shape was that of unknown factors; now it is that of x.
  for (const auto& node : graph.nodes()) graph.inferTypes(*node);
}

}  // namespace simaqat
