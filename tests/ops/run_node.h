// Graphs of one node from an operator's examples, and ways to run them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "qat/ir/op.h"
#include "qat/ops/registry.h"

namespace simaqat {

// The example's inputs, with the floating-point ones in `element`.
std::vector<Tensor> exampleInputs(const OpExample& example, ElementType element);

// Adds the example's node. `as_input` says which inputs become graph inputs; others are constants.
Node* addExampleNode(Graph& graph, const OpDefinition& op, const OpExample& example,
                     const std::vector<Tensor>& inputs,
                     const std::function<bool(size_t)>& as_input);
// All inputs constant.
Node* addExampleNode(Graph& graph, const OpDefinition& op, const OpExample& example,
                     const std::vector<Tensor>& inputs);

struct RunOptions {
  bool kernel = false;
  int threads = 1;
  // What output memory and the workspace hold before.
  uint8_t filler = 0;
  // With a pair (input, output): that output takes that input's memory.
  std::vector<std::pair<int, int>> in_place = {};
};

// Runs the node's `evaluate` or `kernel`. Fails a CHECK where it writes beyond an output.
std::vector<Tensor> runNode(const Node& node, const std::vector<Tensor>& inputs,
                            const RunOptions& options);

// Calls f for each example of each operator that has any.
void forEachExample(const std::function<void(const OpDefinition&, const OpExample&)>& f);
// "Conv, example 'padded'"
std::string describe(const OpDefinition& op, const OpExample& example);

// The largest |a - b| / (1 + |b|); infinity where dimensions or NaNs differ.
double distance(const Tensor& a, const Tensor& b);

}  // namespace simaqat
