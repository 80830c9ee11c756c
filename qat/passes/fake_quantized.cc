#include "qat/passes/fake_quantized.h"

#include <cmath>

#include "qat/ir/op.h"
#include "qat/ops/shared/batch_norm_attributes.h"
#include "qat/passes/approximate.h"
#include "qat/passes/stored.h"

namespace simaqat {

namespace {

const Node& batchNormOf(const Node& fake_quantize) {
  const Node* batch_norm = foldedBatchNorm(fake_quantize);
  if (batch_norm == nullptr) fake_quantize.fail("no BatchNormalization folds into its weight");
  return *batch_norm;
}

}  // namespace

bool staysFloat(const Graph& graph, const Node& batch_norm) {
  const auto names = graph.metadata.find(kFloatBatchNormsKey);
  if (names == graph.metadata.end()) return false;
  return ("\n" + names->second + "\n").find("\n" + batch_norm.name() + "\n") != std::string::npos;
}

const Node* fakeQuantizeOf(const Value* value) {
  while (const Node* node = value->producer()) {
    if (isFakeQuantize(*node)) return node;
    if (!sharesQuantizer(*node)) return nullptr;
    value = node->input(0);
  }
  return nullptr;
}

void shareQuantizer(Node& node) {
  for (Value* output : node.outputs()) {
    if (output->type.element != ElementType::kFloat || output->quantizer != nullptr) continue;
    output->quantizer = node.input(0)->quantizer;
  }
}

float inputScale(const Value* value) {
  const Node* fake_quantize = fakeQuantizeOf(value);
  return fake_quantize == nullptr ? 0 : *fake_quantize->input(1)->constant.data<float>();
}

Tensor weightScales(const Graph& graph, const Node& fake_quantize) {
  const auto& spec = fake_quantize.attributes<QuantizerSpec>();
  if (!spec.followsWeight()) return storedTensor(graph, fake_quantize.input(kFakeQuantizeScale));
  std::vector<Tensor> inputs = {storedTensor(graph, fake_quantize.input(kFakeQuantizeX))};
  if (spec.followsFoldedWeight()) {
    const Node& batch_norm = batchNormOf(fake_quantize);
    inputs.push_back(storedTensor(graph, batch_norm.input(1)));
    inputs.push_back(storedTensor(graph, batch_norm.input(4)));
    inputs.push_back(Tensor::scalar(batch_norm.attributes<ops::BatchNormAttributes>().epsilon));
  }
  if (spec.learnsFoldedScale()) {
    inputs.push_back(storedTensor(graph, fake_quantize.input(kFakeQuantizeFoldedScale)));
  }
  ThreadPool pool(1);
  Graph scratch(graph.registry());
  std::vector<Value*> constants;
  for (const Tensor& input : inputs) constants.push_back(scratch.addConstant("input", input));
  const Value* result = scratch.add(
      spec.followsFoldedWeight() ? "simaqat::FoldedWeightScale" : "simaqat::WeightScale", "scale",
      constants, spec);
  return evaluateOnHost(scratch, *result->producer(), inputs, pool)[0];
}

std::vector<double> foldedFactors(const Graph& graph, const Node& fake_quantize) {
  const Node& batch_norm = batchNormOf(fake_quantize);
  const double epsilon = batch_norm.attributes<ops::BatchNormAttributes>().epsilon;
  std::vector<double> factors = storedTensor(graph, batch_norm.input(1)).toVector<double>();
  const std::vector<double> var = storedTensor(graph, batch_norm.input(4)).toVector<double>();
  for (size_t c = 0; c < factors.size(); ++c) factors[c] /= std::sqrt(var[c] + epsilon);
  return factors;
}

std::vector<WeightedNode> weightedNodes(const Graph& graph) {
  std::vector<WeightedNode> weighted;
  for (const auto& node : graph.nodes()) {
    const int index = node->op().quantization.weight_input;
    const Value* weight = index < 0 ? nullptr : node->input(static_cast<size_t>(index));
    Node* producer = weight == nullptr ? nullptr : weight->producer();
    if (producer != nullptr && isFakeQuantize(*producer) && isStored(producer->input(0))) {
      weighted.push_back({node.get(), producer});
    }
  }
  return weighted;
}

void bypassQuantizers(Graph& graph, const std::set<std::string>& except) {
  for (Node* node : graph.nodeSequence()) {
    if (!isFakeQuantize(*node) || except.count(node->name()) != 0) continue;
    graph.replaceUses(node->output(), node->input(kFakeQuantizeX));
    graph.removeNode(node);
  }
  restoreAllFunctions(graph);
}

}  // namespace simaqat
