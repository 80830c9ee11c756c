#include "qat/ops/shared/slice.h"

#include <numeric>

#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/integers.h"

namespace simaqat::ops {
namespace {

// The inputs behind the data: starts, ends, and axes and steps, which may be absent.
enum Input { kData, kStarts, kEnds, kAxes, kSteps };

// A dimension of which no number is known stays what it is where nothing is cut off.
Dim slicedDim(const Node& node, const Dim& dim, int64_t start, int64_t end, int64_t step) {
  if (dim.known()) return sliceRange(node, dim.value, start, end, step).count;
  const bool whole = start == 0 && step == 1 && end >= std::numeric_limits<int32_t>::max();
  return whole ? dim : Dim();
}

void infer(InferContext& c) {
  const Shape* x = c.shape(kData);
  const auto starts = constantIntegers(c, kStarts);
  const auto ends = constantIntegers(c, kEnds);
  auto axes = constantIntegers(c, kAxes);
  const auto steps = constantIntegers(c, kSteps);
  if (x == nullptr) return c.setOutput(0, c.input(0).element, std::nullopt);
  Shape y = *x;
  if (!axes && !c.hasInput(kAxes) && starts) {
    axes.emplace(starts->size());
    std::iota(axes->begin(), axes->end(), int64_t{0});
  }
  if (!axes) return c.setOutput(0, c.input(0).element, unknownShape(x->size()));
  markAxes(c.node, *axes, x->size());
  const bool all_known = starts && ends && (steps || !c.hasInput(kSteps));
  for (size_t i = 0; i < axes->size(); ++i) {
    Dim& dim =
        y[static_cast<size_t>(normalizeAxis(c.node, (*axes)[i], static_cast<int64_t>(x->size())))];
    if (!all_known) {
      dim = Dim();
      continue;
    }
    if (starts->size() != axes->size() || ends->size() != axes->size() ||
        (steps && steps->size() != axes->size())) {
      c.node.fail("starts, ends, axes and steps: expected one number each for {} axes",
                  axes->size());
    }
    dim = slicedDim(c.node, dim, (*starts)[i], (*ends)[i], steps ? (*steps)[i] : 1);
  }
  c.setOutput(0, c.input(0).element, std::move(y));
}

void evaluate(const EvalContext& c) {
  const Span<const int64_t> dims = c.in(kData).dims;
  const Strides from = denseStrides(c.node, dims);
  const Strides to = denseStrides(c.node, c.out().dims);
  std::array<SliceRange, kMaxBroadcastRank> ranges{};
  for (size_t axis = 0; axis < dims.size(); ++axis) ranges[axis] = {0, 1, dims[axis]};
  for (int64_t i = 0; i < c.in(kStarts).size; ++i) {
    const int64_t axis =
        normalizeAxis(c.node, c.hasIn(kAxes) ? integerAt(c.in(kAxes), i) : i, c.in(kData).rank());
    ranges[static_cast<size_t>(axis)] =
        sliceRange(c.node, c.in(kData).dim(axis), integerAt(c.in(kStarts), i),
                   integerAt(c.in(kEnds), i), c.hasIn(kSteps) ? integerAt(c.in(kSteps), i) : 1);
  }
  StridedCopy copy(c.out().type);
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    const SliceRange& range = ranges[axis];
    copy.from_offset += range.start * from[axis];
    // The step of a single element may be as large as it likes.
    copy.addAxis(range.count, range.count > 1 ? range.step * from[axis] : 0, to[axis]);
  }
  copy.run(c.in(kData).bytes, c.out().bytes, c.pool);
}

void gradient(GradientContext& c) {
  if (!c.wants(kData)) return;
  const auto list = [&](size_t input) {
    const Value* value = c.input(input);
    return value == nullptr ? std::vector<int64_t>() : value->constant.toVector<int64_t>();
  };
  const std::vector<int64_t> starts = list(kStarts);
  const std::vector<int64_t> ends = list(kEnds);
  const std::vector<int64_t> axes = list(kAxes);
  const std::vector<int64_t> steps = list(kSteps);
  SliceGradientAttributes attributes;
  attributes.shape = c.input(kData)->type.dims();
  const auto rank = static_cast<int64_t>(attributes.shape.size());
  attributes.starts.assign(attributes.shape.size(), 0);
  attributes.steps.assign(attributes.shape.size(), 1);
  for (size_t i = 0; i < starts.size(); ++i) {
    const auto axis = static_cast<size_t>(
        normalizeAxis(c.node, axes.empty() ? static_cast<int64_t>(i) : axes[i], rank));
    const SliceRange range = sliceRange(c.node, attributes.shape[axis], starts[i], ends[i],
                                        steps.empty() ? 1 : steps[i]);
    attributes.starts[axis] = range.start;
    attributes.steps[axis] = range.step;
  }
  c.setInputGradient(kData, c.add("simaqat::SliceGradient", {c.outputGradient()}, attributes));
}

void upgrade(PortableNode& node, int opset) {
  if (opset >= 10) return;
  node.attributeToInput("starts", kStarts);
  node.attributeToInput("ends", kEnds);
  node.attributeToInput("axes", kAxes);
}

std::vector<OpExample> examples() {
  const auto list = [](const std::vector<int64_t>& values) {
    return Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values);
  };
  return {
      {"first axes", {}, {exampleTensor({4, 5, 3}), list({1, 0}), list({3, -1})}},
      {"axes and steps",
       {},
       {exampleTensor({4, 7}), list({1}), list({1000}), list({-1}), list({2})}},
      {"backwards",
       {},
       {exampleTensor({2, 5, 4}), list({-1, 3}), list({-1000, 0}), list({1, 2}), list({-1, -2})}},
      {"backwards to the front",
       {},
       {exampleTensor({5}), list({4}), list({std::numeric_limits<int64_t>::min()}), list({0}),
        list({-3})}},
      {"integers", {}, {exampleIntegers({4}, 0, 99), list({2}), list({4})}},
  };
}

}  // namespace

OpDefinition defineSlice() {
  OpDefinition op;
  op.name = "Slice";
  op.min_inputs = 3;
  op.max_inputs = 5;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kShares;
  op.upgrade = upgrade;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
