#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {
namespace {

std::optional<Shape> broadcastOfTwo(InferContext& c) {
  if (c.input(0).element != c.input(1).element) {
    c.node.fail("inputs: expected one element type, got {} and {}",
                elementTypeName(c.input(0).element), elementTypeName(c.input(1).element));
  }
  return broadcastShapes(c.node, c.shape(0), c.shape(1));
}

}  // namespace

void inferSameAsInput(InferContext& c) {
  c.setOutput(0, c.input(0).element, c.input(0).shape);
}

void inferBroadcast(InferContext& c) {
  c.setOutput(0, c.input(0).element, broadcastOfTwo(c));
}

void inferBroadcastBool(InferContext& c) { c.setOutput(0, ElementType::kBool, broadcastOfTwo(c)); }

}  // namespace simaqat::ops
