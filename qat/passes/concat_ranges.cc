#include "qat/passes/concat_ranges.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "qat/ir/op.h"
#include "qat/passes/fake_quantized.h"
#include "qat/passes/folded_weights.h"
#include "qat/passes/layers.h"
#include "qat/passes/stored.h"

namespace simaqat {
namespace {

constexpr double kMostFactor = 16;
constexpr double kUnknown = std::numeric_limits<double>::infinity();

// The greatest magnitude that a quantizer represents; the scaffolding's variables hold its parameters.
double magnitudeOf(const Graph& graph, const Node& fake_quantize) {
  const auto& spec = fake_quantize.attributes<QuantizerSpec>();
  const Tensor scales = storedTensor(graph, fake_quantize.input(kFakeQuantizeScale));
  const Tensor zeros = storedTensor(graph, fake_quantize.input(kFakeQuantizeZeroPoint));
  if (!scales.defined() || !zeros.defined() || scales.size() != 1) return kUnknown;
  const double zero = zeros.toVector<double>()[0];
  return scales.toVector<double>()[0] * std::max(static_cast<double>(spec.qmax) - zero,
                                                 zero - static_cast<double>(spec.qmin));
}

class Bounds {
 public:
  explicit Bounds(const Graph& graph) : graph_(graph) {}

  double of(const Value* value) const {
    if (isStored(value)) return magnitude(storedTensor(graph_, value));
    const Node* node = value->producer();
    if (node == nullptr || value->type.element != ElementType::kFloat) return kUnknown;
    if (isFakeQuantize(*node)) return magnitudeOf(graph_, *node);
    const QuantizationTraits& traits = node->op().quantization;
    if (traits.fixed_range > 0) return traits.fixed_range;
    const std::string& type = node->op().qualifiedName();
    if (type == "Tanh" || type == "Sin" || type == "Cos" || type == "Erf") return 1;
    const bool is_activation = traits.is_activation != nullptr && traits.is_activation(*node);
    if (is_activation) {
      const double bound = of(node->input(0));
      return traits.upper_bound == nullptr
                 ? bound
                 : std::min<double>(bound, traits.upper_bound(*node));
    }
    if (sharesQuantizer(*node) || traits.output == OutputQuantization::kTransparent) {
      return of(node->input(0));
    }
    return ofProduct(*node);
  }

 private:
  static double magnitude(const Tensor& tensor) {
    double most = 0;
    for (const double x : tensor.toVector<double>()) most = std::max(most, std::fabs(x));
    return most;
  }

  // sum |w| times the bound of x, of the channel where that is most; and its bias.
  double ofProduct(const Node& node) const {
    const QuantizationTraits& traits = node.op().quantization;
    if (traits.weight_input != 1 || !hasBiasByChannel(node)) return kUnknown;
    const double x = of(node.input(0));
    const Value* weight = node.input(1);
    if (weight->producer() != nullptr && isFakeQuantize(*weight->producer())) {
      weight = weight->producer()->input(kFakeQuantizeX);
    }
    const int64_t axis = traits.weight_axis(node);
    if (!isStored(weight) || axis < 0 || x == kUnknown || weightGroups(node) > 1) return kUnknown;
    const Tensor w = storedTensor(graph_, weight);
    const std::vector<double> values = w.toVector<double>();
    const auto channels = static_cast<size_t>(w.dims()[static_cast<size_t>(axis)]);
    size_t inner = 1;
    for (auto k = static_cast<size_t>(axis) + 1; k < w.dims().size(); ++k) {
      inner *= static_cast<size_t>(w.dims()[k]);
    }
    std::vector<double> sums(channels, 0);
    for (size_t i = 0; i < values.size(); ++i) sums[i / inner % channels] += std::fabs(values[i]);
    const double most = *std::max_element(sums.begin(), sums.end());
    const Value* bias = traits.bias_input < 0 ? nullptr
                                              : node.input(static_cast<size_t>(traits.bias_input));
    const double shift = bias == nullptr ? 0 : magnitude(storedTensor(graph_, bias));
    return most * x + shift;
  }

  const Graph& graph_;
};

}  // namespace

std::vector<std::string> concatsOfUnequalRanges(const Graph& graph) {
  const Bounds bounds(graph);
  std::vector<std::string> lines;
  for (const auto& node : graph.nodes()) {
    if (node->op().quantization.output != OutputQuantization::kConcat) continue;
    const auto& uses = node->output()->uses();
    const auto quantizer = std::find_if(uses.begin(), uses.end(), [](const Use& use) {
      return isFakeQuantize(*use.node) && use.index == kFakeQuantizeX;
    });
    if (quantizer == uses.end()) continue;
    const double whole = magnitudeOf(graph, *quantizer->node);
    for (const Value* part : node->inputs()) {
      const double bound = bounds.of(part);
      if (bound == 0 || bound * kMostFactor > whole) continue;
      const Node* own = part->producer();
      const Value* named = own != nullptr && isFakeQuantize(*own) ? own->input(kFakeQuantizeX) : part;
      lines.push_back(fmt::format(
          "{}: its part '{}' stays within {:.3g} and shares a scale for values up to {:.3g}; an "
          "override {{\"node\": \"{}\", \"activation\": {{\"quantize\": false}}}} in prepare's "
          "recipe keeps the parts apart",
          node->describe(), named->name(), bound, whole, node->name()));
      break;
    }
  }
  return lines;
}

}  // namespace simaqat
