#include "qat/passes/fuse_pointwise.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "qat/ir/op.h"
#include "qat/ir/pointwise.h"

namespace simaqat {
namespace {

// Longer programs outgrow the cache that their blocks share.
constexpr size_t kMostSteps = 24;
constexpr size_t kMostOperands = 12;
// Rows too short for a block to pay.
constexpr int64_t kShortestRow = 16;
constexpr int64_t kSmall = 1 << 12;

bool hasFusedForm(const Node& node) { return *node.op().pointwise.fused_form != '\0'; }

class Fuser {
 public:
  explicit Fuser(Graph& graph) : graph_(graph) {}

  void run() {
    for (const auto& variable : graph_.variables()) next_values_.insert(variable->next());
    const std::vector<Node*> sequence = graph_.nodeSequence();
    for (const Node* node : sequence) decide(*node);
    for (auto it = sequence.rbegin(); it != sequence.rend(); ++it) visit(*it);
  }

 private:
  // What it takes to compute a value from what is stored.
  struct Cost {
    size_t steps = 0;
    std::unordered_set<const Value*> operands;
  };

  static bool sameShape(const Value* a, const Value* b) { return a->type.dims() == b->type.dims(); }

  // Whether the consumer can compute the value itself.
  static bool canCompute(const Use& use, const Value* value) {
    if (isPointwise(*use.node)) return sameShape(use.node->output(), value);
    return use.index == 0 && hasFusedForm(*use.node);
  }

  // Whether the node's value is computed where it is used, in graph order.
  void decide(const Node& node) {
    if (!isPointwise(node) || next_values_.count(node.output()) != 0) return;
    const Value* value = node.output();
    Cost cost{1, {}};
    for (const Value* input : node.inputs()) {
      if (input != nullptr) add(input, value, cost);
    }
    const auto& uses = value->uses();
    const bool all_can = graph_.useCount(value) == uses.size() &&
                         std::all_of(uses.begin(), uses.end(),
                                     [&](const Use& use) { return canCompute(use, value); });
    if (!all_can || uses.empty()) return;
    if (cost.steps > kMostSteps || cost.operands.size() > kMostOperands) return;
    if (uses.size() > 1) {
      int64_t bytes = 0;
      for (const Value* operand : cost.operands) {
        if (operand->type.size() == value->type.size()) bytes += operand->type.bytes();
      }
      if (bytes > value->type.bytes()) return;
    }
    computed_.emplace(value, std::move(cost));
  }

  void add(const Value* input, const Value* result, Cost& cost) const {
    const auto known = computed_.find(input);
    if (known == computed_.end() || !sameShape(input, result)) {
      cost.operands.insert(input);
      return;
    }
    cost.steps += known->second.steps;
    cost.operands.insert(known->second.operands.begin(), known->second.operands.end());
  }

  void visit(Node* node) {
    if (isPointwise(*node)) {
      // One that all consumers compute themselves has lost its uses.
      if (graph_.useCount(node->output()) == 0 && next_values_.count(node->output()) == 0) {
        graph_.removeNode(node);
      } else {
        fuseResult(node);
      }
    } else if (hasFusedForm(*node) && computed_.count(node->input(0)) != 0) {
      fuseInto(node);
    }
  }

  void fuseResult(Node* node) {
    const bool any = std::any_of(
        node->inputs().begin(), node->inputs().end(), [&](const Value* input) {
          return computed_.count(input) != 0 && sameShape(input, node->output());
        });
    if (!any) return;
    Program program = build(node->output());
    if (!pays(*program.attributes.program)) return;
    Value* result = graph_.add("simaqat::Pointwise", node->name(), program.operands,
                               wrapAttributes(std::move(program.attributes)), node);
    result->quantizer = node->output()->quantizer;
    graph_.replaceUses(node->output(), result);
    graph_.removeNode(node);
  }

  void fuseInto(Node* node) {
    Program program = build(node->input(0));
    if (!pays(*program.attributes.program)) return;
    program.attributes.base = node->rawAttributes().clone();
    std::vector<Value*> inputs(node->inputs().begin() + 1, node->inputs().end());
    inputs.insert(inputs.end(), program.operands.begin(), program.operands.end());
    Graph::NodeOptions options;
    options.before = node;
    options.output_count = node->outputCount();
    Node* fused = graph_.addNode(node->op().pointwise.fused_form, node->name(), inputs,
                                 wrapAttributes(std::move(program.attributes)), options);
    for (size_t i = 0; i < node->outputCount(); ++i) {
      fused->output(i)->quantizer = node->output(i)->quantizer;
      graph_.replaceUses(node->output(i), fused->output(i));
    }
    graph_.removeNode(node);
  }

  static bool pays(const PointwiseProgram& program) {
    return program.operands().size() <= kMostOperands &&
           program.rowDims().size() <= PointwiseProgram::kMostRowDims &&
           (program.inner() >= kShortestRow || program.size() <= kSmall);
  }

  struct Program {
    PointwiseAttributes attributes;
    std::vector<Value*> operands;
  };

  Program build(Value* result) const {
    Program program;
    Graph body(graph_.registry());
    std::unordered_map<const Value*, Value*> copies;
    Value* copy = copyInto(body, result, result, copies, program.operands);
    body.outputs.push_back({copy->name(), copy});
    auto compiled = std::make_shared<PointwiseProgram>(std::move(body));
    program.attributes.function = compiled->toString();
    program.attributes.program = std::move(compiled);
    return program;
  }

  Value* copyInto(Graph& body, Value* value, const Value* result,
                  std::unordered_map<const Value*, Value*>& copies,
                  std::vector<Value*>& operands) const {
    const auto done = copies.find(value);
    if (done != copies.end()) return done->second;
    const bool is_operand =
        value != result && (computed_.count(value) == 0 || !sameShape(value, result));
    Value* copy;
    if (is_operand) {
      operands.push_back(value);
      copy = body.addInput(value->name(), value->type);
    } else {
      const Node& node = *value->producer();
      std::vector<Value*> inputs;
      for (Value* input : node.inputs()) {
        inputs.push_back(input == nullptr ? nullptr
                                          : copyInto(body, input, result, copies, operands));
      }
      copy = body.add(node.op().qualifiedName(), node.name(), inputs, node.rawAttributes().clone());
    }
    copies[value] = copy;
    return copy;
  }

  Graph& graph_;
  std::unordered_set<const Value*> next_values_;
  std::unordered_map<const Value*, Cost> computed_;
};

}  // namespace

void fusePointwise(Graph& graph) { Fuser(graph).run(); }

}  // namespace simaqat
