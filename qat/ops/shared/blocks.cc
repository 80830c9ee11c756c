#include "qat/ops/shared/blocks.h"

#include "qat/ir/dim_limit.h"

namespace simaqat::ops {

void inferBlocks(InferContext& c, int64_t blocksize, bool to_image) {
  const bool is_possible =
      isPossibleExtent(blocksize, 1) && isPossibleExtent(blocksize * blocksize, 1);
  if (!is_possible) c.node.fail("attribute 'blocksize': {} is not valid", blocksize);
  c.expectRank(0, 4);
  std::optional<Shape> y;
  if (const Shape* x = c.shape(0)) {
    const auto scaled = [&](size_t axis, int64_t times, int64_t parts) {
      const Dim& dim = (*x)[axis];
      if (!dim.known()) return Dim();
      if (dim.value % parts != 0) {
        c.node.fail("input 0: axis {} has {} elements, no multiple of {}", axis, dim.value, parts);
      }
      return Dim(dim.value / parts * times);
    };
    const int64_t b = blocksize;
    y = to_image ? Shape{(*x)[0], scaled(1, 1, b * b), scaled(2, b, 1), scaled(3, b, 1)}
                 : Shape{(*x)[0], scaled(1, b * b, 1), scaled(2, 1, b), scaled(3, 1, b)};
  }
  c.setOutput(0, c.input(0).element, std::move(y));
}

void copyBlocks(const EvalContext& c, int64_t blocksize, BlockOrder order, bool to_image) {
  const TensorView& image = to_image ? c.out() : c.in(0);
  const int64_t b = blocksize;
  const int64_t batch = image.dims[0];
  const int64_t channels = image.dims[1];
  const int64_t rows = image.dims[2] / b;
  const int64_t columns = image.dims[3] / b;
  // Strides in the deep form; those of the image are plain.
  const int64_t plane = rows * columns;
  const bool depth_first = order == BlockOrder::kDepthFirst;
  const int64_t pixel = depth_first ? channels * plane : plane;
  const int64_t channel = depth_first ? plane : b * b * plane;
  StridedCopy copy(image.type);
  const auto axis = [&](int64_t size, int64_t deep, int64_t flat) {
    copy.addAxis(size, to_image ? deep : flat, to_image ? flat : deep);
  };
  const int64_t width = columns * b;
  axis(batch, channels * b * b * plane, channels * b * b * plane);
  axis(channels, channel, b * b * plane);
  axis(rows, columns, b * width);
  axis(b, b * pixel, width);
  axis(columns, 1, b);
  axis(b, pixel, 1);
  copy.run(c.in(0).bytes, c.out().bytes, c.pool);
}

}  // namespace simaqat::ops
