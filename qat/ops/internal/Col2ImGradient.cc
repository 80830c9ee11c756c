#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/col2im.h"

namespace simaqat::ops {
namespace {

// Each block of dy is a column, from inputs (dy, x, image_shape, block_shape).
void infer(InferContext& c) { c.setOutput(0, c.input(1).element, c.input(1).shape); }

void evaluate(const EvalContext& c) {
  const Span<const int64_t> dims = c.in(0).dims;
  const auto& sizes = c.in(3);
  const ColumnPlaces places(c.node, {dims.begin() + 2, dims.end()},
                            {sizes.data<int64_t>(), sizes.data<int64_t>() + sizes.size});
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    c.pool.run(dims[0] * dims[1], [&](int64_t plane, int) {
      const T* dy = c.in(0).data<T>() + plane * places.imageSize();
      T* dx = c.out().data<T>() + plane * places.blockSize() * places.blocks();
      places.forEach([&](int64_t element, int64_t block, int64_t offset) {
        dx[element * places.blocks() + block] = offset >= 0 ? dy[offset] : T{0};
      });
    });
  });
}

}  // namespace

OpDefinition defineCol2ImGradient() {
  OpDefinition op;
  op.name = "Col2ImGradient";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 4;
  op.make_attributes = &makeAttributes<Col2ImAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
