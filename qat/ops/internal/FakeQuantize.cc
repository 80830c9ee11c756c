#include <cmath>

#include "kernels/fake_quantize.h"
#include "kernels/quantizer_formula.h"
#include "qat/ir/fake_quantize.h"
#include "qat/ops/shared/batch_norm_attributes.h"
#include "qat/ops/shared/fake_quantize.h"

namespace simaqat::ops {
namespace {

// The scaffolding: y = dq(q(x)). Inputs x, scale, zero_point and what the observer keeps
// (FakeQuantizeInput in qat/ir/fake_quantize.h), which evaluation ignores and training updates.
// Files define it as a function.

void infer(InferContext& c) { c.setOutput(0, c.input(0).element, c.input(0).shape); }

void evaluate(const EvalContext& c) {
  const auto& spec = c.node.attributes<QuantizerSpec>();
  const ChannelLayout layout = channelLayout(c.in(0), c.in(1).size, spec);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.in(0).data<T>();
    T* y = c.out().data<T>();
    for (int64_t i = 0; i < c.out().size; ++i) {
      const int64_t ch = i / layout.inner % layout.channels;
      const T scale = c.in(1).data<T>()[ch];
      const T zero = c.in(2).data<T>()[ch];
      const T code = std::nearbyint(x[i] / scale) + zero;
      const T lo = static_cast<T>(spec.qmin);
      const T hi = static_cast<T>(spec.qmax);
      y[i] = ((code < lo ? lo : code > hi ? hi : code) - zero) * scale;
    }
  });
}

void kernel(const EvalContext& c) {
  const auto& spec = c.node.attributes<QuantizerSpec>();
  const ChannelLayout layout = channelLayout(c.in(0), c.in(1).size, spec);
  const float* scale = c.in(1).data<float>();
  const float* zero = c.in(2).data<float>();
  const auto qmin = static_cast<float>(spec.qmin);
  const auto qmax = static_cast<float>(spec.qmax);
  if (layout.channels == 1) {
    kernels::fakeQuantize(c.in(0).data<float>(), c.in(0).size, *scale, *zero, qmin, qmax,
                          c.out().data<float>(), c.pool);
  } else {
    kernels::fakeQuantizePerChannel(c.in(0).data<float>(), layout.outer, layout.channels,
                                    layout.inner, scale, zero, qmin, qmax, c.out().data<float>(),
                                    c.pool);
  }
}

void block(const Node& node, const float* const* in, float* out, int64_t n) {
  const auto& spec = node.attributes<QuantizerSpec>();
  const auto qmin = static_cast<float>(spec.qmin);
  const auto qmax = static_cast<float>(spec.qmax);
  for (int64_t i = 0; i < n; ++i) {
    out[i] = kernels::fakeQuantized(in[0][i], in[1][i], in[2][i], qmin, qmax);
  }
}

// Straight through where the code is in range; a learned scale and offset get theirs.
void gradient(GradientContext& c) {
  const auto& spec = c.node.attributes<QuantizerSpec>();
  if (c.wants(kFakeQuantizeX)) {
    c.setInputGradient(kFakeQuantizeX,
                       c.add("simaqat::FakeQuantizeGradient",
                             {c.outputGradient(), c.input(0), c.input(1), c.input(2)}, spec));
  }
  if (!spec.learnsScale()) return;
  const std::vector<Value*> parameters =
      c.addMany("simaqat::LearnedScaleGradient",
                {c.outputGradient(), c.input(0), c.input(1), c.input(2)}, 2, wrapAttributes(spec));
  if (c.wants(kFakeQuantizeScale)) c.setInputGradient(kFakeQuantizeScale, parameters[0]);
  if (c.wants(kFakeQuantizeOffset)) c.setInputGradient(kFakeQuantizeOffset, parameters[1]);
}

class Specializer {
 public:
  Specializer(Graph& graph, Node& node, const Specialization& mode)
      : graph_(graph), node_(node), mode_(mode), spec_(node.attributes<QuantizerSpec>()) {}

  void run() {
    const bool calibrates = mode_.mode == Mode::kCalibrate;
    bool bypass = calibrates;
    if (spec_.learnsScale()) {
      if (calibrates) {
        start();
      } else {
        bypass = isUnset(node_);
        mode_.mode == Mode::kTrain ? learn() : settleLearned(node_);
      }
    }
    if (spec_.followsWeight()) {
      if (!calibrates) node_.setInput(kFakeQuantizeScale, weightScale());
    } else if (spec_.followsTensor()) {
      if (!calibrates) followTensor();
    } else if (spec_.observesRange()) {
      if (calibrates || (mode_.mode == Mode::kTrain && !mode_.freeze_observers)) {
        observe();
      } else {
        bypass = isUnset(node_);
      }
    }
    for (size_t i = node_.inputCount(); i-- > kFakeQuantizeRangeMin;) {
      if (i < kFakeQuantizeOffset) node_.setInput(i, nullptr);
    }
    if (!bypass) return;
    graph_.replaceUses(node_.output(), node_.input(0));
    graph_.removeNode(&node_);
  }

