#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {
namespace {

void gradient(GradientContext& c) { c.setInputGradient(0, c.outputGradient()); }

std::vector<OpExample> examples() { return {{"", {}, {exampleTensor({2, 3})}}}; }

}  // namespace

OpDefinition defineIdentity() {
  OpDefinition op;
  op.name = "Identity";
  op.infer = inferSameAsInput;
  op.evaluate = copyBytes;
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kShares;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
