// Which opset a graph needs.
#pragma once

#include "qat/ir/graph.h"
#include "qat/ir/op.h"

namespace simaqat {

// What `downgrade` rewrites: the node in canonical form. `add_constant` is the caller's.
PortableNode portableNode(const Graph& graph, const Node& node);

// The opsets that `export` writes, and what simaqat's own files have at least.
constexpr int kLeastExportOpset = 13;
constexpr int kMostExportOpset = 21;
constexpr int kOwnOpset = 17;

struct NeededOpset {
  int opset;
  const Node* node = nullptr;  // the first one that needs so much; null where none does
};

// The least opset from `opset` on that has the graph's operators with their attributes, inputs and
// element types: what each operator's `first_opset` and `downgrade` say, and, where the installed
// ONNX library knows the opset, its schemas. An Error names a node that no opset can express.
NeededOpset neededOpset(const Graph& graph, int opset);
inline int leastOpset(const Graph& graph, int opset) { return neededOpset(graph, opset).opset; }

// An Error that names the node where that is more than `most`.
void requireWritable(const NeededOpset& needed, int most);

}  // namespace simaqat
