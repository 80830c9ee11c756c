#include "qat/passes/finalize_weights.h"

#include <cmath>

#include "qat/ir/op.h"
#include "qat/ops/shared/batch_norm_attributes.h"
#include "qat/ops/shared/convolution_attributes.h"
#include "qat/ops/shared/gemm_attributes.h"
#include "qat/ops/shared/quantize_linear_attributes.h"
#include "qat/passes/stored.h"

namespace simaqat {
namespace {

// y = factor * x + offset, for each channel.
struct Affine {
  std::vector<double> factor;
  std::vector<double> offset;
};

Affine affineOf(const Node& batch_norm) {
  const double epsilon = batch_norm.attributes<ops::BatchNormAttributes>().epsilon;
  const auto read = [&](size_t i) { return batch_norm.input(i)->constant.toVector<double>(); };
  const std::vector<double> gamma = read(1);
  const std::vector<double> beta = read(2);
  const std::vector<double> mean = read(3);
  const std::vector<double> var = read(4);
  Affine affine;
  for (size_t c = 0; c < gamma.size(); ++c) {
    const double factor = gamma[c] / std::sqrt(var[c] + epsilon);
    affine.factor.push_back(factor);
    affine.offset.push_back(beta[c] - mean[c] * factor);
  }
  return affine;
}

// Codes, scales and biases of a node's channels.
struct LoweredWeight {
  Tensor codes;
  std::vector<float> scales;
  std::vector<int32_t> biases;
  std::vector<double> float_biases;
};

// `axis` counts the channels of `weight`; codes come out in the same layout.
LoweredWeight quantizeWeight(const QuantizerSpec& spec, const Tensor& weight, int64_t axis,
                             const Affine& affine, float input_scale) {
  int64_t outer = 1;
  int64_t inner = 1;
  const auto& dims = weight.dims();
  for (size_t k = 0; k < dims.size(); ++k) {
    if (static_cast<int64_t>(k) < axis) outer *= dims[k];
    if (static_cast<int64_t>(k) > axis) inner *= dims[k];
  }
  const int64_t channels = dims[static_cast<size_t>(axis)];
  LoweredWeight result;
  result.codes = Tensor(ElementType::kInt8, dims);
  int8_t* codes = result.codes.mutableData<int8_t>();
  const float* values = weight.data<float>();
  std::vector<float> channel(static_cast<size_t>(outer * inner));
  for (int64_t c = 0; c < channels; ++c) {
    const auto at = [&](int64_t i) { return ((i / inner) * channels + c) * inner + i % inner; };
    float max_abs = 0;
    for (int64_t i = 0; i < outer * inner; ++i) {
      channel[static_cast<size_t>(i)] = values[at(i)];
      max_abs = std::max(max_abs, std::fabs(values[at(i)]));
    }
    const auto index = static_cast<size_t>(c);
    const QuantizedChannel quantized =
        quantizeChannel(spec, channel, scaleFromMaxAbs(spec, max_abs), affine.factor[index],
                        affine.offset[index], input_scale > 0 ? input_scale : 1.0f);
    for (int64_t i = 0; i < outer * inner; ++i) codes[at(i)] = quantized.codes[static_cast<size_t>(i)];
    result.scales.push_back(quantized.scale);
    result.biases.push_back(quantized.bias);
    result.float_biases.push_back(affine.offset[index]);
  }
  return result;
}

Tensor transposed(const Tensor& matrix) {
  const int64_t rows = matrix.dims()[0];
  const int64_t columns = matrix.dims()[1];
  Tensor result(ElementType::kInt8, {columns, rows});
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      result.mutableData<int8_t>()[c * rows + r] = matrix.data<int8_t>()[r * columns + c];
    }
  }
  return result;
}

template <class T>
Tensor vectorOf(const std::vector<T>& values) {
  return Tensor::of({static_cast<int64_t>(values.size())}, values);
}

// codes behind a DequantizeLinear along `axis`.
Value* addDequantized(Graph& graph, const std::string& name, const Tensor& codes,
                      const std::vector<float>& scales, int64_t axis, Node* before) {
  Value* code = graph.addConstant(name + "/quantized", codes);
  Value* scale = graph.addConstant(name + "/quantized_scale", vectorOf(scales));
  Value* zero = graph.addConstant(
      name + "/quantized_zero_point",
      Tensor(codes.type(), {static_cast<int64_t>(scales.size())}));
  ops::QuantizeLinearAttributes attributes;
  attributes.axis = axis;
  return graph.add("DequantizeLinear", name + "/dequantize", {code, scale, zero}, attributes, before);
}

void setBias(Graph& graph, Node* node, const std::string& name, const LoweredWeight& lowered,
             float input_scale, const FinalizeOptions& options) {
  Value* bias;
  if (input_scale > 0 && options.integer_biases) {
    std::vector<float> scales;
    for (float scale : lowered.scales) scales.push_back(input_scale * scale);
    bias = addDequantized(graph, name, vectorOf(lowered.biases), scales, 0, node);
  } else {
    std::vector<float> values(lowered.float_biases.begin(), lowered.float_biases.end());
    bias = graph.addConstant(name, vectorOf(values));
  }
  node->setInput(2, bias);
}

bool isMatMul(const Node& node) { return node.op().qualifiedName() == "MatMul"; }

// Null where none folds. A MatMul's channels are its last axis, which is a BatchNormalization's
// where both have rank 2.
Node* batchNormBehind(const Graph& graph, const Node& node) {
  const Value* value = node.output();
  if (graph.useCount(value) != 1 || value->uses().size() != 1) return nullptr;
  Node* consumer = value->uses()[0].node;
  const bool folds = consumer->op().qualifiedName() == "BatchNormalization" &&
                     node.op().quantization.fuses_batch_norm && consumer->input(0) == value &&
                     (!isMatMul(node) || value->type.rank() == 2);
  return folds ? consumer : nullptr;
}

