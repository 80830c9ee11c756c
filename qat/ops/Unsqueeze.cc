#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/integers.h"
#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  const Shape* x = c.shape(0);
  const auto axes = constantIntegers(c, 1);
  std::optional<Shape> y;
  if (x != nullptr && axes) {
    const std::vector<bool> is_new = markAxes(c.node, *axes, x->size() + axes->size());
    y.emplace();
    size_t from = 0;
    for (const bool added : is_new) y->push_back(added ? Dim(1) : (*x)[from++]);
  } else if (const auto count = listLength(c, 1); x != nullptr && count) {
    y = unknownShape(x->size() + static_cast<size_t>(*count));
  }
  c.setOutput(0, c.input(0).element, std::move(y));
}

std::vector<OpExample> examples() {
  return {
      {"front and middle", {}, {exampleTensor({3, 4}), Tensor::of<int64_t>({2}, {2, 0})}},
      {"end", {}, {exampleTensor({3, 4}), Tensor::of<int64_t>({1}, {-1})}},
      {"scalar", {}, {exampleIntegers({}, 0, 9), Tensor::of<int64_t>({1}, {0})}},
  };
}

}  // namespace

OpDefinition defineUnsqueeze() {
  OpDefinition op;
  op.name = "Unsqueeze";
  op.min_inputs = op.max_inputs = 2;
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
