#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return std::ceil(x);
  }
};

std::vector<OpExample> examples() { return {{"", {}, {exampleTensor({2, 3, 4}, 1, -3, 3)}}}; }

}  // namespace

OpDefinition defineCeil() {
  OpDefinition op = functionDefinition<Function>("Ceil", nullptr);
  op.first_opset = 6;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
