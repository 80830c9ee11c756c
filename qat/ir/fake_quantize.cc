#include "qat/ir/fake_quantize.h"

#include <algorithm>
#include <cmath>

#include "qat/ir/op.h"

namespace simaqat {

bool isFakeQuantize(const Node& node) {
  return node.op().qualifiedName() == "simaqat::FakeQuantize";
}

Node* batchNormBehind(const Graph& graph, const Node& node) {
  const Value* value = node.output();
  if (graph.useCount(value) != 1 || value->uses().size() != 1) return nullptr;
  Node* consumer = value->uses()[0].node;
  const bool folds = consumer->op().qualifiedName() == "BatchNormalization" &&
                     node.op().quantization.fuses_batch_norm && consumer->input(0) == value &&
                     (node.op().qualifiedName() != "MatMul" || value->type.rank() == 2);
  return folds ? consumer : nullptr;
}

Node* foldedBatchNorm(const Node& fake_quantize) {
  // Not by Graph::useCount: a graph may have been given outputs to look at.
  const Node* node = &fake_quantize;
  for (bool is_weighted = false;; is_weighted = true) {
    const auto& uses = node->output()->uses();
    if (uses.size() != 1) return nullptr;
    Node* user = uses[0].node;
    const std::string& type = user->op().qualifiedName();
    if (is_weighted && type == "BatchNormalization") return uses[0].index == 0 ? user : nullptr;
    if (is_weighted && type != "simaqat::StopGradient") return nullptr;
    node = user;
  }
}

FakeQuantizeInput learnedScaleInput(const QuantizerSpec& spec) {
  return spec.learnsFoldedScale() ? kFakeQuantizeFoldedScale : kFakeQuantizeScale;
}

bool isUnset(const Node& node) {
  const auto& spec = node.attributes<QuantizerSpec>();
  const auto first = [&](FakeQuantizeInput i) {
    return *node.input(i)->variable->value.data<float>();
  };
  if (spec.observesRange()) {
    return isUnsetRange(first(kFakeQuantizeRangeMin), first(kFakeQuantizeRangeMax));
  }
  return spec.learnsScale() && first(learnedScaleInput(spec)) == kUnsetScale;
}

void settleLearned(Node& node) {
  const auto& spec = node.attributes<QuantizerSpec>();
  Tensor& scales = node.input(learnedScaleInput(spec))->variable->value;
  float* scale = scales.mutableData<float>();
  const float limit = learnedScaleLimit(spec);
  for (int64_t c = 0; c < scales.size(); ++c) scale[c] = std::min(std::fabs(scale[c]), limit);
  if (!spec.learnsOffset()) return;
  const float offset = *node.input(kFakeQuantizeOffset)->variable->value.data<float>();
  *node.input(kFakeQuantizeZeroPoint)->variable->value.mutableData<float>() =
      zeroPointOfOffset(spec, *scale, offset);
}

}  // namespace simaqat
