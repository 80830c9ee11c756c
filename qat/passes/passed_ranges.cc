#include "qat/passes/passed_ranges.h"

#include <algorithm>
#include <unordered_map>

#include "qat/ir/op.h"
#include "qat/ir/pointwise.h"
#include "qat/passes/monotone_chain.h"

namespace simaqat {
namespace {

// What PassedRange has room for.
constexpr size_t kMostInputs = 12;

enum BatchNormGradientInput { kDy, kX };

// Decides by numbers alone.
bool isMask(const Node& node) {
  return isPointwise(node) && node.op().pointwise.passes != nullptr &&
         std::all_of(node.inputs().begin() + 2, node.inputs().end(),
                     [](const Value* v) { return v == nullptr || v->type.size() == 1; });
}

// The form that a gradient of BatchNormalization takes; null where the node is something else.
const char* passedForm(const Node& node) {
  const std::string name = node.op().qualifiedName();
  if (name == "simaqat::BatchNormTrainingGradient") return "simaqat::PassedBatchNormGradient";
  if (name == "simaqat::BatchNormFrozenGradient") return "simaqat::PassedBatchNormFrozenGradient";
  return nullptr;
}

class Passing {
 public:
  Passing(Graph& graph, Node* node) : graph_(graph), node_(node), dy_(node->input(kDy)) {}

  void run() {
    while (dy_->producer() != nullptr && isMask(*dy_->producer()) && graph_.useCount(dy_) == 1) {
      masks_.push_back(dy_->producer());
      dy_ = dy_->producer()->input(0);
    }
    if (masks_.empty()) return;
    const Value* decides = masks_.front()->input(1);
    for (const Node* mask : masks_) {
      if (mask->input(1) != decides) return;
    }
    const auto chain = monotoneChain(decides, node_->input(kX));
    if (!chain) return;
    PointwiseAttributes attributes;
    attributes.program = std::make_shared<PointwiseProgram>(program(*chain));
    if (operands_.size() > kMostInputs) return;
    attributes.function = attributes.program->toString();
    replace(std::move(attributes));
  }

 private:
  // Of one element a channel: its first operands are dy and x.
  Graph program(const std::vector<const Node*>& chain) {
    Graph body(graph_.registry());
    TensorType type = node_->input(kX)->type;
    for (size_t k = 0; k < type.rank(); ++k) {
      if (k != 1) (*type.shape)[k] = 1;
    }
    Value* dy = body.addInput("dy", type);
    Value* x = body.addInput("x", type);
    std::unordered_map<Value*, Value*> copies;
    const auto add = [&](const Node& node, std::vector<Value*> first) {
      std::vector<Value*> inputs = node.inputs();
      for (size_t i = 0; i < inputs.size(); ++i) {
        if (i < first.size()) {
          inputs[i] = first[i];
        } else if (inputs[i] != nullptr) {
          inputs[i] = operand(body, inputs[i], copies);
        }
      }
      return body.add(node.op().qualifiedName(), node.name(), inputs, node.rawAttributes().clone());
    };
    for (const Node* node : chain) x = add(*node, {x});
    for (auto mask = masks_.rbegin(); mask != masks_.rend(); ++mask) dy = add(**mask, {dy, x});
    body.outputs.push_back({dy->name(), dy});
    return body;
  }

  Value* operand(Graph& body, Value* value, std::unordered_map<Value*, Value*>& copies) {
    Value*& copy = copies[value];
    if (copy == nullptr) {
      copy = body.addInput(value->name(), value->type);
      operands_.push_back(value);
    }
    return copy;
  }

  void replace(PointwiseAttributes attributes) {
    Graph::NodeOptions options;
    options.before = node_;
    options.output_count = 2;
    const Node* range = graph_.addNode("simaqat::PassedRange", node_->name(), operands_,
                                       wrapAttributes(std::move(attributes)), options);
    std::vector<Value*> inputs = node_->inputs();
    inputs[kDy] = dy_;
    inputs.insert(inputs.end(), {range->output(0), range->output(1)});
    options.output_count = node_->outputCount();
    const Node* gradient = graph_.addNode(passedForm(*node_), node_->name(), inputs,
                                          node_->rawAttributes().clone(), options);
    for (size_t i = 0; i < node_->outputCount(); ++i) {
      graph_.replaceUses(node_->output(i), gradient->output(i));
    }
    graph_.removeNode(node_);
  }

  Graph& graph_;
  Node* node_;
  Value* dy_;
  std::vector<const Node*> masks_;  // last to first
  std::vector<Value*> operands_;
};

}  // namespace

void usePassedRanges(Graph& graph) {
  for (Node* node : graph.nodeSequence()) {
    const bool fits = passedForm(*node) != nullptr &&
                      node->input(kX)->type.element == ElementType::kFloat &&
                      node->input(kX)->type.rank() >= 2 && node->input(kX)->type.size() > 0;
    if (fits) Passing(graph, node).run();
  }
}

}  // namespace simaqat
