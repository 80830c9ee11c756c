#include "qat/passes/integer_products.h"

#include "qat/ir/op.h"
#include "qat/ops/shared/convolution_attributes.h"
#include "qat/passes/fake_quantized.h"

namespace simaqat {
namespace {

const Node* activationQuantizerOf(const Value* value) {
  const Node* node = fakeQuantizeOf(value);
  if (node == nullptr) return nullptr;
  const auto& spec = node->attributes<QuantizerSpec>();
  return spec.qmin >= 0 && spec.qmax <= 255 && !spec.perChannel() ? node : nullptr;
}

// With a scale for each output channel, and zero points of zero.
const Node* weightQuantizerOf(const Value* value) {
  const Node* node = value->producer();
  if (node == nullptr || !isFakeQuantize(*node)) return nullptr;
  const auto& spec = node->attributes<QuantizerSpec>();
  const bool fits = spec.qmin >= -128 && spec.qmax <= 127 && spec.qmin < 0;
  return fits && spec.axis == 0 ? node : nullptr;
}

// Sums of more codes could leave 32 bits.
constexpr int64_t kMostTaps = 1 << 15;

void useIntegers(Graph& graph, Node& conv) {
  const Node* x = activationQuantizerOf(conv.input(0));
  const Node* w = weightQuantizerOf(conv.input(1));
  if (x == nullptr || w == nullptr) return;
  const std::vector<int64_t> dims = conv.input(1)->type.dims();
  const int64_t taps = conv.input(1)->type.size() / std::max<int64_t>(dims[0], 1);
  if (dims[1] == 1 || taps > kMostTaps) return;
  Value* y = graph.add("simaqat::QuantizedConv", conv.name(),
                       {conv.input(0), conv.input(1), conv.input(2), x->input(1), x->input(2),
                        w->input(1)},
                       conv.attributes<ops::ConvAttributes>(), &conv);
  graph.replaceUses(conv.output(), y);
  graph.removeNode(&conv);
}

}  // namespace

void useIntegerProducts(Graph& graph) {
  for (Node* node : graph.nodeSequence()) {
    if (node->op().qualifiedName() == "Conv" &&
        node->output()->type.element == ElementType::kFloat) {
      useIntegers(graph, *node);
    }
  }
}

}  // namespace simaqat
