#include "kernels/adam.h"

#include <cstring>

#include "qat/ops/shared/adam_attributes.h"
#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {
namespace {

// The weight and its moments after a step, from (weight, gradient, first moment, second moment,
// learning rate, gradient scale, steps with this one), as PyTorch's Adam and AdamW compute them.
// Updates in place.
enum Input { kWeight, kGradient, kFirst, kSecond, kRate, kScale, kSteps };

constexpr std::pair<int, int> kInPlace[] = {{kWeight, 0}, {kFirst, 1}, {kSecond, 2}};

void infer(InferContext& c) {
  for (const auto& [input, output] : kInPlace) {
    c.setOutput(static_cast<size_t>(output), c.input(static_cast<size_t>(input)).element,
                c.input(static_cast<size_t>(input)).shape);
  }
}

void evaluate(const EvalContext& c) {
  for (const auto& [input, output] : kInPlace) {
    const TensorView& from = c.in(static_cast<size_t>(input));
    const TensorView& to = c.out(static_cast<size_t>(output));
    if (from.bytes != to.bytes) std::memcpy(to.bytes, from.bytes, from.byteCount());
  }
  const auto& a = c.node.attributes<AdamAttributes>();
  kernels::AdamOptions options;
  options.learning_rate = *c.in(kRate).data<float>() * a.rate_factor;
  options.beta1 = 1 - static_cast<double>(a.complement1);
  options.beta2 = 1 - static_cast<double>(a.complement2);
  options.epsilon = a.epsilon;
  options.weight_decay = a.weight_decay;
  options.decoupled_weight_decay = a.decoupled_weight_decay;
  options.gradient_scale = *c.in(kScale).data<float>();
  options.step = *c.in(kSteps).data<int64_t>();
  kernels::adam(c.out(0).data<float>(), c.in(kGradient).data<float>(), c.out(1).data<float>(),
                c.out(2).data<float>(), c.out(0).size, options, c.pool);
}

}  // namespace

OpDefinition defineAdam() {
  OpDefinition op;
  op.name = "Adam";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 7;
  op.min_outputs = op.max_outputs = 3;
  op.make_attributes = &makeAttributes<AdamAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.in_place = {std::begin(kInPlace), std::end(kInPlace)};
  op.commits = true;
  return op;
}

}  // namespace simaqat::ops
