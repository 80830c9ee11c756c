#include "qat/ops/shared/unary.h"

namespace simaqat::ops {
namespace {

struct Function {
  template <class T>
  T operator()(T x) const {
    return std::nearbyint(x);  // ties to even
  }
};

std::vector<OpExample> examples() { return {{"", {}, {exampleTensor({2, 3, 4}, 1, -3, 3)}}}; }

}  // namespace

OpDefinition defineRound() {
  OpDefinition op = functionDefinition<Function>("Round", nullptr);
  op.first_opset = 11;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
