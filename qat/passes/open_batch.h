// A batch that the exporter fixed, and nothing else.
#pragma once

#include <cstdint>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat {

// Gives the inputs whose first dimension the file fixes to another number the batch `batch`, and
// infers every type anew. An Error names the node that fixes the batch itself: a Reshape to a list
// with it, a constant with an entry for each sample, or an output that keeps the old one.
void openBatch(Graph& graph, int64_t batch);

// The first dimension that the inputs' types fix, or 0.
int64_t fixedBatch(const Graph& graph);

// Whether all shapes follow where the fixed batch is another one.
bool takesOtherBatch(const Graph& graph);

// Makes the fixed batch a symbol, so that what a graph computes from its shapes does not become a
// constant, and gives it back.
class HiddenBatch {
 public:
  explicit HiddenBatch(Graph& graph);
  void restore(Graph& graph) const;

 private:
  int64_t batch_;
  std::vector<size_t> inputs_;
};

}  // namespace simaqat
