#include "qat/passes/integer_products.h"

#include <optional>

#include "qat/ir/op.h"
#include "qat/ops/shared/convolution_attributes.h"
#include "qat/ops/shared/gemm_attributes.h"
#include "qat/ops/shared/quantized_gemm_attributes.h"
#include "qat/passes/fake_quantized.h"

namespace simaqat {
namespace {

// A value as its codes: u8, scale, zero point.
struct Codes {
  Value* codes = nullptr;
  Value* scale = nullptr;
  Value* zero_point = nullptr;
};

bool isDequantize(const Node* node) {
  return node != nullptr && node->op().qualifiedName() == "simaqat::Dequantize";
}

// The codes of a value that storeCodes (store_codes.h) keeps as such. One that only moves such
// values, but not their codes, lies on the same grid: it gets its codes again.
std::optional<Codes> codesOf(Graph& graph, Value* value, Node* before) {
  const Node* node = value->producer();
  while (node != nullptr && !isDequantize(node) && sharesQuantizer(*node)) {
    node = node->input(0)->producer();
  }
  if (!isDequantize(node)) return std::nullopt;
  if (node == value->producer()) return Codes{node->input(0), node->input(1), node->input(2)};
  Graph::NodeOptions options;
  options.before = before;
  options.output_count = 2;
  const Node* again =
      graph.addNode("simaqat::Quantize", before->name(), {value, node->input(1), node->input(2)},
                    wrapAttributes(activationQuantizer()), options);
  return Codes{again->output(0), again->output(1), node->input(2)};
}

// With a scale for each output channel, which `axis` counts, and zero points of zero.
const Node* weightQuantizerOf(const Value* value, int64_t axis = 0) {
  const Node* node = value->producer();
  if (node == nullptr || !isFakeQuantize(*node)) return nullptr;
  const auto& spec = node->attributes<QuantizerSpec>();
  const bool fits = spec.qmin >= -128 && spec.qmax <= 127 && spec.qmin < 0;
  return fits && spec.axis == axis ? node : nullptr;
}

// Sums of more codes could leave 32 bits, or in depthwise convolutions the 24 bits of a float
// (kernels/quantized_conv.h).
constexpr int64_t kMostTaps = 1 << 15;
constexpr int64_t kMostDepthwiseTaps = 1 << 9;

// By the weights alone: x may have a batch of any size.
bool fitsCodes(const Node& conv) {
  if (!conv.input(1)->type.isStatic()) return false;
  const std::vector<int64_t> dims = conv.input(1)->type.dims();
  const int64_t taps = conv.input(1)->type.size() / std::max<int64_t>(dims[0], 1);
  if (dims[1] > 1) return taps <= kMostTaps;
  // Where one channel is all that is summed over, only depthwise convolutions have a fast kernel.
  return conv.attributes<ops::ConvAttributes>().group == dims[0] && taps <= kMostDepthwiseTaps;
}

void useIntegers(Graph& graph, Node& conv) {
  const Node* w = weightQuantizerOf(conv.input(1));
  if (w == nullptr) return;
  if (!fitsCodes(conv)) return;
  const std::optional<Codes> x = codesOf(graph, conv.input(0), &conv);
  if (!x) return;
  Value* y = graph.add("simaqat::QuantizedConv", conv.name(),
                       {x->codes, conv.input(1), conv.input(2), x->scale, x->zero_point,
                        w->input(1)},
                       conv.attributes<ops::ConvAttributes>(), &conv);
  graph.replaceUses(conv.output(), y);
  graph.removeNode(&conv);
}

// A product with one right operand for all.
struct Product {
  bool transposes;  // the right operand
  Value* bias;
};

std::optional<Product> productOf(const Node& node) {
  if (node.input(1)->type.rank() != 2) return std::nullopt;
  if (node.op().qualifiedName() == "MatMul") {
    return node.input(0)->type.rank() < 2 ? std::nullopt : std::optional<Product>({false, nullptr});
  }
  const auto& attributes = node.attributes<ops::GemmAttributes>();
  Value* bias = node.input(2);
  if (attributes.transA || attributes.alpha != 1) return std::nullopt;
  if (bias != nullptr) {
    // One number for each column.
    const int64_t columns = node.input(1)->type.dims()[attributes.transB ? 0 : 1];
    if (attributes.beta != 1 || !bias->type.isStatic()) return std::nullopt;
    const std::vector<int64_t> dims = bias->type.dims();
    if (dims.empty() || dims.back() != columns || bias->type.size() != columns) return std::nullopt;
  }
  return Product{attributes.transB, bias};
}

void useIntegersInProduct(Graph& graph, Node& node) {
  if (!node.input(1)->type.isStatic()) return;
  const std::optional<Product> product = productOf(node);
  if (!product) return;
  const Node* w = weightQuantizerOf(node.input(1), product->transposes ? 0 : 1);
  const int64_t depth = node.input(1)->type.dims()[product->transposes ? 1 : 0];
  if (w == nullptr || depth > kMostTaps) return;
  const std::optional<Codes> x = codesOf(graph, node.input(0), &node);
  if (!x) return;
  Value* y = graph.add("simaqat::QuantizedGemm", node.name(),
                       {x->codes, node.input(1), product->bias, x->scale, x->zero_point,
                        w->input(kFakeQuantizeScale)},
                       ops::QuantizedGemmAttributes{product->transposes}, &node);
  graph.replaceUses(node.output(), y);
  graph.removeNode(&node);
}

// The scale of weights that are fake-quantized.
void tellScale(Node& input_gradient) {
  const Node* w = weightQuantizerOf(input_gradient.input(1));
  if (w != nullptr && input_gradient.inputCount() == 2) {
    input_gradient.setInput(2, w->input(kFakeQuantizeScale));
  }
}

// Gradients that need a value read its codes, where they are there.
void readCodes(Node& node, size_t index, bool with_parameters) {
  const Node* values = node.input(index)->producer();
  if (!isDequantize(values)) return;
  node.setInput(index, values->input(0));
  if (!with_parameters) return;
  for (size_t i = 1; i < 3; ++i) node.setInput(node.inputCount(), values->input(i));
}

}  // namespace

void useIntegerProducts(Graph& graph) {
  for (Node* node : graph.nodeSequence()) {
    if (node->output()->type.element != ElementType::kFloat) continue;
    const std::string name = node->op().qualifiedName();
    if (name == "Conv") useIntegers(graph, *node);
    if (name == "Gemm" || name == "MatMul") useIntegersInProduct(graph, *node);
    if (name == "simaqat::ConvWeightGradient") readCodes(*node, 0, true);
    if (name == "simaqat::ConvInputGradient") tellScale(*node);
    // Codes have their values' order.
    if (name == "simaqat::MaxPoolGradient") readCodes(*node, 1, false);
  }
}

}  // namespace simaqat
