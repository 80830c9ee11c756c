#include <functional>
#include <unordered_set>

#include "qat/base/text.h"
#include "qat/ir/op.h"
#include "qat/ops/shared/approximation_attributes.h"
#include "qat/passes/approximate.h"
#include "qat/passes/fake_quantized.h"
#include "qat/passes/integer_forms.h"
#include "qat/passes/simplify.h"

namespace simaqat {
namespace {

enum Input { kX, kPoints, kValues };

// The nodes between the points and the values, in order.
std::vector<Node*> functionOf(const Node& approximation) {
  std::vector<Node*> nodes;
  std::unordered_set<const Value*> seen = {approximation.input(kPoints)};
  const std::function<void(const Value*)> visit = [&](const Value* value) {
    if (value == nullptr || value->producer() == nullptr || !seen.insert(value).second) return;
    for (const Value* input : value->producer()->inputs()) visit(input);
    nodes.push_back(value->producer());
  };
  visit(approximation.input(kValues));
  return nodes;
}

std::string withoutSuffix(const std::string& name) {
  const std::string suffix = kSampledSuffix;
  const bool has = name.size() > suffix.size() &&
                   name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0;
  return has ? name.substr(0, name.size() - suffix.size()) : name;
}

void restore(Graph& graph, Node* node) {
  const std::vector<Node*> function = functionOf(*node);
  if (function.empty()) node->fail("the function that it approximates is not in the file");
  Value* y = copyFunction(graph, function, node->input(kPoints), node->input(kX), node, withoutSuffix);
  y->quantizer = node->output()->quantizer;
  replaceNode(graph, node, y);
}

void restoreWhere(Graph& graph, const std::function<bool(const Node&)>& is_wanted) {
  for (Node* node : graph.nodeSequence()) {
    if (isApproximation(*node) && is_wanted(*node)) restore(graph, node);
  }
}

// Of the quantizer that its input has, and not of a range of its own.
bool followsQuantizer(const Node& approximation) {
  const Node* points = approximation.input(kPoints)->producer();
  return points != nullptr && !points->input(0)->isConstant();
}

// Adds the standard operators of one approximation, whose points and values are constants.
class Lowering {
 public:
  Lowering(Graph& graph, Node* node)
      : graph_(graph),
        node_(node),
        points_(node->input(kPoints)->constant.toVector<float>()),
        values_(node->input(kValues)->constant.toVector<float>()),
        last_(static_cast<float>(points_.size() - 1)) {}

  void run() {
    const bool is_table = node_->op().name == "TableLookup";
    replaceNode(graph_, node_, is_table ? table() : lines());
  }

 private:
  Value* table() { return gather("values", values_, index("Round", last_)); }

  // value + slope (x - point), of the point below x
  Value* lines() {
    std::vector<float> slopes;
    for (size_t i = 0; i + 1 < points_.size(); ++i) {
      slopes.push_back((values_[i + 1] - values_[i]) / (points_[i + 1] - points_[i]));
    }
    Value* at = index("Floor", last_ - 1);
    Value* way = add("Sub", {node_->input(kX), gather("points", points_, at)});
    Value* rise = add("Mul", {gather("slopes", slopes, at), way});
    return add("Add", {gather("values", values_, at), rise});
  }

  Value* index(const char* rounding, float most) {
    const float step = (points_.back() - points_.front()) / last_;
    Value* way = add("Sub", {node_->input(kX), scalar("first", points_.front())});
    Value* position = add(rounding, {add("Div", {way, scalar("step", step)})});
    Value* within = add("Clip", {position, scalar("least", 0), scalar("most", most)});
    auto to_integer = graph_.registry().get("Cast").make_attributes();
    to_integer->parse({{"to", static_cast<int64_t>(ElementType::kInt64)}});
    return add("Cast", {within}, std::move(to_integer));
  }

  Value* gather(const char* name, const std::vector<float>& from, Value* index) {
    Value* table = graph_.addConstant(
        graph_.uniqueName(node_->name() + "/" + name),
        Tensor::of({static_cast<int64_t>(from.size())}, from));
    return add("Gather", {table, index});
  }

  Value* scalar(const char* name, float value) {
    return graph_.addConstant(graph_.uniqueName(node_->name() + "/" + name), Tensor::scalar(value));
  }

  Value* add(const char* op_type, const std::vector<Value*>& inputs,
             std::unique_ptr<Attributes> attributes = nullptr) {
    return graph_.add(op_type, node_->name() + "/" + op_type, inputs, std::move(attributes), node_);
  }

  Graph& graph_;
  Node* node_;
  const std::vector<float> points_;
  const std::vector<float> values_;
  const float last_;
};

}  // namespace

void restoreFunctions(Graph& graph) {
  restoreWhere(graph, [](const Node& node) {
    return followsQuantizer(node) && fakeQuantizeOf(node.input(kX)) == nullptr;
  });
}

void restoreAllFunctions(Graph& graph) {
  restoreWhere(graph, [](const Node&) { return true; });
}

void restoreShippedFunctions(Graph& graph) {
  restoreWhere(graph, [](const Node& node) {
    return node.attributes<ops::ApproximationAttributes>().ships_as == "function";
  });
}

void lowerApproximations(Graph& graph) {
  foldAllButCodes(graph);
  for (Node* node : graph.nodeSequence()) {
    if (isApproximation(*node)) Lowering(graph, node).run();
  }
}

}  // namespace simaqat
