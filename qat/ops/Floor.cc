#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return std::floor(x);
  }
};

std::vector<OpExample> examples() { return {{"", {}, {exampleTensor({2, 3, 4}, 1, -3, 3)}}}; }

}  // namespace

OpDefinition defineFloor() {
  OpDefinition op = functionDefinition<Function>("Floor", nullptr);
  op.first_opset = 6;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
