// Comparisons: two inputs of one type, a boolean output, no gradient.
#pragma once

#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {

// `Compare` is one of the standard library's, such as std::less<>.
template <class Compare>
OpDefinition comparisonDefinition(const char* name, int first_opset) {
  OpDefinition op;
  op.name = name;
  op.first_opset = first_opset;
  op.min_inputs = op.max_inputs = 2;
  op.infer = inferBroadcastBool;
  op.evaluate = [](const EvalContext& c) {
    visitElementType(c.in(0).type, [&](auto tag) { mapBinary<decltype(tag), bool>(c, Compare()); });
  };
  op.examples = [] {
    return std::vector<OpExample>{
        {"float", {}, {exampleTensor({2, 3, 4}, 1), exampleTensor({3, 1}, 2)}},
        {"integers", {}, {exampleIntegers({2, 6}, 0, 4, 1), exampleIntegers({6}, 0, 4, 2)}},
    };
  };
  return op;
}

}  // namespace simaqat::ops
