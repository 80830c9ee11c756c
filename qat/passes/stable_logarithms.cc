#include "qat/ir/op.h"
#include "qat/passes/exported_forms.h"
#include "qat/passes/integer_forms.h"
#include "qat/passes/match.h"

namespace simaqat {
namespace {

// Whether the number is 1 and adds no axis to what it is combined with.
bool isOneBeside(const Value* number, const Value* other) {
  if (constantNumber(number) != 1.0) return false;
  const size_t rank = number->constant.dims().size();
  return rank == 0 || (other->type.shape && rank <= other->type.rank());
}

// x of 1 + x, or null.
Value* besideOne(const Value* value) {
  const Node* sum = producer(value, "Add");
  if (sum == nullptr) return nullptr;
  for (const size_t i : {0, 1}) {
    if (isOneBeside(sum->input(1 - i), sum->input(i))) return sum->input(i);
  }
  return nullptr;
}

// x of 1 - x, or null.
const Value* lessThanOne(const Value* value) {
  if (const Node* difference = producer(value, "Sub")) {
    const bool is_one = isOneBeside(difference->input(0), difference->input(1));
    return is_one ? difference->input(1) : nullptr;
  }
  const Value* added = besideOne(value);
  const Node* negative = added == nullptr ? nullptr : producer(added, "Neg");
  return negative == nullptr ? nullptr : negative->input(0);
}

// The logarithm's value by a node that is stable, or null where the form is another.
Value* stableForm(Graph& graph, Node& log) {
  const auto add = [&](const char* op_type, const std::string& suffix, Value* x) {
    return graph.add(op_type, log.name() + suffix, {x}, nullptr, &log);
  };
  const Value* x = log.input(0);
  if (const Node* sigmoid = producer(x, "Sigmoid")) {
    Value* negative = add("Neg", "/negative", sigmoid->input(0));
    return add("Neg", "", add("Softplus", "/softplus", negative));
  }
  if (const Node* softmax = producer(x, "Softmax")) {
    return graph.add("LogSoftmax", log.name(), {softmax->input(0)},
                     softmax->rawAttributes().clone(), &log);
  }
  if (const Value* subtracted = lessThanOne(x)) {
    const Node* sigmoid = producer(subtracted, "Sigmoid");
    if (sigmoid == nullptr) return nullptr;
    return add("Neg", "", add("Softplus", "/softplus", sigmoid->input(0)));
  }
  const Value* added = besideOne(x);
  const Node* exponential = added == nullptr ? nullptr : producer(added, "Exp");
  return exponential == nullptr ? nullptr : add("Softplus", "", exponential->input(0));
}

}  // namespace

void stableLogarithms(Graph& graph) {
  for (Node* node : graph.nodeSequence()) {
    if (node->op().qualifiedName() != "Log") continue;
    if (Value* stable = stableForm(graph, *node)) replaceNode(graph, node, stable);
  }
}

}  // namespace simaqat
