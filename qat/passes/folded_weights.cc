#include "qat/passes/folded_weights.h"

#include <algorithm>
#include <cmath>

#include "qat/ir/op.h"
#include "qat/ops/shared/batch_norm_attributes.h"
#include "qat/ops/shared/gemm_attributes.h"
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

// The bias in front of the BatchNormalization and a Gemm's constants, joined to it.
void foldNode(const Node& node, Affine& affine) {
  const bool is_gemm = node.op().qualifiedName() == "Gemm";
  const double alpha = is_gemm ? node.attributes<ops::GemmAttributes>().alpha : 1.0;
  const double beta = is_gemm ? node.attributes<ops::GemmAttributes>().beta : 1.0;
  const int index = node.op().quantization.bias_input;
  const Value* bias = index < 0 ? nullptr : node.input(static_cast<size_t>(index));
  if (bias != nullptr) {
    if (!bias->isConstant()) node.fail("has a bias that is not constant");
    const std::vector<double> values = bias->constant.toVector<double>();
    for (size_t c = 0; c < affine.factor.size(); ++c) {
      affine.offset[c] += affine.factor[c] * beta * values[values.size() == 1 ? 0 : c];
    }
  }
  for (double& factor : affine.factor) factor *= alpha;
}

bool hasIntegerBias(const Graph& graph, const Node& node, const QuantizerSpec& weight) {
  const Node* input = fakeQuantizeOf(node.input(0));
  if (input == nullptr || graph.metadata.count(kFloatBiasesKey) != 0) return false;
  return elementSize(input->attributes<QuantizerSpec>().codeType()) == 1 ||
         elementSize(weight.codeType()) == 1;
}

// `spec.axis` counts the output channels of `weight`; codes come out in the same layout. One scale
// for the whole weight serves each of them.
FoldedWeight quantizeWeight(const QuantizerSpec& spec, int64_t axis, const Tensor& weight,
                            const Tensor& scales, const Affine& affine, float input_scale) {
  int64_t outer = 1;
  int64_t inner = 1;
  const auto& dims = weight.dims();
  for (size_t k = 0; k < dims.size(); ++k) {
    if (static_cast<int64_t>(k) < axis) outer *= dims[k];
    if (static_cast<int64_t>(k) > axis) inner *= dims[k];
  }
  const int64_t channels = dims[static_cast<size_t>(axis)];
  FoldedWeight result;
  Tensor codes(ElementType::kInt32, dims);
  const float* values = weight.data<float>();
  std::vector<float> channel(static_cast<size_t>(outer * inner));
  for (int64_t c = 0; c < channels; ++c) {
    const auto at = [&](int64_t i) { return ((i / inner) * channels + c) * inner + i % inner; };
    for (int64_t i = 0; i < outer * inner; ++i) channel[static_cast<size_t>(i)] = values[at(i)];
    const auto index = static_cast<size_t>(c);
    const float scale = scales.data<float>()[scales.size() == 1 ? 0 : c];
    const QuantizedChannel quantized =
        quantizeChannel(spec, channel, scale, affine.factor[index], affine.offset[index],
                        input_scale > 0 ? input_scale : 1.0f);
    for (int64_t i = 0; i < outer * inner; ++i) {
      codes.mutableData<int32_t>()[at(i)] = quantized.codes[static_cast<size_t>(i)];
    }
    result.scales.push_back(quantized.scale);
    result.biases.push_back(quantized.bias);
    result.float_biases.push_back(affine.offset[index]);
  }
  result.codes = codes.converted(spec.codeType());
  result.input_scale = input_scale;
  return result;
}

}  // namespace

Node* batchNormBehind(const Graph& graph, const Node& node) {
  const Value* value = node.output();
  if (graph.useCount(value) != 1 || value->uses().size() != 1) return nullptr;
  Node* consumer = value->uses()[0].node;
  const bool folds = consumer->op().qualifiedName() == "BatchNormalization" &&
                     node.op().quantization.fuses_batch_norm && consumer->input(0) == value &&
                     (node.op().qualifiedName() != "MatMul" || value->type.rank() == 2);
  return folds ? consumer : nullptr;
}

FoldedWeight foldWeight(const Graph& graph, const WeightedNode& weighted,
                        const Node* batch_norm) {
  const auto& spec = weighted.fake_quantize->attributes<QuantizerSpec>();
  const Tensor weight = storedTensor(graph, weighted.fake_quantize->input(0));
  const int64_t axis = weighted.node->op().quantization.weight_axis(*weighted.node);
  const auto channels = static_cast<size_t>(weight.dims()[static_cast<size_t>(axis)]);
  Affine affine{std::vector<double>(channels, 1), std::vector<double>(channels, 0)};
  if (batch_norm != nullptr) affine = affineOf(*batch_norm);
  foldNode(*weighted.node, affine);
  FoldedWeight folded = quantizeWeight(spec, axis, weight,
                                       weightScales(graph, *weighted.fake_quantize), affine,
                                       inputScale(weighted.node->input(0)));
  folded.integer_bias = hasIntegerBias(graph, *weighted.node, spec);
  return folded;
}

bool becomesDepthwise(const Node& node) {
  if (node.op().qualifiedName() != "BatchNormalization") return false;
  const size_t rank = node.input(0)->type.rank();
  return rank >= 3 && rank <= 5 && inputScale(node.input(0)) > 0;
}

FoldedWeight foldBatchNorm(const Graph& graph, const Node& batch_norm) {
  const Affine affine = affineOf(batch_norm);
  std::vector<int64_t> dims(batch_norm.input(0)->type.rank(), 1);
  dims[0] = static_cast<int64_t>(affine.factor.size());
  Tensor ones(ElementType::kFloat, dims);
  std::fill_n(ones.mutableData<float>(), ones.size(), 1.0f);
  const QuantizerSpec spec = weightQuantizer(0);
  FoldedWeight folded = quantizeWeight(spec, 0, ones, Tensor::scalar(scaleFromMaxAbs(spec, 1)),
                                       affine, inputScale(batch_norm.input(0)));
  folded.integer_bias = hasIntegerBias(graph, batch_norm, spec);
  return folded;
}

}  // namespace simaqat
