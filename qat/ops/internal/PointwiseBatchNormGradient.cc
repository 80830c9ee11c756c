#include "qat/ops/shared/batch_norm.h"
#include "qat/ops/shared/pointwise.h"

namespace simaqat::ops {
namespace {

// BatchNormTrainingGradient whose dy is a program's result. Inputs: x, gamma, the batch's mean and
// 1 / sqrt(var + epsilon), the operands.
constexpr size_t kOperands = 4;

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element, c.input(0).shape);
  for (size_t i = 1; i < 3; ++i) c.setOutput(i, c.input(1).element, c.input(1).shape);
}

class ProgramWriter final : public kernels::GradientWriter {
 public:
  explicit ProgramWriter(const EvalContext& c) : context_(c) {}
  void write(int64_t begin, int64_t size, int64_t step, int64_t count, int worker) override {
    PointwiseRun run(context_, kOperands, worker);
    for (int64_t i = 0; i < count; ++i, begin += step) {
      run.run(begin, begin + size, context_.out().data<float>(),
              [](int64_t, const float*, int64_t) {});
    }
  }

 private:
  const EvalContext& context_;
};

void evaluate(const EvalContext& c) {
  ProgramWriter writer(c);
  kernels::batchNormGrad(batchNormShape(c.in(0)), writer, c.in(0).data<float>(),
                         c.in(1).data<float>(), c.in(2).data<float>(), c.in(3).data<float>(),
                         c.out(0).data<float>(), c.out(1).data<float>(), c.out(2).data<float>(),
                         c.pool);
}

}  // namespace

OpDefinition definePointwiseBatchNormGradient() {
  OpDefinition op;
  op.name = "PointwiseBatchNormGradient";
  op.domain = "simaqat";
  op.min_inputs = kOperands + 1;
  op.max_inputs = kOperands + kMaxPointwiseInputs;
  op.min_outputs = op.max_outputs = 3;
  op.make_attributes = &makeAttributes<PointwiseAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.workspace = pointwiseWorkspace;
  op.in_place = operandsInPlace(kOperands);
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
