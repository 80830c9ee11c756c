#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/integers.h"
#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {
namespace {

// Without axes, all of size 1 go: the result's rank is known only where every size is.
std::optional<Shape> squeezeAll(const Shape& x) {
  Shape y;
  for (const Dim& dim : x) {
    if (!dim.known()) return std::nullopt;
    if (dim.value != 1) y.push_back(dim);
  }
  return y;
}

void infer(InferContext& c) {
  const Shape* x = c.shape(0);
  const auto axes = constantIntegers(c, 1);
  std::optional<Shape> y;
  if (x != nullptr && axes) {
    const std::vector<bool> goes = markAxes(c.node, *axes, x->size());
    y.emplace();
    for (size_t axis = 0; axis < x->size(); ++axis) {
      const Dim& dim = (*x)[axis];
      if (!goes[axis]) {
        y->push_back(dim);
      } else if (dim.known() && dim.value != 1) {
        c.node.fail("input 0: expected size 1 on axis {}, got {}", axis, shapeToString(*x));
      }
    }
  } else if (x != nullptr && !c.hasInput(1)) {
    y = squeezeAll(*x);
  } else if (const auto count = listLength(c, 1);
             x != nullptr && count && *count <= static_cast<int64_t>(x->size())) {
    y = unknownShape(x->size() - static_cast<size_t>(*count));
  }
  c.setOutput(0, c.input(0).element, std::move(y));
}

std::vector<OpExample> examples() {
  return {
      {"all", {}, {exampleTensor({1, 3, 1, 4})}},
      {"some", {}, {exampleTensor({1, 3, 1, 4}), Tensor::of<int64_t>({1}, {-2})}},
      {"to a scalar", {}, {exampleIntegers({1}, 0, 9), Tensor::of<int64_t>({1}, {0})}},
  };
}

}  // namespace

OpDefinition defineSqueeze() {
  OpDefinition op;
  op.name = "Squeeze";
  op.max_inputs = 2;
  op.infer = infer;
  op.evaluate = copyBytes;
  op.gradient = reshapeGradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kShares;
  op.quantization.moves_codes = true;
  op.upgrade = upgradeAxes<13>;
  op.downgrade = downgradeAxes<13>;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
