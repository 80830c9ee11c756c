#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/strided_copy.h"

// Gives its input and takes no gradient: a loss says with it what is a target.
namespace simaqat::ops {
namespace {

std::vector<OpExample> examples() { return {{"", {}, {exampleTensor({2, 3})}}}; }

}  // namespace

OpDefinition defineStopGradient() {
  OpDefinition op;
  op.name = "StopGradient";
  op.domain = "simaqat";
  op.infer = inferSameAsInput;
  op.evaluate = copyBytes;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kShares;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
