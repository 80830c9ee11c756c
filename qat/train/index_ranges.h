// Which integers a graph takes: labels of a loss, indices of what chooses by them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "qat/data/dataset.h"
#include "qat/ir/graph.h"

namespace simaqat {

struct IndexRange {
  int64_t least = 0;
  int64_t most = 0;
  std::optional<int64_t> ignored;  // allowed besides
  bool is_required = true;         // else another integer is no error, but chooses nothing
  std::string node;                // that takes it
};

// Of the graph's integer inputs, by name, for every node that takes their elements as labels or
// indices, directly or moved. The graph's types are static.
std::map<std::string, std::vector<IndexRange>> indexRanges(const Graph& graph);

// The ranges in a model with its loss (joinLoss) at this batch.
std::map<std::string, std::vector<IndexRange>> indexRanges(
    const Graph& joined, int64_t batch,
    const std::map<std::string, std::vector<int64_t>>& sample_dims);

// An Error that names label, sample, field and file where the data has another integer than a node
// takes.
void requireIndices(const std::map<std::string, std::vector<IndexRange>>& ranges,
                    const Dataset& data);

}  // namespace simaqat
