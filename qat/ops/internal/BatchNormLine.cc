#include "qat/ops/shared/batch_norm.h"

namespace simaqat::ops {
namespace {

// What BatchNormalization with running statistics does to a channel: y = (x - center) * factor +
// offset. Inputs are BatchNormalization's (of x the shape alone counts); outputs: center, factor
// and offset as [C, 1, ...], which Normalize takes.

void infer(InferContext& c) {
  checkBatchNormInputs(c);
  const Shape* x = c.shape(0);
  for (size_t i = 0; i < 3; ++i) {
    c.setOutput(i, c.input(0).element,
                x == nullptr ? std::nullopt : std::optional<Shape>(channelShape(*x)));
  }
}

void evaluate(const EvalContext& c) {
  const auto in = [&](size_t i) { return c.in(i).data<float>(); };
  kernels::batchNormLine(c.in(1).size, in(1), in(2), in(3), in(4),
                         c.node.attributes<BatchNormAttributes>().epsilon,
                         {c.out(0).data<float>(), c.out(1).data<float>(), c.out(2).data<float>()});
}

}  // namespace

OpDefinition defineBatchNormLine() {
  OpDefinition op;
  op.name = "BatchNormLine";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 5;
  op.min_outputs = op.max_outputs = 3;
  op.make_attributes = &makeAttributes<BatchNormAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.operations = [](const Node&) { return 0.0; };
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
