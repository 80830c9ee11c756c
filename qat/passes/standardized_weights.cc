#include <algorithm>

#include "qat/ir/op.h"
#include "qat/ops/shared/batch_norm_attributes.h"
#include "qat/passes/exported_forms.h"
#include "qat/passes/integer_forms.h"
#include "qat/passes/stored.h"

namespace simaqat {
namespace {

// Adds nodes in front of the BatchNormalization, in its name.
class Rewriting {
 public:
  Rewriting(Graph& graph, Node* batch_norm) : graph_(graph), batch_norm_(batch_norm) {}

  void run() {
    // Its type may not say yet what the computation of its shape gives.
    const std::vector<int64_t> dims = storedTensor(graph_, batch_norm_->input(0)).dims();
    // InstanceNormalization takes the statistics of each sample by itself: of one sample, they are
    // those of the batch.
    const bool is_one_sample = dims.size() > 2 && dims[0] == 1;
    Value* y = is_one_sample ? normalized(batch_norm_->input(0)) : ofSamples(dims);
    replaceNode(graph_, batch_norm_, y);
  }

 private:
  Value* normalized(Value* x) {
    const float epsilon = batch_norm_->attributes<ops::BatchNormAttributes>().epsilon;
    return add("InstanceNormalization", {x, batch_norm_->input(1), batch_norm_->input(2)},
               {{"epsilon", epsilon}});
  }

  // [N, C, ...] as the one sample [1, C, N ...].
  Value* ofSamples(std::vector<int64_t> dims) {
    std::vector<int64_t> perm(dims.size());
    for (size_t k = 0; k < perm.size(); ++k) perm[k] = static_cast<int64_t>(k);
    std::swap(perm[0], perm[1]);
    std::swap(dims[0], dims[1]);
    Value* x = add("Transpose", {batch_norm_->input(0)}, {{"perm", perm}});
    Value* y = reshaped(normalized(reshaped(x, {1, dims[0], -1})), dims);
    return add("Transpose", {y}, {{"perm", perm}});
  }

  Value* reshaped(Value* x, const std::vector<int64_t>& dims) {
    const Tensor shape = Tensor::of({static_cast<int64_t>(dims.size())}, dims);
    return add("Reshape", {x, graph_.addConstant(batch_norm_->name() + "/shape", shape)}, {});
  }

  Value* add(const std::string& op_type, const std::vector<Value*>& inputs,
             const AttributeMap& attributes) {
    std::unique_ptr<Attributes> parsed = graph_.registry().get(op_type).make_attributes();
    parsed->parse(attributes);
    return graph_.add(op_type, batch_norm_->name(), inputs, std::move(parsed), batch_norm_);
  }

  Graph& graph_;
  Node* batch_norm_;
};

bool isOfWeight(const Graph& graph, const Node& node) {
  if (node.op().qualifiedName() != "BatchNormalization") return false;
  if (!node.attributes<ops::BatchNormAttributes>().training_mode) return false;
  // Statistics that something else reads are not the weight's alone.
  for (size_t i = 1; i < node.outputCount(); ++i) {
    if (graph.useCount(node.output(i)) > 0) return false;
  }
  return isStored(node.input(0));
}

}  // namespace

void standardizedWeights(Graph& graph) {
  for (Node* node : graph.nodeSequence()) {
    if (isOfWeight(graph, *node)) Rewriting(graph, node).run();
  }
}

}  // namespace simaqat