// A MatMul of matrices as the Gemm that it is, which has room for a bias.
Node* asGemm(Graph& graph, Node* node) {
  Value* y = graph.add("Gemm", node->name(), node->inputs(), ops::GemmAttributes{}, node);
  graph.replaceUses(node->output(), y);
  graph.removeNode(node);
  return y->producer();
}

void lowerWeight(Graph& graph, Node* node, Node* fake_quantize, const FinalizeOptions& options) {
  Node* batch_norm = batchNormBehind(graph, *node);
  if (batch_norm != nullptr && isMatMul(*node)) node = asGemm(graph, node);
  const QuantizationTraits& traits = node->op().quantization;
  const auto weight_index = static_cast<size_t>(traits.weight_input);
  const auto& spec = fake_quantize->attributes<QuantizerSpec>();
  const Tensor weight = storedTensor(graph, fake_quantize->input(0));
  const std::string name = fake_quantize->input(0)->name();
  const auto channels = static_cast<size_t>(weight.dims()[static_cast<size_t>(spec.axis)]);

  Affine affine{std::vector<double>(channels, 1), std::vector<double>(channels, 0)};
  if (batch_norm != nullptr) affine = affineOf(*batch_norm);
  const bool is_gemm = node->op().qualifiedName() == "Gemm";
  const double alpha = is_gemm ? node->attributes<ops::GemmAttributes>().alpha : 1.0;
  const double beta = is_gemm ? node->attributes<ops::GemmAttributes>().beta : 1.0;
  std::string bias_name = name + "/bias";
  if (traits.bias_input >= 0) {
    if (const Value* bias = node->input(static_cast<size_t>(traits.bias_input))) {
      if (!bias->isConstant()) node->fail("has a bias that is not constant");
      bias_name = bias->name();
      const std::vector<double> values = bias->constant.toVector<double>();
      for (size_t c = 0; c < channels; ++c) {
        affine.offset[c] += affine.factor[c] * beta * values[values.size() == 1 ? 0 : c];
      }
    }
  }
  for (double& factor : affine.factor) factor *= alpha;

  const float input_scale = inputScale(node->input(0));
  LoweredWeight lowered = quantizeWeight(spec, weight, spec.axis, affine, input_scale);
  int64_t axis = spec.axis;
  if (is_gemm) {
    auto& attributes = node->mutableAttributes<ops::GemmAttributes>();
    attributes.alpha = attributes.beta = 1;
    if (!attributes.transB) {
      // ONNX Runtime takes per-channel scales along axis 0.
      lowered.codes = transposed(lowered.codes);
      attributes.transB = true;
      axis = 0;
    }
  }
  node->setInput(weight_index,
                 addDequantized(graph, name, lowered.codes, lowered.scales, axis, node));
  if (traits.bias_input >= 0) {
    setBias(graph, node, bias_name, lowered, input_scale, options);
  }
  if (batch_norm != nullptr) {
    graph.replaceUses(batch_norm->output(), node->output());
    graph.removeNode(batch_norm);
  }
}

}  // namespace

float inputScale(const Value* value) {
  if (value->quantizer == nullptr) return 0;
  return *value->quantizer->scale->constant.data<float>();
}

void lowerWeights(Graph& graph, const FinalizeOptions& options) {
  // Gathered first: lowering one node removes others.
  std::vector<std::pair<Node*, Node*>> weighted;
  for (Node* node : graph.nodeSequence()) {
    const int index = node->op().quantization.weight_input;
    const Value* weight = index < 0 ? nullptr : node->input(static_cast<size_t>(index));
    Node* producer = weight == nullptr ? nullptr : weight->producer();
    if (producer != nullptr && producer->op().qualifiedName() == "simaqat::FakeQuantize" &&
        isStored(producer->input(0))) {
      weighted.emplace_back(node, producer);
    }
  }
  for (const auto& [node, fake_quantize] : weighted) {
    lowerWeight(graph, node, fake_quantize, options);
    if (graph.useCount(fake_quantize->output()) == 0) graph.removeNode(fake_quantize);
  }
}

void lowerBatchNorms(Graph& graph, const FinalizeOptions& options) {
  for (Node* node : graph.nodeSequence()) {
    if (node->op().qualifiedName() != "BatchNormalization") continue;
    const size_t rank = node->input(0)->type.rank();
    const float input_scale = inputScale(node->input(0));
    if (input_scale == 0 || rank < 3 || rank > 5) continue;
    const Affine affine = affineOf(*node);
    const auto channels = static_cast<int64_t>(affine.factor.size());
    std::vector<int64_t> dims(rank, 1);
    dims[0] = channels;
    Tensor ones(ElementType::kFloat, dims);
    std::fill_n(ones.mutableData<float>(), ones.size(), 1.0f);
    const LoweredWeight lowered = quantizeWeight(weightQuantizer(0), ones, 0, affine, input_scale);
    ops::ConvAttributes attributes;
    attributes.group = channels;
    attributes.kernel_shape.assign(rank - 2, 1);
    const std::string name = node->name();
    Value* weight = addDequantized(graph, name + "/weight", lowered.codes, lowered.scales, 0, node);
    Value* y = graph.add("Conv", name, {node->input(0), weight}, attributes, node);
    setBias(graph, y->producer(), name + "/bias", lowered, input_scale, options);
    graph.replaceUses(node->output(), y);
    graph.removeNode(node);
  }
}

}  // namespace simaqat
