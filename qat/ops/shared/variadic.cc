#include "qat/ops/shared/variadic.h"

namespace simaqat::ops {

void inferVariadic(InferContext& c) {
  std::optional<Shape> shape = c.input(0).shape;
  for (size_t i = 1; i < c.node.inputCount(); ++i) {
    c.expectElement(i, c.input(0).element);
    shape = broadcastShapes(c.node, shape ? &*shape : nullptr, c.shape(i));
  }
  c.setOutput(0, c.input(0).element, std::move(shape));
}

}  // namespace simaqat::ops
