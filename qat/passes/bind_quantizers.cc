#include "qat/passes/bind_quantizers.h"

#include <algorithm>

#include "qat/ir/fake_quantize.h"
#include "qat/ir/op.h"
#include "qat/ir/range_search.h"
#include "qat/passes/fake_quantized.h"

namespace simaqat {
namespace {

void checkSpec(const Node& node) {
  const auto& spec = node.attributes<QuantizerSpec>();
  if (spec.qmin > 0 || spec.qmax <= 0 || spec.qmin < -32768 || spec.qmax > 65535 ||
      spec.qmax - spec.qmin > 65535) {
    node.fail("codes from {} to {} are not possible", spec.qmin, spec.qmax);
  }
  if (!spec.isKnown()) node.fail("observer '{}' is not known", spec.observer);
  if (spec.observesRange() && spec.perChannel()) node.fail("a range is observed per tensor only");
  if (!(spec.averaging_constant >= 0 && spec.averaging_constant <= 1)) {
    node.fail("averaging_constant is {}, expected 0 to 1", spec.averaging_constant);
  }
}

// How many numbers a quantizer keeps at an input; 0 where it keeps nothing there.
int64_t stateSize(const QuantizerSpec& spec, size_t input, int64_t scales) {
  switch (input) {
    case kFakeQuantizeScale:
    case kFakeQuantizeZeroPoint:
      return scales;
    case kFakeQuantizeRangeMin:
    case kFakeQuantizeRangeMax:
      return spec.observesRange() ? 1 : 0;
    case kFakeQuantizeHistogram:
      return spec.usesHistogram() ? kHistogramBins : 0;
    case kFakeQuantizeHistogramLimit:
      return spec.usesHistogram() ? 1 : 0;
    case kFakeQuantizeOffset:
      return spec.learnsOffset() ? 1 : 0;
    default:
      return spec.learnsFoldedScale() ? 1 : 0;
  }
}

// Where each dimension that they depend on is known.
int64_t scaleCount(const Node& node) {
  const auto& spec = node.attributes<QuantizerSpec>();
  std::vector<int64_t> dims;
  for (size_t k = 0; spec.perChannel() && k < node.input(0)->type.rank(); ++k) {
    dims.push_back((*node.input(0)->type.shape)[k].value);
  }
  int64_t count = 1;
  for (int64_t dim : scaleDims(spec, dims)) count *= dim;
  return count;
}

// The weight of a ConvTranspose with groups.
void checkGroups(const Node& node) {
  const auto& spec = node.attributes<QuantizerSpec>();
  if (spec.groups == 1) return;
  const TensorType& type = node.input(0)->type;
  const bool fits =
      spec.groups > 1 && spec.axis == 1 && type.isStatic() && type.dims()[0] % spec.groups == 0;
  if (!fits) {
    node.fail("{} groups and axis {} do not fit {}", spec.groups, spec.axis, typeToString(type));
  }
}

// Scale, zero point and what an observer keeps are initializers that training updates.
void checkState(const Node& node) {
  const auto& spec = node.attributes<QuantizerSpec>();
  if (node.input(0)->type.element != ElementType::kFloat) {
    node.fail("input 0: expected float, got {}", typeToString(node.input(0)->type));
  }
  const Shape* shape = node.input(0)->type.shape ? &*node.input(0)->type.shape : nullptr;
  const auto axis = static_cast<size_t>(std::max<int64_t>(spec.axis, 0));
  if (spec.perChannel() && (shape == nullptr || axis >= shape->size() || !(*shape)[axis].known())) {
    node.fail("axis {}: expected a known dimension there, got {}", spec.axis,
              typeToString(node.input(0)->type));
  }
  checkGroups(node);
  const int64_t scales = scaleCount(node);
  for (size_t i = kFakeQuantizeScale; i <= kFakeQuantizeFoldedScale; ++i) {
    const int64_t expected = stateSize(spec, i, scales);
    if (expected == 0) continue;
    const Value* value = node.input(i);
    if (value == nullptr || value->variable == nullptr) {
      node.fail("input {}: expected an initializer", i);
    }
    const Tensor& tensor = value->variable->value;
    if (tensor.type() != ElementType::kFloat || tensor.size() != expected) {
      node.fail("input {}: expected {} floats, got {}{}", i, expected,
                elementTypeName(tensor.type()), dimsToString(tensor.dims()));
    }
  }
}

}  // namespace

void bindQuantizers(Graph& graph) {
  for (const auto& node : graph.nodes()) {
    if (node->op().qualifiedName() == "simaqat::FakeQuantize") {
      checkSpec(*node);
      checkState(*node);
      // A graph output gave its name to what leaves, and the quantizer is named after it.
      const Value* named = graph.isOutput(node->output()) ? node->output() : node->input(0);
      Quantizer* quantizer = graph.addQuantizer(named->name(), node->attributes<QuantizerSpec>());
      quantizer->scale = node->input(1);
      quantizer->zero_point = node->input(2);
      node->output()->quantizer = quantizer;
    } else if (sharesQuantizer(*node)) {
      shareQuantizer(*node);
    }
  }
}

}  // namespace simaqat
