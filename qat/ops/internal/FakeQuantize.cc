#include <cmath>

#include "kernels/fake_quantize.h"
#include "qat/ops/shared/fake_quantize.h"

namespace simaqat::ops {
namespace {

// The scaffolding: y = dq(q(x)). Inputs x, scale, zero_point and, where a range is observed, its
// two ends, which evaluation ignores and training updates. Files define it as a function.

void infer(InferContext& c) { c.setOutput(0, c.input(0).element, c.input(0).shape); }

void evaluate(const EvalContext& c) {
  const auto& spec = c.node.attributes<QuantizerSpec>();
  const ChannelLayout layout = channelLayout(c.in(0), c.in(1).size, spec.axis);
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
  const ChannelLayout layout = channelLayout(c.in(0), c.in(1).size, spec.axis);
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

// Straight through where the code is in range.
void gradient(GradientContext& c) {
  if (!c.wants(0)) return;
  c.setInputGradient(0, c.add("simaqat::FakeQuantizeGradient",
                              {c.outputGradient(), c.input(0), c.input(1), c.input(2)},
                              c.node.attributes<QuantizerSpec>()));
}

// Scale and zero point from the range as it is after this batch.
void observe(Graph& graph, Node& node, const QuantizerSpec& spec) {
  Graph::NodeOptions options;
  options.before = &node;
  options.output_count = 2;
  Node* range = graph.addNode("simaqat::ObserveRange", node.name(),
                              {node.input(0), node.input(3), node.input(4)}, wrapAttributes(spec),
                              options);
  Node* parameters = graph.addNode("simaqat::RangeToScale", node.name(), range->outputs(),
                                   wrapAttributes(spec), options);
  for (size_t i = 0; i < 2; ++i) {
    node.input(3 + i)->variable->next = range->output(i);
    node.input(1 + i)->variable->next = parameters->output(i);
    node.setInput(1 + i, parameters->output(i));
  }
}

void specialize(Graph& graph, Node& node, const Specialization& s) {
  const QuantizerSpec spec = node.attributes<QuantizerSpec>();
  bool bypass = false;
  if (spec.observer == "channel_max") {
    bypass = s.mode == Mode::kCalibrate;
    if (!bypass) {
      node.setInput(1, graph.add("simaqat::WeightScale", node.name(), {node.input(0)}, spec, &node));
    }
  } else if (spec.observesRange()) {
    if (s.mode == Mode::kCalibrate || (s.mode == Mode::kTrain && !s.freeze_observers)) {
      observe(graph, node, spec);
      bypass = s.mode == Mode::kCalibrate;
    } else {
      const Variable* lo = node.input(3)->variable;
      const Variable* hi = node.input(4)->variable;
      bypass = isUnsetRange(*lo->value.data<float>(), *hi->value.data<float>());
    }
    node.setInput(4, nullptr);
    node.setInput(3, nullptr);
  } else {
    bypass = s.mode == Mode::kCalibrate;
  }
  if (bypass) {
    graph.replaceUses(node.output(), node.input(0));
    graph.removeNode(&node);
  }
}

}  // namespace

OpDefinition defineFakeQuantize() {
  OpDefinition op;
  op.name = "FakeQuantize";
  op.domain = "simaqat";
  op.min_inputs = 3;
  op.max_inputs = 5;
  op.make_attributes = &makeAttributes<QuantizerSpec>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.specialize = specialize;
  return op;
}

}  // namespace simaqat::ops
