#include "qat/ops/shared/group_norm.h"

#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {
namespace {

template <class T>
void normalizeGroups(const EvalContext& c, int64_t groups, double epsilon) {
  const Span<const int64_t> dims = c.in(0).dims;
  const int64_t channels = dims[1] / groups;  // of one group
  const int64_t inner = product(dims, 2, dims.size());
  const int64_t size = channels * inner;
  const T* scale = c.in(1).data<T>();
  const T* bias = c.in(2).data<T>();
  const auto normalizeGroup = [&](int64_t group) {
    const T* x = c.in(0).data<T>() + group * size;
    T* y = c.out().data<T>() + group * size;
    const RowStatistics s = rowStatistics(x, size, epsilon, Centering::kMean);
    for (int64_t k = 0; k < channels; ++k) {
      const int64_t channel = group % groups * channels + k;
      for (int64_t i = k * inner; i < (k + 1) * inner; ++i) {
        y[i] = static_cast<T>(s.normal(x[i])) * scale[channel] + bias[channel];
      }
    }
  };
  c.pool.runRanges(dims[0] * groups, kElementwiseGrain / (size + 1) + 1,
                   [&](int64_t begin, int64_t end) {
                     for (int64_t group = begin; group < end; ++group) normalizeGroup(group);
                   });
}

}  // namespace

void inferGroupNorm(InferContext& c) {
  const Shape* x = c.shape(0);
  if (x != nullptr && x->size() < 2) {
    c.node.fail("input 0: expected rank 2 or more, got {}", typeToString(c.input(0)));
  }
  for (size_t i = 1; i < 3; ++i) {
    c.expectElement(i, c.input(0).element);
    c.expectRank(i, 1);
    if (x == nullptr || c.shape(i) == nullptr) continue;
    const Dim& count = (*c.shape(i))[0];
    if (count.known() && (*x)[1].known() && count.value != (*x)[1].value) {
      c.node.fail("input {}: expected one number for each channel of {}, got {}", i,
                  shapeToString(*x), typeToString(c.input(i)));
    }
  }
  c.setOutput(0, c.input(0).element, c.input(0).shape);
}

void evaluateGroupNorm(const EvalContext& c, int64_t groups, double epsilon) {
  visitFloat(c, c.out().type,
             [&](auto tag) { normalizeGroups<decltype(tag)>(c, groups, epsilon); });
}

void groupNormGradient(GradientContext& c, int64_t groups, float epsilon) {
  Value* dy = c.outputGradient();
  const std::vector<int64_t> dims = c.input(0)->type.dims();
  const int64_t size = product(dims, 1, dims.size()) / groups;
  const auto rows = [&](Value* value) { return reshaped(c, value, {dims[0], groups, size}); };
  // The scale as it broadcasts over x.
  std::vector<int64_t> column(dims.size() - 1, 1);
  column[0] = dims[1];
  Value* scale = reshaped(c, c.input(1), column);
  LayerNormGradientAttributes attributes;
  attributes.epsilon = epsilon;
  Value* one = c.scalar(1, dy);
  if (c.wants(0)) {
    Value* dx =
        c.add("simaqat::LayerNormalizationGradient",
              {rows(c.add("Mul", {dy, scale})), rows(c.factor(c.input(0))), one}, attributes);
    c.setInputGradient(0, c.reshapeLike(dx, c.input(0)));
  }
  if (c.wants(1)) {
    Value* normal = c.add("LayerNormalization", {rows(c.factor(c.input(0))), one},
                          static_cast<LayerNormAttributes>(attributes));
    Value* sum = c.sumTo(c.add("Mul", {dy, c.reshapeLike(normal, dy)}), scale);
    c.setInputGradient(1, c.reshapeLike(sum, c.input(1)));
  }
  if (c.wants(2)) c.setInputGradient(2, c.reshapeLike(c.sumTo(dy, scale), c.input(2)));
}

}  // namespace simaqat::ops
