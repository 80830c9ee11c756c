#include "qat/passes/finalize_weights.h"

#include "qat/ir/op.h"
#include "qat/ops/shared/convolution_attributes.h"
#include "qat/ops/shared/gemm_attributes.h"
#include "qat/ops/shared/quantize_linear_attributes.h"
#include "qat/passes/folded_weights.h"

namespace simaqat {
namespace {

Tensor transposed(const Tensor& matrix) {
  const int64_t rows = matrix.dims()[0];
  const int64_t columns = matrix.dims()[1];
  Tensor result(matrix.type(), {columns, rows});
  visitElementType(matrix.type(), [&](auto tag) {
    using T = decltype(tag);
    T* to = result.mutableData<T>();
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) to[c * rows + r] = matrix.data<T>()[r * columns + c];
    }
  });
  return result;
}

template <class T>
Tensor vectorOf(const std::vector<T>& values) {
  return Tensor::of({static_cast<int64_t>(values.size())}, values);
}

// codes behind a DequantizeLinear along `axis`, or with one scale.
Value* addDequantized(Graph& graph, const std::string& name, const Tensor& codes,
                      const std::vector<float>& scales, bool has_one_scale, int64_t axis,
                      Node* before) {
  const Tensor scale_tensor = has_one_scale ? Tensor::scalar(scales.at(0)) : vectorOf(scales);
  Value* code = graph.addConstant(name + "/quantized", codes);
  Value* scale = graph.addConstant(name + "/quantized_scale", scale_tensor);
  Value* zero =
      graph.addConstant(name + "/quantized_zero_point", Tensor(codes.type(), scale_tensor.dims()));
  ops::QuantizeLinearAttributes attributes;
  attributes.axis = axis;
  return graph.add("DequantizeLinear", name + "/dequantize", {code, scale, zero}, attributes, before);
}

void setBias(Graph& graph, Node* node, const std::string& name, const FoldedWeight& folded) {
  Value* bias;
  if (folded.integer_bias) {
    std::vector<float> scales;
    for (float scale : folded.scales) scales.push_back(folded.input_scale * scale);
    bias =
        addDequantized(graph, name, vectorOf(folded.biases), scales, folded.has_one_scale, 0, node);
  } else {
    std::vector<float> values(folded.float_biases.begin(), folded.float_biases.end());
    bias = graph.addConstant(name, vectorOf(values));
  }
  node->setInput(2, bias);
}

// A MatMul of matrices as the Gemm that it is, which has room for a bias.
Node* asGemm(Graph& graph, Node* node) {
  Value* y = graph.add("Gemm", node->name(), node->inputs(), ops::GemmAttributes{}, node);
  graph.replaceUses(node->output(), y);
  graph.removeNode(node);
  return y->producer();
}

void lowerWeight(Graph& graph, const WeightedNode& weighted) {
  Node* node = weighted.node;
  Node* batch_norm = batchNormBehind(graph, *node);
  const Value* weight = weighted.fake_quantize->input(0);
  FoldedWeight folded = foldWeight(graph, weighted, batch_norm);
  if (batch_norm != nullptr && node->op().qualifiedName() == "MatMul") node = asGemm(graph, node);

  int64_t axis = node->op().quantization.weight_axis(*node);
  if (node->op().qualifiedName() == "Gemm") {
    auto& attributes = node->mutableAttributes<ops::GemmAttributes>();
    attributes.alpha = attributes.beta = 1;
    if (!attributes.transB) {
      // ONNX Runtime takes per-channel scales along axis 0.
      folded.codes = transposed(folded.codes);
      attributes.transB = true;
      axis = 0;
    }
  }
  const QuantizationTraits& traits = node->op().quantization;
  node->setInput(static_cast<size_t>(traits.weight_input),
                 addDequantized(graph, weight->name(), folded.codes, folded.scales,
                                folded.has_one_scale, axis, node));
  if (traits.bias_input >= 0) {
    const Value* bias = node->input(static_cast<size_t>(traits.bias_input));
    setBias(graph, node, bias != nullptr ? bias->name() : weight->name() + "/bias", folded);
  }
  if (batch_norm != nullptr) {
    graph.replaceUses(batch_norm->output(), node->output());
    graph.removeNode(batch_norm);
  }
}

}  // namespace

void lowerWeights(Graph& graph) {
  for (const WeightedNode& weighted : weightedNodes(graph)) {
    const auto& spec = weighted.fake_quantize->attributes<QuantizerSpec>();
    // A graph that was given the node's own result to look at folds nothing there: the scales of a
    // weight that would have been folded stay those of training.
    const bool is_looked_at =
        spec.followsFoldedWeight() && batchNormBehind(graph, *weighted.node) == nullptr;
    if (is_looked_at) continue;
    lowerWeight(graph, weighted);
    if (graph.useCount(weighted.fake_quantize->output()) == 0) {
      graph.removeNode(weighted.fake_quantize);
    }
  }
}

void lowerBatchNorms(Graph& graph) {
  for (Node* node : graph.nodeSequence()) {
    if (!becomesDepthwise(graph, *node)) continue;
    const FoldedWeight folded = foldBatchNorm(graph, *node);
    ops::ConvAttributes attributes;
    attributes.group = folded.codes.dims()[0];
    attributes.kernel_shape.assign(node->input(0)->type.rank() - 2, 1);
    const std::string name = node->name();
    Value* weight =
        addDequantized(graph, name + "/weight", folded.codes, folded.scales, false, 0, node);
    Value* y = graph.add("Conv", name, {node->input(0), weight}, attributes, node);
    setBias(graph, y->producer(), name + "/bias", folded);
    graph.replaceUses(node->output(), y);
    graph.removeNode(node);
  }
}

}  // namespace simaqat
