#include "qat/ops/shared/pointwise.h"

namespace simaqat::ops {
namespace {

// Elementwise operators run as one, block by block: qat/passes/fuse_pointwise.h makes it. Inputs are
// the program's operands.

void infer(InferContext& c) {
  const TensorType& type = programOf(c.node).body().outputs[0].value->type;
  c.setOutput(0, type.element, type.shape);
}

void evaluate(const EvalContext& c) {
  forEachPiece(c, 0, [&](int64_t begin, int64_t end, PointwiseRun& run) {
    run.run(begin, end, c.out().data<float>(), [](int64_t, const float*, int64_t) {});
  });
}

double operations(const Node& node) {
  return static_cast<double>(programOf(node).size()) *
         static_cast<double>(programOf(node).steps().size());
}

}  // namespace

OpDefinition definePointwise() {
  OpDefinition op;
  op.name = "Pointwise";
  op.domain = "simaqat";
  op.max_inputs = kMaxPointwiseInputs;
  op.make_attributes = &makeAttributes<PointwiseAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.workspace = pointwiseWorkspace;
  op.operations = operations;
  op.in_place = operandsInPlace(0);
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
