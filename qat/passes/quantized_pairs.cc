#include "qat/passes/quantized_pairs.h"

#include <algorithm>

#include "qat/ir/op.h"
#include "qat/ops/shared/quantize_linear_attributes.h"
#include "qat/passes/fake_quantized.h"

namespace simaqat {
namespace {

enum Input { kX, kScale, kZeroPoint };

bool sameConstant(const Value* a, const Value* b) {
  if (a == b) return true;
  return a != nullptr && b != nullptr && a->isConstant() && b->isConstant() &&
         a->constant.identical(b->constant);
}

bool isScalar(const Value* value) { return value != nullptr && value->isConstant() && value->constant.size() == 1; }

// Null where the node does not end a pair, of one scale for all, of UINT8 codes.
const Node* quantizeInFront(const Node& dequantize) {
  const Node* quantize = dequantize.input(kX)->producer();
  const bool is_pair = quantize != nullptr && quantize->op().qualifiedName() == "QuantizeLinear" &&
                       sameConstant(quantize->input(kScale), dequantize.input(kScale)) &&
                       sameConstant(quantize->input(kZeroPoint), dequantize.input(kZeroPoint)) &&
                       isScalar(quantize->input(kScale)) &&
                       dequantize.output()->type.element == ElementType::kFloat &&
                       dequantize.input(kX)->type.element == ElementType::kUint8;
  return is_pair ? quantize : nullptr;
}

class Raising {
 public:
  explicit Raising(Graph& graph) : graph_(graph) {}

  void run() {
    for (Node* node : graph_.nodeSequence()) {
      if (node->op().qualifiedName() != "DequantizeLinear") continue;
      if (const Node* quantize = quantizeInFront(*node)) {
        raisePair(*quantize, node);
      } else if (isStoredWeight(*node)) {
        raiseWeight(node);
      } else {
        continue;
      }
      graph_.removeNode(node);
    }
  }

 private:
  void raisePair(const Node& quantize, Node* dequantize) {
    Value* x = quantize.input(kX);
    QuantizerSpec spec = activationQuantizer();
    spec.observer = "fixed";
    Value* zero_point = zeroPointOf(*dequantize);
    const Node* in_front = fakeQuantizeOf(x);
    const bool lies_on_grid = in_front != nullptr &&
                              in_front->attributes<QuantizerSpec>() == spec &&
                              sameConstant(in_front->input(kScale), quantize.input(kScale)) &&
                              sameConstant(in_front->input(kZeroPoint), zero_point);
    if (lies_on_grid) {
      x->quantizer = in_front->output()->quantizer;
      graph_.replaceUses(dequantize->output(), x);
    } else {
      add(dequantize, x, quantize.input(kScale), zero_point, spec);
    }
  }

  // Codes of 8 bits with a scale for each element of an axis, or for all.
  static bool isStoredWeight(const Node& node) {
    const Value* codes = node.input(kX);
    if (!codes->isConstant() || codes->constant.type() != ElementType::kInt8) return false;
    if (node.attributes<ops::QuantizeLinearAttributes>().block_size != 0) return false;
    const Value* scale = node.input(kScale);
    if (!scale->isConstant() || scale->constant.type() != ElementType::kFloat) return false;
    if (codes->constant.dims().empty()) return false;
    const bool is_one = scale->constant.dims().empty();
    const int64_t axis = axisOf(node);
    const auto rank = static_cast<int64_t>(codes->constant.dims().size());
    const bool is_per_channel =
        axis >= 0 && axis < rank &&
        scale->constant.size() == codes->constant.dims()[static_cast<size_t>(axis)];
    if (!is_one && !is_per_channel) return false;
    const Value* zero_point = node.input(kZeroPoint);
    if (zero_point == nullptr) return true;
    if (!zero_point->isConstant()) return false;
    const std::vector<float> zeros = zero_point->constant.toVector<float>();
    return std::all_of(zeros.begin(), zeros.end(), [](float zero) { return zero == 0; });
  }

  static int64_t axisOf(const Node& node) {
    const int64_t axis = node.attributes<ops::QuantizeLinearAttributes>().axis;
    return axis < 0 ? axis + static_cast<int64_t>(node.input(kX)->constant.dims().size()) : axis;
  }

  // Of one scale for all, which may be taken along any axis: the one that its user asks for.
  static int64_t axisOfOneScale(const Node& node) {
    for (const Use& use : node.output()->uses()) {
      const QuantizationTraits& traits = use.node->op().quantization;
      if (traits.weight_input != static_cast<int>(use.index)) continue;
      const int64_t axis = traits.weight_axis(*use.node);
      if (axis >= 0) return axis;
    }
    return 0;
  }

  void raiseWeight(Node* node) {
    ThreadPool pool(1);
    const Value* zero_point = node->input(kZeroPoint);
    const Tensor values = evaluateOnHost(
        graph_, *node,
        {node->input(kX)->constant, node->input(kScale)->constant,
         zero_point == nullptr ? Tensor() : zero_point->constant},
        pool)[0];
    std::vector<float> scales = node->input(kScale)->constant.toVector<float>();
    const int64_t axis = scales.size() == 1 ? axisOfOneScale(*node) : axisOf(*node);
    QuantizerSpec spec = weightQuantizer(axis);
    spec.qmin = -128;
    spec.observer = "fixed";
    const std::string name = node->output()->name();
    // Kernels take a scale for each channel.
    const int64_t channels = values.dims()[static_cast<size_t>(axis)];
    if (scales.size() == 1) scales.resize(static_cast<size_t>(channels), scales[0]);
    const std::vector<int64_t> dims = {channels};
    add(node, graph_.addConstant(graph_.uniqueName(name + "/values"), values),
        graph_.addConstant(graph_.uniqueName(name + "/scales"), Tensor::of(dims, scales)),
        graph_.addConstant(graph_.uniqueName(name + "/zero_point"),
                           Tensor(ElementType::kFloat, dims)),
        spec);
  }

  // As a float, which FakeQuantize takes; 0 where it is absent.
  Value* zeroPointOf(const Node& node) {
    const Value* stored = node.input(kZeroPoint);
    Tensor zero = stored == nullptr ? Tensor::scalar(0.0f)
                                    : stored->constant.converted(ElementType::kFloat);
    return graph_.addConstant(graph_.uniqueName(node.output()->name() + "/zero_point"), std::move(zero));
  }

  void add(Node* dequantize, Value* x, Value* scale, Value* zero_point, const QuantizerSpec& spec) {
    Value* y = graph_.add("simaqat::FakeQuantize", dequantize->name(), {x, scale, zero_point}, spec,
                          dequantize);
    Quantizer* quantizer = graph_.addQuantizer(dequantize->output()->name(), spec);
    quantizer->scale = scale;
    quantizer->zero_point = zero_point;
    y->quantizer = quantizer;
    graph_.replaceUses(dequantize->output(), y);
  }

  Graph& graph_;
};

}  // namespace

void pairsToFakeQuantize(Graph& graph) { Raising(graph).run(); }

}  // namespace simaqat
