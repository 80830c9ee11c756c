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

Affine affineOf(const Graph& graph, const Node& batch_norm) {
  const double epsilon = batch_norm.attributes<ops::BatchNormAttributes>().epsilon;
  const auto read = [&](size_t i) {
    return storedTensor(graph, batch_norm.input(i)).toVector<double>();
  };
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
void foldNode(const Graph& graph, const Node& node, Affine& affine) {
  if (!hasBiasByChannel(node)) node.fail("adds something else than one stored number a channel");
  const bool is_gemm = node.op().qualifiedName() == "Gemm";
  const double alpha = is_gemm ? node.attributes<ops::GemmAttributes>().alpha : 1.0;
  const double beta = is_gemm ? node.attributes<ops::GemmAttributes>().beta : 1.0;
  const int index = node.op().quantization.bias_input;
  const Value* bias = index < 0 ? nullptr : node.input(static_cast<size_t>(index));
  if (bias != nullptr) {
    const std::vector<double> values = storedTensor(graph, bias).toVector<double>();
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

// A weight seen as [groups, outer, channels of a group, inner].
struct WeightLayout {
  int64_t outer = 1;
  int64_t in_group = 1;
  int64_t inner = 1;
  int64_t channels = 1;  // of all groups

  WeightLayout(const std::vector<int64_t>& dims, int64_t axis, int64_t groups) {
    for (size_t k = 0; k < dims.size(); ++k) {
      const auto at = static_cast<int64_t>(k);
      (at < axis ? outer : at == axis ? in_group : inner) *= dims[k];
    }
    outer /= groups;
    channels = groups * in_group;
  }
  int64_t channelSize() const { return outer * inner; }
  // Of the i-th element of a channel.
  int64_t index(int64_t channel, int64_t i) const {
    const int64_t row = channel / in_group * outer + i / inner;
    return (row * in_group + channel % in_group) * inner + i % inner;
  }
  // Of a channel's scale, or of the first where several are the same.
  int64_t scaleIndex(int64_t channel) const { return index(channel, 0) / inner; }
};

// Brings codes with a scale for each channel, all the same but for rounding and for channels whose
// bias asked for more, to the greatest scale that one of them needs.
void shareScale(const QuantizerSpec& spec, const WeightLayout& layout, int32_t* codes,
                FoldedWeight& folded, float input_scale) {
  float shared = 0;
  // Of channels without a code, whose bias has 7 of its 30 bits to spare (quantizeChannel).
  float for_biases = 0;
  for (int64_t c = 0; c < layout.channels; ++c) {
    bool is_zero = true;
    for (int64_t i = 0; i < layout.channelSize(); ++i) {
      is_zero = is_zero && codes[layout.index(c, i)] == 0;
    }
    if (is_zero && folded.float_biases[static_cast<size_t>(c)] == 0) continue;
    float& most = is_zero ? for_biases : shared;
    most = std::max(most, folded.scales[static_cast<size_t>(c)]);
  }
  shared = shared == 0 ? for_biases : std::max(shared, for_biases / 128);
  if (shared == 0) shared = 1;
  for (int64_t c = 0; c < layout.channels; ++c) {
    const auto channel = static_cast<size_t>(c);
    for (int64_t i = 0; i < layout.channelSize(); ++i) {
      int32_t& code = codes[layout.index(c, i)];
      const auto value = static_cast<float>(code) * folded.scales[channel];
      code = quantizeOne(value, shared, 0, spec.qmin, spec.qmax);
    }
    folded.scales[channel] = shared;
    folded.biases[channel] =
        static_cast<int32_t>(std::nearbyint(folded.float_biases[channel] / (input_scale * shared)));
  }
  folded.has_one_scale = true;
}

// Codes come out in the layout of `weight`. One scale for the whole weight serves each channel.
FoldedWeight quantizeWeight(const QuantizerSpec& spec, const WeightLayout& layout,
                            const Tensor& weight, const Tensor& scales, const Affine& affine,
                            float input_scale, bool shares_scale) {
  const float bias_scale = input_scale > 0 ? input_scale : 1.0f;
  FoldedWeight result;
  Tensor codes(ElementType::kInt32, weight.dims());
  std::vector<float> channel(static_cast<size_t>(layout.channelSize()));
  for (int64_t c = 0; c < layout.channels; ++c) {
    for (int64_t i = 0; i < layout.channelSize(); ++i) {
      channel[static_cast<size_t>(i)] = weight.data<float>()[layout.index(c, i)];
    }
    const auto index = static_cast<size_t>(c);
    const float scale = scales.data<float>()[scales.size() == 1 ? 0 : layout.scaleIndex(c)];
    const QuantizedChannel quantized = quantizeChannel(spec, channel, scale, affine.factor[index],
                                                       affine.offset[index], bias_scale);
    for (int64_t i = 0; i < layout.channelSize(); ++i) {
      codes.mutableData<int32_t>()[layout.index(c, i)] = quantized.codes[static_cast<size_t>(i)];
    }
    result.scales.push_back(quantized.scale);
    result.biases.push_back(quantized.bias);
    result.float_biases.push_back(affine.offset[index]);
  }
  if (shares_scale) {
    shareScale(spec, layout, codes.mutableData<int32_t>(), result, bias_scale);
  }
  result.codes = codes.converted(spec.codeType());
  result.input_scale = input_scale;
  return result;
}

}  // namespace

FoldedWeight foldWeight(const Graph& graph, const WeightedNode& weighted,
                        const Node* batch_norm) {
  const auto& spec = weighted.fake_quantize->attributes<QuantizerSpec>();
  const Tensor weight = storedTensor(graph, weighted.fake_quantize->input(0));
  const Node& node = *weighted.node;
  const int64_t groups = weightGroups(node);
  const WeightLayout layout(weight.dims(), node.op().quantization.weight_axis(node), groups);
  const auto channels = static_cast<size_t>(layout.channels);
  Affine affine{std::vector<double>(channels, 1), std::vector<double>(channels, 0)};
  if (batch_norm != nullptr) affine = affineOf(graph, *batch_norm);
  foldNode(graph, node, affine);
  // One scale that other than folded weights were trained with is one for each channel once folded.
  const bool shares_scale =
      spec.followsFoldedWeight() || (!spec.perChannel() && batch_norm == nullptr);
  if (groups > 1 && !shares_scale) {
    node.fail("its weight has {} groups, and a scale for each channel would ship", groups);
  }
  FoldedWeight folded =
      quantizeWeight(spec, layout, weight, weightScales(graph, *weighted.fake_quantize), affine,
                     inputScale(node.input(0)), shares_scale);
  folded.integer_bias = hasIntegerBias(graph, node, spec);
  return folded;
}

bool hasBiasByChannel(const Node& node) {
  const int index = node.op().quantization.bias_input;
  const Value* bias = index < 0 ? nullptr : node.input(static_cast<size_t>(index));
  if (bias == nullptr) return true;
  if (!isStored(bias)) return false;
  const std::vector<int64_t> dims = bias->type.dims();
  return dims.empty() || bias->type.size() == dims.back();
}

bool becomesDepthwise(const Graph& graph, const Node& node) {
  if (node.op().qualifiedName() != "BatchNormalization" || staysFloat(graph, node)) return false;
  const size_t rank = node.input(0)->type.rank();
  return rank >= 3 && rank <= 5 && inputScale(node.input(0)) > 0;
}

FoldedWeight foldBatchNorm(const Graph& graph, const Node& batch_norm) {
  const Affine affine = affineOf(graph, batch_norm);
  std::vector<int64_t> dims(batch_norm.input(0)->type.rank(), 1);
  dims[0] = static_cast<int64_t>(affine.factor.size());
  Tensor ones(ElementType::kFloat, dims);
  std::fill_n(ones.mutableData<float>(), ones.size(), 1.0f);
  const QuantizerSpec spec = weightQuantizer(0);
  const WeightLayout layout(dims, 0, 1);
  FoldedWeight folded = quantizeWeight(spec, layout, ones, Tensor::scalar(scaleFromMaxAbs(spec, 1)),
                                       affine, inputScale(batch_norm.input(0)), false);
  folded.integer_bias = hasIntegerBias(graph, batch_norm, spec);
  return folded;
}

}  // namespace simaqat
