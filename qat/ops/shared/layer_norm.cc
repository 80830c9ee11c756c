#include "qat/ops/shared/layer_norm.h"

namespace simaqat::ops {
namespace {

void checkParameter(const InferContext& c, size_t input, const Shape& x, size_t axis) {
  const Shape* p = c.shape(input);
  if (p == nullptr || *p == Shape{} || *p == Shape{1}) return;
  bool fits = p->size() <= x.size() - axis;
  for (size_t k = 0; fits && k < p->size(); ++k) {
    const Dim& own = (*p)[p->size() - 1 - k];
    const Dim& dim = x[x.size() - 1 - k];
    fits = own == dim || !own.known() || !dim.known();
  }
  if (!fits) {
    c.node.fail("input {}: expected the dimensions of {} from axis {} on, got {}", input,
                shapeToString(x), axis, shapeToString(*p));
  }
}

}  // namespace

void inferLayerNorm(InferContext& c) {
  if (const Shape* x = c.shape(0)) {
    const auto axis = static_cast<size_t>(normalizeAxis(
        c.node, c.node.attributes<LayerNormAttributes>().axis, static_cast<int64_t>(x->size())));
    for (size_t i = 1; i < 3; ++i) checkParameter(c, i, *x, axis);
  }
  for (size_t i = 1; i < 3; ++i) c.expectElement(i, c.input(0).element);
  c.setOutput(0, c.input(0).element, c.input(0).shape);
}

void layerNormGradient(GradientContext& c, Centering centering) {
  Value* dy = c.outputGradient();
  for (size_t i = 1; i < c.node.outputCount(); ++i) {
    if (c.outputGradient(i) != nullptr) c.node.fail("output {} has no gradient", i);
  }
  if (c.wants(0)) {
    LayerNormGradientAttributes attributes;
    static_cast<LayerNormAttributes&>(attributes) = c.node.attributes<LayerNormAttributes>();
    attributes.centered = centering == Centering::kMean;
    c.setInputGradient(0, c.add("simaqat::LayerNormalizationGradient",
                                {dy, c.factor(c.input(0)), c.input(1)}, attributes));
  }
  if (c.wants(1)) {
    Value* normal = c.add(c.node.op().name, {c.factor(c.input(0)), c.scalar(1, dy)},
                          c.node.rawAttributes().clone());
    c.setInputGradient(1, c.sumTo(c.add("Mul", {dy, normal}), c.input(1)));
  }
  if (c.wants(2)) c.setInputGradient(2, c.sumTo(dy, c.input(2)));
}

}  // namespace simaqat::ops
