// Where the scaffolding stands in a graph.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "qat/ir/fake_quantize.h"

namespace simaqat {

// Metadata of a scaffolded graph whose biases stay float.
constexpr char kFloatBiasesKey[] = "simaqat.float_biases";
// Of one with BatchNormalizations that the recipe leaves in float: their names, one a line.
constexpr char kFloatBatchNormsKey[] = "simaqat.float_batch_norms";

// Whether the recipe leaves the BatchNormalization in float.
bool staysFloat(const Graph& graph, const Node& batch_norm);

// The FakeQuantize on whose grid the value lies, directly or through operators that share their
// input's quantizer; null where there is none.
const Node* fakeQuantizeOf(const Value* value);

// Gives the float outputs of a node that shares its input's quantizer that quantizer, where they have
// none. Others, such as TopK's indices, lie on no grid.
void shareQuantizer(Node& node);

// The scale of that grid, once variables are constants; 0 for a float value.
float inputScale(const Value* value);

// The scales of a stored weight's quantizer: of the weight as it is, with the BatchNormalization
// behind it as it is, or the stored ones.
Tensor weightScales(const Graph& graph, const Node& fake_quantize);

// Of a quantizer that follows a folded weight: what the BatchNormalization behind the weight
// multiplies each output channel by, gamma / sqrt(var + epsilon) of the running variance.
std::vector<double> foldedFactors(const Graph& graph, const Node& fake_quantize);

struct WeightedNode {
  Node* node;
  Node* fake_quantize;  // of its weight
};

// Every node with a fake-quantized stored weight, in graph order.
std::vector<WeightedNode> weightedNodes(const Graph& graph);

// FakeQuantize nodes go, but for those named, and approximations of functions with them: values stay
// float. Of a graph specialized for training the observers stay.
void bypassQuantizers(Graph& graph, const std::set<std::string>& except = {});

}  // namespace simaqat
