#include "qat/passes/saturation_masks.h"

#include <algorithm>

#include "qat/ir/op.h"
#include "qat/ir/quantizer.h"
#include "qat/passes/stored.h"

namespace simaqat {
namespace {

// Inputs of FakeQuantizeGradient.
enum GradientInput { kDy, kX, kScale, kZeroPoint };

bool isNode(const Node& node, const char* op_type) { return node.op().qualifiedName() == op_type; }
bool isGradient(const Node& node) { return isNode(node, "simaqat::FakeQuantizeGradient"); }
bool isObserver(const Node& node) {
  return isNode(node, "simaqat::ObserveRange") || isNode(node, "simaqat::ObserveHistogram");
}

// Whether the Quantize node decides by what the gradient does.
bool isOf(const Node& quantize, const Node& gradient) {
  const auto &a = quantize.attributes<QuantizerSpec>(), &b = gradient.attributes<QuantizerSpec>();
  return quantize.input(1) == gradient.input(kScale) &&
         quantize.input(2) == gradient.input(kZeroPoint) && a.qmin == b.qmin && a.qmax == b.qmax &&
         a.learnsScale() == b.learnsScale();
}

// The Quantize node of x whose mask is all that the uses of x need behind forward, or null.
Node* quantizeOf(const Value* x) {
  const auto& uses = x->uses();
  const auto found = std::find_if(uses.begin(), uses.end(), [](const Use& use) {
    return isNode(*use.node, "simaqat::Quantize");
  });
  if (found == uses.end()) return nullptr;
  Node* quantize = found->node;
  const bool suffices = std::all_of(uses.begin(), uses.end(), [&](const Use& use) {
    const bool is_gradient = use.index == kX && isGradient(*use.node) && isOf(*quantize, *use.node);
    return use.node == quantize || isObserver(*use.node) || is_gradient;
  });
  return suffices ? quantize : nullptr;
}

// The mask of a Quantize node, which gets one as its third output.
Value* addMask(Graph& graph, Node* quantize) {
  Graph::NodeOptions options;
  options.before = quantize;
  options.output_count = 3;
  Node* with_mask = graph.addNode("simaqat::Quantize", quantize->name(), quantize->inputs(),
                                  quantize->rawAttributes().clone(), options);
  for (size_t i = 0; i < quantize->outputCount(); ++i) {
    with_mask->output(i)->quantizer = quantize->output(i)->quantizer;
    graph.replaceUses(quantize->output(i), with_mask->output(i));
  }
  graph.removeNode(quantize);
  return with_mask->output(2);
}

// Whether a scale is the greatest magnitude over qmax, of codes that reach as far below zero.
bool passesAlways(const Graph& graph, const Node& gradient) {
  const auto& spec = gradient.attributes<QuantizerSpec>();
  const Node* scale = gradient.input(kScale)->producer();
  const bool follows = spec.observer == "channel_max" && spec.qmin <= -spec.qmax &&
                       scale != nullptr && isNode(*scale, "simaqat::WeightScale") &&
                       scale->input(0) == gradient.input(kX);
  if (!follows) return false;
  const Tensor zero_point = storedTensor(graph, gradient.input(kZeroPoint));
  if (zero_point.type() != ElementType::kFloat) return false;
  const std::vector<float> points = zero_point.toVector<float>();
  return std::all_of(points.begin(), points.end(), [](float v) { return v == 0; });
}

}  // namespace

void keepSaturationMasks(Graph& graph) {
  for (Node* gradient : graph.nodeSequence()) {
    if (!isGradient(*gradient)) continue;
    if (passesAlways(graph, *gradient)) {
      graph.replaceUses(gradient->output(), gradient->input(kDy));
      graph.removeNode(gradient);
      continue;
    }
    Value* x = gradient->input(kX);
    Node* quantize = quantizeOf(x);
    if (quantize == nullptr || gradient->input(kDy)->type.shape != x->type.shape) continue;
    Value* mask = quantize->outputCount() > 2 ? quantize->output(2) : addMask(graph, quantize);
    Value* passed = graph.add("simaqat::MaskGradient", gradient->name(),
                              {gradient->input(kDy), mask}, nullptr, gradient);
    graph.replaceUses(gradient->output(), passed);
    graph.removeNode(gradient);
  }
}

}  // namespace simaqat
