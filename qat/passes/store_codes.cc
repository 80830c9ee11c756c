#include "qat/passes/store_codes.h"

#include "qat/ir/op.h"
#include "qat/ir/pointwise.h"
#include "qat/passes/fake_quantized.h"

namespace simaqat {
namespace {

bool hasByteCodes(const Node& fake_quantize) {
  const auto& spec = fake_quantize.attributes<QuantizerSpec>();
  return spec.qmin >= 0 && spec.qmax <= 255 && !spec.perChannel() && !spec.is_weight &&
         fake_quantize.output()->type.element == ElementType::kFloat &&
         !fake_quantize.input(0)->isConstant();
}

Node* dequantize(Graph& graph, const std::string& name, const std::vector<Value*>& inputs,
                 Quantizer* quantizer, Node* before) {
  Graph::NodeOptions options;
  options.before = before;
  Node* node = graph.addNode("simaqat::Dequantize", name, inputs, nullptr, options);
  node->output()->quantizer = quantizer;
  return node;
}

Node* quantizeToCodes(Graph& graph, Node* node) {
  Graph::NodeOptions options;
  options.before = node;
  options.output_count = 2;
  const std::vector<Value*> inputs = {node->input(kFakeQuantizeX), node->input(kFakeQuantizeScale),
                                      node->input(kFakeQuantizeZeroPoint)};
  Node* codes = graph.addNode("simaqat::Quantize", node->name(), inputs,
                              wrapAttributes(node->attributes<QuantizerSpec>()), options);
  Node* values = dequantize(graph, node->name(), {codes->output(0), codes->output(1), inputs[2]},
                            node->output()->quantizer, node);
  graph.replaceUses(node->output(), values->output());
  graph.removeNode(node);
  return values;
}

// move(Dequantize(codes)) is Dequantize(move(codes)). Returns the Dequantize behind it, or null
// where the node does something else.
Node* moveCodes(Graph& graph, Node* mover, const Node* values) {
  if (!mover->op().quantization.moves_codes || !sharesQuantizer(*mover)) return nullptr;
  if (mover->outputCount() != 1 || mover->input(0) != values->output()) return nullptr;
  std::vector<Value*> inputs = mover->inputs();
  inputs[0] = values->input(0);
  Value* moved = graph.add(mover->op().qualifiedName(), mover->name(), inputs,
                           mover->rawAttributes().clone(), mover);
  Node* behind = dequantize(graph, mover->name(), {moved, values->input(1), values->input(2)},
                            mover->output()->quantizer, mover);
  graph.replaceUses(mover->output(), behind->output());
  graph.removeNode(mover);
  return behind;
}

// Whether the consumer computes the value as it goes.
bool takesProgram(const Node& node, const Use& use) {
  return isPointwise(node) || (use.index == 0 && *node.op().pointwise.fused_form != '\0');
}

void serveConsumers(Graph& graph, Node* values) {
  std::vector<Node*> pending = {values};
  while (!pending.empty()) {
    Node* node = pending.back();
    pending.pop_back();
    const std::vector<Use> uses = node->output()->uses();
    for (const Use& use : uses) {
      if (Node* behind = moveCodes(graph, use.node, node)) pending.push_back(behind);
    }
    for (const Use& use : std::vector<Use>(node->output()->uses())) {
      if (takesProgram(*use.node, use)) continue;
      Node* own = dequantize(graph, node->name(), node->inputs(), node->output()->quantizer, use.node);
      use.node->setInput(use.index, own->output());
    }
    if (graph.useCount(node->output()) == 0) graph.removeNode(node);
  }
}

}  // namespace

void storeCodes(Graph& graph) {
  // Operators that move values are replaced on the way, quantizers are not.
  std::vector<Node*> quantizers;
  for (Node* node : graph.nodeSequence()) {
    if (isFakeQuantize(*node) && hasByteCodes(*node)) quantizers.push_back(node);
  }
  for (Node* node : quantizers) serveConsumers(graph, quantizeToCodes(graph, node));
}

}  // namespace simaqat
