#include "qat/passes/open_batch.h"

#include <unordered_map>

#include "qat/ir/op.h"
#include "qat/passes/match.h"

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

}  // namespace simaqat
