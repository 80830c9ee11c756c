#include <algorithm>

#include "qat/ops/shared/gather.h"

namespace simaqat::ops {
namespace {

// d data of Gather, from inputs (dy, indices): the rows of dy are added to those they came from.

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element, toShape(c.node.attributes<GatherGradientAttributes>().shape));
}

void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<GatherGradientAttributes>();
  const AxisSplit split(c.node, attributes.axis, attributes.shape);
  const int64_t count = c.in(1).size;
  fill(c.out(), nullptr, c.pool);
  // Tiles own columns of the result, and add in the order of the indices.
  constexpr int64_t kColumns = 64;
  const int64_t pieces = (split.inner + kColumns - 1) / kColumns;
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    c.pool.run(split.outer * pieces, [&](int64_t tile, int) {
      const int64_t outer = tile / pieces;
      const int64_t first = tile % pieces * kColumns;
      const int64_t columns = std::min(kColumns, split.inner - first);
      const T* dy = c.in(0).data<T>() + outer * count * split.inner + first;
      T* dx = c.out().data<T>() + outer * split.size * split.inner + first;
      for (int64_t i = 0; i < count; ++i) {
        const int64_t index = checkedIndex(c.node, integerAt(c.in(1), i), split.size);
        for (int64_t k = 0; k < columns; ++k)
          dx[index * split.inner + k] += dy[i * split.inner + k];
      }
    });
  });
}

}  // namespace

OpDefinition defineGatherGradient() {
  OpDefinition op;
  op.name = "GatherGradient";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 2;
  op.make_attributes = &makeAttributes<GatherGradientAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
