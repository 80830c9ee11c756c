#include "qat/train/index_ranges.h"

#include <algorithm>

#include "qat/ops/shared/cross_entropy.h"
#include "qat/ops/shared/gather.h"
#include "qat/ops/shared/gather_nd.h"
#include "qat/passes/simplify.h"
#include "qat/train/step_graph.h"

namespace simaqat {
namespace {

bool isInteger(const TensorType& type) {
  return type.element == ElementType::kInt64 || type.element == ElementType::kInt32;
}

// GatherND's and ScatterND's last dimension of indices goes through the data's axes from
// `batch_dims` on. Where those differ in size, what all of them allow is no requirement.
IndexRange tupleRange(const Node& node, size_t batch_dims) {
  const std::vector<int64_t> data = node.input(0)->type.dims();
  const std::vector<int64_t> indices = node.input(1)->type.dims();
  const auto first = data.begin() + static_cast<int64_t>(batch_dims);
  const auto [least, most] = std::minmax_element(first, first + indices.back());
  return {-*least, *least - 1, std::nullopt, *least == *most, node.describe()};
}

// What input `index` of the node may be, where it is one of labels or indices.
std::optional<IndexRange> rangeOf(const Node& node, size_t index) {
  const std::string& op = node.op().qualifiedName();
  const auto upTo = [&](int64_t size, bool is_required) {
    return IndexRange{-size, size - 1, std::nullopt, is_required, node.describe()};
  };
  if ((op == "SoftmaxCrossEntropyLoss" || op == "NegativeLogLikelihoodLoss") &&
      index == ops::kLabels) {
    const auto& attributes = node.attributes<ops::CrossEntropyAttributes>();
    return IndexRange{0, node.input(0)->type.dims()[1] - 1, attributes.ignore_index, true,
                      node.describe()};
  }
  if ((op == "Gather" || op == "GatherElements") && index == 1) {
    const std::vector<int64_t> dims = node.input(0)->type.dims();
    const int64_t axis = normalizeAxis(node, node.attributes<ops::AxisAttributes>().axis,
                                       static_cast<int64_t>(dims.size()));
    return upTo(dims[static_cast<size_t>(axis)], true);
  }
  if ((op == "GatherND" || op == "ScatterND") && index == 1) {
    const bool gathers = op == "GatherND";
    const int64_t batch_dims = gathers ? node.attributes<ops::GatherNdAttributes>().batch_dims : 0;
    return tupleRange(node, static_cast<size_t>(batch_dims));
  }
  if (op == "OneHot" && index == 0 && node.input(0)->type.size() > 0) {
    return upTo(node.output()->type.size() / node.input(0)->type.size(), false);
  }
  return std::nullopt;
}

// Whether the output has input 0's elements, all or some of them, as integers.
bool moves(const Node& node) {
  const std::string& op = node.op().qualifiedName();
  return isInteger(node.output()->type) &&
         (op == "Cast" || op == "Identity" || sharesQuantizer(node));
}

void collect(const Value* value, bool is_whole, std::vector<IndexRange>& ranges) {
  for (const Use& use : value->uses()) {
    if (std::optional<IndexRange> range = rangeOf(*use.node, use.index)) {
      // Of a part nobody knows which elements those are.
      range->is_required = range->is_required && is_whole;
      ranges.push_back(*std::move(range));
    } else if (use.index == 0 && moves(*use.node)) {
      const Value* output = use.node->output();
      collect(output, is_whole && output->type.size() >= value->type.size(), ranges);
    }
  }
}

}  // namespace

std::map<std::string, std::vector<IndexRange>> indexRanges(const Graph& graph) {
  std::map<std::string, std::vector<IndexRange>> ranges;
  for (const Value* input : graph.inputs) {
    std::vector<IndexRange> found;
    if (isInteger(input->type)) collect(input, true, found);
    if (!found.empty()) ranges[input->name()] = std::move(found);
  }
  return ranges;
}

std::map<std::string, std::vector<IndexRange>> indexRanges(
    const Graph& joined, int64_t batch,
    const std::map<std::string, std::vector<int64_t>>& sample_dims) {
  Graph graph = joined.clone();
  specialize(graph, {});
  bindInputs(graph, batch, sample_dims);
  bindShapes(graph, {});
  return indexRanges(graph);
}

void requireIndices(const std::map<std::string, std::vector<IndexRange>>& ranges,
                    const Dataset& data) {
  for (size_t field = 0; field < data.fieldCount(); ++field) {
    const auto found = ranges.find(data.fieldName(field));
    if (found == ranges.end()) continue;
    for (const IndexRange& range : found->second) {
      if (!range.is_required) continue;
      data.requireIntegers(field, [&](int64_t value) -> std::string {
        if ((value >= range.least && value <= range.most) || value == range.ignored) return "";
        return fmt::format("{} takes {} to {}{}", range.node, range.least, range.most,
                           range.ignored ? fmt::format(" and {}", *range.ignored) : "");
      });
    }
  }
}

}  // namespace simaqat
