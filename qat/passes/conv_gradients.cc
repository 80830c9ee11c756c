#include "qat/passes/conv_gradients.h"

#include <algorithm>
#include <unordered_map>

#include "qat/ir/op.h"
#include "qat/ops/shared/convolution_attributes.h"

namespace simaqat {
namespace {

bool isNamed(const Node& node, const char* name) { return node.op().qualifiedName() == name; }

bool areAll(const std::vector<int64_t>& list, int64_t number) {
  return std::all_of(list.begin(), list.end(), [=](int64_t v) { return v == number; });
}

// 1x1 that moves nothing, with fewer channels in front than behind.
bool widens(const ops::ConvAttributes& attributes, const Value& w) {
  if (!w.type.isStatic() || w.type.element != ElementType::kFloat) return false;
  const std::vector<int64_t> dims = w.type.dims();
  return attributes.group == 1 && areAll(attributes.strides, 1) && areAll(attributes.pads, 0) &&
         areAll({dims.begin() + 2, dims.end()}, 1) && dims[1] < dims[0];
}

// Which node of the graph it is.
using Positions = std::unordered_map<const Node*, size_t>;

// Whether `node` may take the place of `earlier`: what it needs is there by then.
bool mayMove(const Node& node, const Node& earlier, const Positions& positions) {
  return positions.at(&node) > positions.at(&earlier) &&
         std::all_of(node.inputs().begin(), node.inputs().end(), [&](const Value* input) {
           return input == nullptr || input->producer() == nullptr ||
                  positions.at(input->producer()) < positions.at(&earlier);
         });
}

// The gradient of the weight w of the same convolution: of the same dy, and of x whose gradient the
// other is.
Node* weightGradientOf(const Node& input_gradient, const Positions& positions) {
  const auto& x = input_gradient.attributes<ops::ConvGradientAttributes>().shape;
  const std::vector<int64_t> w = input_gradient.input(1)->type.dims();
  for (const Use& use : input_gradient.input(0)->uses()) {
    if (use.index != 1 || !isNamed(*use.node, "simaqat::ConvWeightGradient")) continue;
    if (use.node->attributes<ops::ConvGradientAttributes>().shape != w) continue;
    if (!use.node->input(0)->type.isStatic() || use.node->input(0)->type.dims() != x) continue;
    if (mayMove(*use.node, input_gradient, positions)) return use.node;
  }
  return nullptr;
}

void join(Graph& graph, Node* dx, Node* dw, Positions& positions) {
  Graph::NodeOptions options;
  options.before = dx;
  options.output_count = 2;
  const auto& of_dx = dx->attributes<ops::ConvGradientAttributes>();
  const ops::ConvGradientsAttributes attributes{ops::ConvAttributes(of_dx), of_dx.bfloat16};
  const Node* both = graph.addNode(
      "simaqat::ConvGradients", dx->name(),
      {dx->input(0), dx->input(1), dw->input(0), dx->input(2), dw->input(2), dw->input(3)},
      wrapAttributes(attributes), options);
  positions[both] = positions.at(dx);
  graph.replaceUses(dx->output(), both->output(0));
  graph.replaceUses(dw->output(), both->output(1));
  graph.removeNode(dx);
  graph.removeNode(dw);
}

}  // namespace

void joinConvGradients(Graph& graph) {
  std::vector<Node*> input_gradients;
  Positions positions;
  for (Node* node : graph.nodeSequence()) {
    positions.emplace(node, positions.size());
    if (isNamed(*node, "simaqat::ConvInputGradient")) input_gradients.push_back(node);
  }
  for (Node* node : input_gradients) {
    if (!widens(node->attributes<ops::ConvGradientAttributes>(), *node->input(1))) continue;
    Node* weight_gradient = weightGradientOf(*node, positions);
    if (weight_gradient != nullptr) join(graph, node, weight_gradient, positions);
  }
}

}  // namespace simaqat
