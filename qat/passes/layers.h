// The layers of a scaffolded graph.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat {

// A node with a quantized weight. FakeQuantize nodes are told by name, which clones keep.
struct Layer {
  std::string node;
  std::string op_type;
  std::string weight;  // the FakeQuantize of its weight
  std::string output;  // the one its result goes into, with what is fused behind it; "" for none
  int64_t weight_elements = 0;
  ElementType codes = ElementType::kInt8;  // of the weight
};

// The node, with what is fused behind it, BatchNormalization and activations that nothing else
// sees, and last the FakeQuantize that their result goes into; none where there is no such.
std::vector<const Node*> nodesToQuantizer(const Graph& scaffolded, const Node& node);

// In graph order; of nodes that share a weight the first.
std::vector<Layer> layersOf(const Graph& scaffolded);

}  // namespace simaqat
