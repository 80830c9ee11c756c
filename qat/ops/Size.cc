#include "qat/ir/op.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) { c.setOutput(0, ElementType::kInt64, Shape{}); }

void evaluate(const EvalContext& c) { *c.out().data<int64_t>() = c.in(0).size; }

std::vector<OpExample> examples() { return {{"", {}, {exampleTensor({2, 3, 4})}}}; }

}  // namespace

OpDefinition defineSize() {
  OpDefinition op;
  op.name = "Size";
  op.infer = infer;
  op.evaluate = evaluate;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
