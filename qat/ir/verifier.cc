#include "qat/ir/verifier.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "qat/ir/op.h"

namespace simaqat {
namespace {

// Whether values know their uses. One with many, such as the learning rate, is looked through once.
class Uses {
 public:
  bool known(const Value* value, const Node* node, size_t index) {
    constexpr size_t kFew = 16;
    const std::vector<Use>& uses = value->uses();
    if (uses.size() <= kFew) {
      return std::any_of(uses.begin(), uses.end(),
                         [&](const Use& u) { return u.node == node && u.index == index; });
    }
    auto& of_value = many_[value];
    if (of_value.empty()) {
      for (const Use& use : uses) of_value.insert({use.node, use.index});
    }
    return of_value.count({node, index}) != 0;
  }

 private:
  std::unordered_map<const Value*, std::set<std::pair<const Node*, size_t>>> many_;
};

// The values that are defined so far, each at its id; null at those of others.
using Defined = std::vector<const Value*>;

bool isDefined(const Value* value, const Defined& defined) {
  return value->id() < defined.size() && defined[value->id()] == value;
}

void verifyNode(const Node& node, Uses& uses, const Defined& defined, const std::string& after) {
  const OpDefinition& op = node.op();
  SIMAQAT_CHECK(node.inputCount() >= op.min_inputs && node.inputCount() <= op.max_inputs,
                "after {}: {} has {} inputs", after, node.describe(), node.inputCount());
  SIMAQAT_CHECK(node.outputCount() >= op.min_outputs && node.outputCount() <= op.max_outputs,
                "after {}: {} has {} outputs", after, node.describe(), node.outputCount());
  for (size_t i = 0; i < node.inputCount(); ++i) {
    const Value* input = node.input(i);
    if (input == nullptr) {
      SIMAQAT_CHECK(i >= op.min_inputs, "after {}: {} lacks input {}", after, node.describe(), i);
      continue;
    }
    SIMAQAT_CHECK(isDefined(input, defined), "after {}: {} uses '{}' before it is defined", after,
                  node.describe(), input->name());
    SIMAQAT_CHECK(uses.known(input, &node, i), "after {}: '{}' does not know its use by {}", after,
                  input->name(), node.describe());
  }
  for (size_t i = 0; i < node.outputCount(); ++i) {
    SIMAQAT_CHECK(node.output(i)->producer() == &node && node.output(i)->outputIndex() == i,
                  "after {}: output {} of {}", after, i, node.describe());
  }
}

}  // namespace

void verify(const Graph& graph, const std::string& after) {
  Defined defined(graph.valueIds());
  for (const auto& value : graph.values()) {
    if (value->producer() == nullptr) {
      const bool is_input =
          std::find(graph.inputs.begin(), graph.inputs.end(), value.get()) != graph.inputs.end();
      if (is_input || value->isConstant() || value->variable != nullptr) {
        defined[value->id()] = value.get();
      }
    }
  }
  Uses uses;
  for (const auto& node : graph.nodes()) {
    verifyNode(*node, uses, defined, after);
    for (const Value* output : node->outputs()) defined[output->id()] = output;
  }
  for (const GraphOutput& output : graph.outputs) {
    SIMAQAT_CHECK(output.value != nullptr && isDefined(output.value, defined),
                  "after {}: graph output '{}' is not defined", after, output.name);
  }
  for (const auto& variable : graph.variables()) {
    SIMAQAT_CHECK(variable->source->variable == variable.get(), "after {}: variable '{}'", after,
                  variable->name);
    if (variable->next() == nullptr) continue;
    const TensorType& type = variable->next()->type;
    SIMAQAT_CHECK(isDefined(variable->next(), defined) &&
                      type.element == variable->source->type.element &&
                      (!type.isStatic() || type == variable->source->type),
                  "after {}: next value of '{}'", after, variable->name);
  }
}

}  // namespace simaqat
