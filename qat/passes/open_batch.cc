#include "qat/passes/open_batch.h"

#include <algorithm>
#include <unordered_map>

#include "qat/ir/op.h"
#include "qat/passes/match.h"
#include "qat/passes/simplify.h"

namespace simaqat {
namespace {

// The first dimension, or kUnknown.
int64_t firstDim(const TensorType& type) {
  return type.shape && !type.shape->empty() ? type.shape->front().value : Dim::kUnknown;
}

class BatchOpener {
 public:
  BatchOpener(Graph& graph, int64_t batch) : graph_(graph), batch_(batch) {
    for (const auto& value : graph.values()) before_[value.get()] = firstDim(value->type);
  }

  void run() {
    for (Value* input : graph_.inputs) {
      const int64_t first = firstDim(input->type);
      if (first == Dim::kUnknown || first == batch_) continue;
      if (fixed_ != Dim::kUnknown && first != fixed_) {
        throw inputError("input '{}': its first dimension is {}, the batch of another input is {}",
                         input->name(), first, fixed_);
      }
      fixed_ = first;
      input->type.shape->front() = batch_;
    }
    if (fixed_ == Dim::kUnknown) return;
    for (const auto& node : graph_.nodes()) open(*node);
    for (const GraphOutput& output : graph_.outputs) checkOutput(output);
  }

 private:
  bool carriesBatch(const Value* value) const {
    return value != nullptr && before_.at(value) == fixed_ && firstDim(value->type) == batch_;
  }

  void open(Node& node) {
    const Node* reshape = producer(node.output(), "Reshape");
    if (reshape != nullptr && carriesBatch(node.input(0)) && node.input(1)->isConstant()) {
      const std::vector<int64_t> target = node.input(1)->constant.toVector<int64_t>();
      if (!target.empty() && target[0] == fixed_) {
        fail(node, fmt::format("to {}", dimsToString(target)));
      }
    }
    try {
      graph_.inferTypes(node);
    } catch (const Error& error) {
      throw inputError("{}; with the model's own batch of {} it fits, and the batch is {}",
                       error.what(), fixed_, batch_);
    }
  }

  void checkOutput(const GraphOutput& output) const {
    const Value* value = output.value;
    const bool has_batch = value->producer() != nullptr && before_.at(value) == fixed_ &&
                           value->type.isStatic() && value->type.size() > 1;
    if (has_batch && firstDim(value->type) != batch_) {
      fail(*value->producer(), fmt::format("output '{}'", output.name));
    }
  }

  [[noreturn]] void fail(const Node& node, const std::string& what) const {
    node.fail("{} fixes the batch to {}, and the batch is {}", what, fixed_, batch_);
  }

  Graph& graph_;
  const int64_t batch_;
  int64_t fixed_ = Dim::kUnknown;
  std::unordered_map<const Value*, int64_t> before_;
};

}  // namespace

void openBatch(Graph& graph, int64_t batch) { BatchOpener(graph, batch).run(); }

int64_t fixedBatch(const Graph& graph) {
  for (const Value* input : graph.inputs) {
    if (firstDim(input->type) != Dim::kUnknown) return firstDim(input->type);
  }
  return 0;
}

bool takesOtherBatch(const Graph& graph) {
  const int64_t own = fixedBatch(graph);
  Graph other = graph.clone();
  const bool is_static = std::all_of(graph.inputs.begin(), graph.inputs.end(),
                                     [](const Value* input) { return input->type.isStatic(); });
  try {
    openBatch(other, own + 1);
    if (is_static) bindShapes(other, {});
  } catch (const Error&) {
    return false;
  }
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    const TensorType& type = other.outputs[i].value->type;
    const bool keeps = firstDim(graph.outputs[i].value->type) == own && type.isStatic() &&
                       type.size() > 1 && firstDim(type) == own;
    if (keeps) return false;
  }
  return true;
}

HiddenBatch::HiddenBatch(Graph& graph) : batch_(fixedBatch(graph)) {
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    TensorType& type = graph.inputs[i]->type;
    if (batch_ == 0 || firstDim(type) != batch_) continue;
    inputs_.push_back(i);
    type.shape->front() = Dim::named("N");
  }
  for (const auto& node : graph.nodes()) graph.inferTypes(*node);
}

void HiddenBatch::restore(Graph& graph) const {
  for (const size_t i : inputs_) graph.inputs[i]->type.shape->front() = batch_;
  for (const auto& node : graph.nodes()) graph.inferTypes(*node);
}

}  // namespace simaqat