 private:
  Value* weightScale() {
    if (!spec_.followsFoldedWeight()) {
      return graph_.add("simaqat::WeightScale", node_.name(), {node_.input(0)}, spec_, &node_);
    }
    const Node* batch_norm = foldedBatchNorm(node_);
    if (batch_norm == nullptr) node_.fail("no BatchNormalization folds into its weight");
    const float epsilon = batch_norm->attributes<BatchNormAttributes>().epsilon;
    std::vector<Value*> inputs = {
        node_.input(0), batch_norm->input(1), batch_norm->input(4),
        graph_.addConstant(node_.name() + "/epsilon", Tensor::scalar(epsilon))};
    if (spec_.learnsFoldedScale()) inputs.push_back(node_.input(kFakeQuantizeFoldedScale));
    return graph_.add("simaqat::FoldedWeightScale", node_.name(), inputs, spec_, &node_);
  }

  std::vector<Value*> add(const std::string& op_type, const std::vector<Value*>& inputs,
                          const QuantizerSpec& spec) {
    Graph::NodeOptions options;
    options.before = &node_;
    options.output_count = 2;
    return graph_.addNode(op_type, node_.name(), inputs, wrapAttributes(spec), options)->outputs();
  }

  // As the first batch of an observer that has seen none.
  void followTensor() {
    const auto unset = [&](float end) {
      return graph_.addConstant(node_.name() + "/unset", Tensor::scalar(end));
    };
    const std::vector<Value*> range =
        add("simaqat::ObserveRange", {node_.input(0), unset(kUnsetMin), unset(kUnsetMax)}, spec_);
    const std::vector<Value*> parameters = add("simaqat::RangeToScale", range, spec_);
    for (size_t i = 0; i < 2; ++i) node_.setInput(kFakeQuantizeScale + i, parameters[i]);
  }

  // Two variables take these values after the step.
  void keep(size_t first_input, const std::vector<Value*>& values) {
    for (size_t i = 0; i < 2; ++i) node_.input(first_input + i)->variable->setNext(values[i]);
  }

  // Scale and zero point from the range as it is after this batch.
  void observe() {
    std::vector<Value*> range;
    if (spec_.usesHistogram()) {
      // Calibration counts every batch alike; training forgets with its weights' age.
      QuantizerSpec spec = spec_;
      if (mode_.mode == Mode::kCalibrate) spec.averaging_constant = 0;
      const std::vector<Value*> histogram =
          add("simaqat::ObserveHistogram",
              {node_.input(0), node_.input(kFakeQuantizeHistogram),
               node_.input(kFakeQuantizeHistogramLimit)},
              spec);
      keep(kFakeQuantizeHistogram, histogram);
      range = add("simaqat::HistogramToRange", histogram, spec_);
    } else {
      range = add(
          "simaqat::ObserveRange",
          {node_.input(0), node_.input(kFakeQuantizeRangeMin), node_.input(kFakeQuantizeRangeMax)},
          spec_);
    }
    keep(kFakeQuantizeRangeMin, range);
    const std::vector<Value*> parameters = add("simaqat::RangeToScale", range, spec_);
    keep(kFakeQuantizeScale, parameters);
    for (size_t i = 0; i < 2; ++i) useInstead(kFakeQuantizeScale + i, parameters[i], nullptr);
  }

  // Whatever else reads the parameter, an approximated function's points, sees this step's too.
  void useInstead(size_t input, Value* value, const Node* except) {
    graph_.replaceUses(node_.input(input), value, except);
  }

  // The first batch of a calibration gives a learned scale its start; a weight's has one.
  void start() {
    if (!isUnset(node_)) return;
    const size_t second = spec_.learnsOffset() ? kFakeQuantizeOffset : kFakeQuantizeZeroPoint;
    const std::vector<Value*> started =
        add("simaqat::StartScale",
            {node_.input(0), node_.input(kFakeQuantizeScale), node_.input(second)}, spec_);
    node_.input(kFakeQuantizeScale)->variable->setNext(started[0]);
    node_.input(second)->variable->setNext(started[1]);
  }

  // Gradient steps may take the variable below zero: its magnitude is the scale.
  void learn() {
    const FakeQuantizeInput learned = learnedScaleInput(spec_);
    Value* limit = graph_.addConstant(node_.name() + "/limit",
                                      Tensor::scalar(learnedScaleLimit(spec_)));
    Value* absolute = graph_.add("Abs", node_.name(), {node_.input(learned)}, nullptr, &node_);
    Value* magnitude = graph_.add("Min", node_.name(), {absolute, limit}, nullptr, &node_);
    useInstead(learned, magnitude, absolute->producer());
    if (!spec_.learnsOffset()) return;
    useInstead(kFakeQuantizeZeroPoint,
               graph_.add("simaqat::OffsetToZeroPoint", node_.name(),
                          {magnitude, node_.input(kFakeQuantizeOffset)}, spec_, &node_),
               nullptr);
  }

  Graph& graph_;
  Node& node_;
  const Specialization& mode_;
  const QuantizerSpec spec_;
};

void specialize(Graph& graph, Node& node, const Specialization& mode) {
  Specializer(graph, node, mode).run();
}

}  // namespace

OpDefinition defineFakeQuantize() {
  OpDefinition op;
  op.name = "FakeQuantize";
  op.domain = "simaqat";
  op.min_inputs = 3;
  op.max_inputs = 9;
  op.make_attributes = &makeAttributes<QuantizerSpec>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.pointwise = {block, [](const Node& node) { return !node.attributes<QuantizerSpec>().perChannel(); },
                  false};
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.specialize = specialize;
  return op;
}

}  // namespace simaqat::ops
