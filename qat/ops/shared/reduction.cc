#include "qat/ops/shared/reduction.h"

#include <algorithm>

#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/integers.h"

namespace simaqat::ops {
namespace {

// Which axes go, of data of so many; `axes` may be empty.
std::vector<bool> reducedAxes(const Node& node, const std::vector<int64_t>& axes, size_t rank) {
  if (axes.empty()) {
    return std::vector<bool>(rank, !node.attributes<ReduceAttributes>().noop_with_empty_axes);
  }
  return markAxes(node, axes, rank);
}

bool isReduced(const EvalContext& c, size_t axis, size_t rank) {
  const int64_t count = c.hasIn(1) ? c.in(1).size : 0;
  if (count == 0) return !c.node.attributes<ReduceAttributes>().noop_with_empty_axes;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t named = integerAt(c.in(1), i);
    if (normalizeAxis(c.node, named, static_cast<int64_t>(rank)) == static_cast<int64_t>(axis)) {
      return true;
    }
  }
  return false;
}

}  // namespace

void inferReduce(InferContext& c) {
  const bool keepdims = c.node.attributes<ReduceAttributes>().keepdims;
  const Shape* x = c.shape(0);
  const auto axes = c.hasInput(1) ? constantIntegers(c, 1) : std::vector<int64_t>{};
  std::optional<Shape> y;
  if (x != nullptr && axes) {
    const std::vector<bool> reduced = reducedAxes(c.node, *axes, x->size());
    y.emplace();
    for (size_t axis = 0; axis < x->size(); ++axis) {
      if (!reduced[axis]) {
        y->push_back((*x)[axis]);
      } else if (keepdims) {
        y->push_back(1);
      }
    }
  } else if (x != nullptr && keepdims) {
    y = unknownShape(x->size());
  }
  c.setOutput(0, c.input(0).element, std::move(y));
}

void upgradeReduce(PortableNode& node, int opset) {
  if (opset < (node.op_type == "ReduceSum" ? 13 : 18)) node.attributeToInput("axes", 1);
}

void downgradeReduce(PortableNode& node, int opset) {
  if (opset >= (node.op_type == "ReduceSum" ? 13 : 18)) return;
  node.inputToAttribute(1, "axes");
  const auto axes = node.attributes.find("axes");
  const bool empty =
      axes == node.attributes.end() || std::get<std::vector<int64_t>>(axes->second).empty();
  const auto noop = node.attributes.find("noop_with_empty_axes");
  if (empty && noop != node.attributes.end() && std::get<int64_t>(noop->second) != 0) {
    node.op_type = "Identity";
    node.attributes.clear();
    return;
  }
  if (noop != node.attributes.end()) node.attributes.erase(noop);
  if (empty) node.attributes.erase("axes");
}

std::vector<OpExample> reduceExamples() {
  const auto axes = [](const std::vector<int64_t>& list) {
    return Tensor::of({static_cast<int64_t>(list.size())}, list);
  };
  const AttributeMap lose = {{"keepdims", int64_t{0}}};
  const AttributeMap noop = {{"noop_with_empty_axes", int64_t{1}}};
  return {
      {"all", {}, {exampleTensor({2, 3, 4})}},
      {"all, to a scalar", lose, {exampleTensor({2, 3, 4})}},
      {"spatial", {}, {exampleTensor({2, 3, 4, 5}), axes({2, 3})}},
      {"all but channels", lose, {exampleTensor({2, 3, 4, 5}), axes({0, -1, 2})}},
      {"middle", lose, {exampleTensor({2, 3, 4}), axes({1})}},
      {"two runs of each", {}, {exampleTensor({2, 3, 2, 3}), axes({1, 3})}},
      {"first", lose, {exampleTensor({5, 3}), axes({0})}},
      {"nothing", noop, {exampleTensor({2, 3})}},
  };
}

Value* expandReduced(GradientContext& c, Value* gradient) {
  const std::vector<int64_t> dims = c.input(0)->type.dims();
  if (gradient->type.dims() == dims) return gradient;
  const Value* list = c.input(1);
  const std::vector<bool> reduced = reducedAxes(
      c.node, list == nullptr ? std::vector<int64_t>{} : list->constant.toVector<int64_t>(),
      dims.size());
  std::vector<int64_t> kept = dims;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (reduced[axis]) kept[axis] = 1;
  }
  if (gradient->type.dims() != kept) gradient = reshaped(c, gradient, kept);
  return kept == dims ? gradient : c.add("Expand", {gradient, integers(c, dims)});
}

ReduceWalk::ReduceWalk(const EvalContext& c) {
  const Span<const int64_t> dims = c.in(0).dims;
  addRuns(c.node, dims, [&](size_t axis) { return isReduced(c, axis, dims.size()); });
}

ReduceWalk::ReduceWalk(const Node& node, Span<const int64_t> dims,
                       const std::vector<int64_t>& axes) {
  const auto rank = static_cast<int64_t>(dims.size());
  addRuns(node, dims, [&](size_t axis) {
    return std::any_of(axes.begin(), axes.end(), [&](int64_t named) {
      return normalizeAxis(node, named, rank) == static_cast<int64_t>(axis);
    });
  });
}

template <class IsReduced>
void ReduceWalk::addRuns(const Node& node, Span<const int64_t> dims, IsReduced is_reduced) {
  if (dims.size() > kMaxBroadcastRank) node.fail("rank {} is too large", dims.size());
  int64_t stride = elementCount(dims);
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (dims[axis] == 1) continue;
    stride = dims[axis] == 0 ? 0 : stride / dims[axis];
    const bool reduced = is_reduced(axis);
    if (rank_ > 0 && runs_[rank_ - 1].reduced == reduced) {
      runs_[rank_ - 1].size *= dims[axis];
      runs_[rank_ - 1].stride = stride;
    } else {
      runs_[rank_++] = {dims[axis], stride, reduced};
    }
  }
}

int64_t ReduceWalk::reducedCount() const {
  int64_t count = 1;
  for (size_t k = 0; k < rank_; ++k) {
    if (runs_[k].reduced) count *= runs_[k].size;
  }
  return count;
}

std::optional<ReduceWalk::ChannelForm> ReduceWalk::channelForm() const {
  ChannelForm form = {1, 1, 1};
  if (rank_ == 1 && runs_[0].reduced) return ChannelForm{1, 1, runs_[0].size};
  size_t k = 0;
  if (k < rank_ && runs_[k].reduced) form.outer = runs_[k++].size;
  if (k < rank_) form.channels = runs_[k++].size;
  if (k < rank_) form.inner = runs_[k++].size;
  if (k < rank_) return std::nullopt;
  return form;
}

}  // namespace simaqat::ops
