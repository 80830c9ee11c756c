// Parameter groups: which parameters have a learning rate or weight decay of their own.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat {

// The parameters whose names match a pattern, or that are of a kind ("bias", "norm", "weight").
struct ParameterGroup {
  std::string pattern;
  std::optional<float> learning_rate;  // in place of the optimizer's; the schedule moves it alike
  std::optional<float> weight_decay;

  // From "PATTERN:lr=0.001,weight_decay=0". A usage Error that names --group where it is not that.
  static ParameterGroup parse(const std::string& text);
  std::string toString() const;
};

// The first group that has the parameter, or null.
const ParameterGroup* groupOf(const Variable& parameter, const std::vector<ParameterGroup>& groups);

// Layer-wise decay, as fine-tuning of transformers uses it (Clark et al. 2020; BEiT): a factor of
// the learning rate for each variable that trains, decay^k for one that is k layers before the
// last. Layers are what names number (blocks.3, layers.3, layer.3, h.3, encoder_layer_3). What the
// graph uses before the first of them counts as one layer (embeddings), and so does what is used
// later and has no number (the head). An Error where no name has a number.
std::map<const Variable*, float> layerDecayFactors(const Graph& graph, float decay);

}  // namespace simaqat
