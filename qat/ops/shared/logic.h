// Operators on booleans.
#pragma once

#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {

// Half of the elements are true.
inline Tensor exampleBooleans(std::vector<int64_t> dims, uint64_t seed) {
  return exampleIntegers(std::move(dims), 0, 2, seed).converted(ElementType::kBool);
}

template <class Function>
OpDefinition logicDefinition(const char* name) {
  OpDefinition op;
  op.name = name;
  op.first_opset = 7;
  op.min_inputs = op.max_inputs = 2;
  op.infer = [](InferContext& c) {
    c.expectElement(0, ElementType::kBool);
    inferBroadcastBool(c);
  };
  op.evaluate = [](const EvalContext& c) { mapBinary<bool, bool>(c, Function()); };
  op.in_place = {{0, 0}, {1, 0}};
  op.examples = [] {
    return std::vector<OpExample>{
        {"", {}, {exampleBooleans({2, 3, 4}, 1), exampleBooleans({3, 1}, 2)}}};
  };
  return op;
}

}  // namespace simaqat::ops
