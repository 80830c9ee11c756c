#include "qat/autodiff/differentiate.h"

#include <algorithm>
#include <unordered_set>

#include "qat/ir/op.h"

namespace simaqat {
namespace {

class ReverseWalk {
 public:
  ReverseWalk(Graph& graph, const std::vector<Value*>& parameters) : graph_(graph) {
    depends_.insert(parameters.begin(), parameters.end());
    sequence_ = graph.nodeSequence();
    for (const Node* node : sequence_) {
      const bool depends = std::any_of(node->inputs().begin(), node->inputs().end(), [&](Value* v) {
        return v != nullptr && depends_.count(v) != 0;
      });
      if (depends && node->op().gradient != nullptr) {
        for (Value* output : node->outputs()) {
          if (isFloatingPoint(output->type.element)) depends_.insert(output);
        }
      } else if (depends && node->op().gradient_is_error) {
        depends_.insert(node->outputs().begin(), node->outputs().end());
      }
    }
  }

  void run(Value* loss) {
    Tensor one = Tensor::scalar(1.0).converted(loss->type.element).reshaped(loss->type.dims());
    contributions_[loss] = {graph_.addConstant(loss->name() + "/grad", std::move(one))};
    findDirect(loss);
    for (auto it = sequence_.rbegin(); it != sequence_.rend(); ++it) visit(**it);
  }

  // The sum over all uses; null where no gradient arrives.
  Value* total(const Value* value) {
    const auto found = contributions_.find(value);
    if (found == contributions_.end()) return nullptr;
    std::vector<Value*>& parts = found->second;
    if (parts.size() > 1) parts = {graph_.add("Sum", value->name() + "/grad", parts)};
    return parts.front();
  }

 private:
  bool isDirect(const Node& node) const {
    return std::any_of(node.outputs().begin(), node.outputs().end(),
                       [&](const Value* output) { return direct_.count(output) != 0; });
  }

  // The values that reach the loss by a way on which no operator selects.
  void findDirect(const Value* loss) {
    direct_.insert(loss);
    for (auto it = sequence_.rbegin(); it != sequence_.rend(); ++it) {
      const Node& node = **it;
      if (node.op().gradient == nullptr || !isDirect(node)) continue;
      for (size_t i = 0; i < node.inputCount(); ++i) {
        if (!node.op().selects || i == 0) direct_.insert(node.input(i));
      }
    }
  }

  void visit(const Node& node) {
    std::vector<bool> wanted;
    for (const Value* input : node.inputs()) {
      wanted.push_back(input != nullptr && depends_.count(input) != 0);
    }
    if (std::find(wanted.begin(), wanted.end(), true) == wanted.end()) return;
    const bool arrives =
        std::any_of(node.outputs().begin(), node.outputs().end(),
                    [&](const Value* output) { return contributions_.count(output) != 0; });
    if (!arrives) return;
    if (node.op().gradient_is_error) node.fail("cannot be differentiated");
    if (node.op().gradient == nullptr) return;
    std::vector<Value*> gradients;
    for (const Value* output : node.outputs()) gradients.push_back(total(output));
    GradientContext context(graph_, node, std::move(gradients), wanted, !isDirect(node));
    node.op().gradient(context);
    for (size_t i = 0; i < node.inputCount(); ++i) {
      Value* gradient = context.inputGradients()[i];
      if (gradient == nullptr || !wanted[i]) continue;
      SIMAQAT_CHECK(gradient->type == node.input(i)->type, "gradient of {} input {}: {} for {}",
                    node.describe(), i, typeToString(gradient->type),
                    typeToString(node.input(i)->type));
      contributions_[node.input(i)].push_back(gradient);
    }
  }

  Graph& graph_;
  std::vector<Node*> sequence_;
  std::unordered_set<const Value*> depends_;
  std::unordered_set<const Value*> direct_;
  std::unordered_map<const Value*, std::vector<Value*>> contributions_;
};

}  // namespace

std::unordered_map<const Value*, Value*> differentiate(Graph& graph, Value* loss,
                                                       const std::vector<Value*>& parameters) {
  if (!isFloatingPoint(loss->type.element) || loss->type.size() != 1) {
    throw inputError("loss '{}': expected a float scalar, got {}", loss->name(),
                     typeToString(loss->type));
  }
  ReverseWalk walk(graph, parameters);
  walk.run(loss);
  std::unordered_map<const Value*, Value*> gradients;
  for (const Value* parameter : parameters) {
    if (Value* gradient = walk.total(parameter)) gradients[parameter] = gradient;
  }
  return gradients;
}

}  // namespace simaqat
