#include "qat/onnx/known_values.h"

#include <algorithm>
#include <set>

#include "qat/ir/op.h"

namespace simaqat::onnx_format {
namespace {

// Larger ones are data, whatever they follow from.
constexpr int64_t kMostElements = 1 << 16;

bool isShape(const Node& node) { return node.op().qualifiedName() == "Shape"; }

// The inputs of which only the type counts.
bool readsTypeAlone(const Node& node, size_t input) {
  const std::string name = node.op().qualifiedName();
  return ((isShape(node) || name == "Size") && input == 0) || (name == "CastLike" && input == 1);
}

// Whether each element of the output is one of this input: what is known of it stays known.
bool movesInput(const Node& node, size_t input) {
  static const std::set<std::string> kMoving = {
      "Cast",  "Concat", "Expand",  "Flatten", "Gather",    "Identity", "Reshape",
      "Slice", "Split",  "Squeeze", "Tile",    "Transpose", "Unsqueeze"};
  const std::string name = node.op().qualifiedName();
  return kMoving.count(name) != 0 && (input == 0 || name == "Concat");
}

}  // namespace

Tensor KnownValues::find(const Value* value) {
  const Partial& found = partial(value);
  return found.known.defined() ? Tensor() : found.value;
}

const KnownValues::Partial& KnownValues::partial(const Value* value) {
  const auto it = found_.find(value);
  if (it != found_.end()) return it->second;
  Partial computed = compute(*value);
  return found_[value] = std::move(computed);
}

KnownValues::Partial KnownValues::compute(const Value& value) {
  // Whether a single number is a parameter is decided later; here it is what the file says.
  const bool is_number = value.variable != nullptr && value.variable->value.size() == 1;
  if (is_number) return {value.variable->value, Tensor()};
  if (value.isConstant() || value.producer() == nullptr) return {value.constant, Tensor()};
  const Node& node = *value.producer();
  if (node.op().random || node.inputCount() == 0) return {};
  if (isShape(node) && node.input(0)->type.shape)
    return dimensions(node, *node.input(0)->type.shape);
  std::vector<const Partial*> partials;
  std::vector<Tensor> inputs;
  bool all_known = true;
  for (size_t i = 0; i < node.inputCount(); ++i) {
    static const Partial kAbsent;
    const Value* input = node.input(i);
    partials.push_back(&kAbsent);
    if (input == nullptr) {
      inputs.emplace_back();
    } else if (readsTypeAlone(node, i)) {
      const bool by_shape = node.op().qualifiedName() == "Size";
      if (by_shape && !input->type.isStatic()) return {};
      inputs.emplace_back(input->type.element,
                          by_shape ? input->type.dims() : std::vector<int64_t>{});
    } else {
      partials.back() = &partial(input);
      inputs.push_back(partials.back()->value);
      if (!inputs.back().defined() || inputs.back().size() > kMostElements) return {};
      const bool open = partials.back()->known.defined();
      if (open && !movesInput(node, i)) return {};
      all_known = all_known && !open;
    }
  }
  if (all_known) return {evaluate(node, value.outputIndex(), inputs), Tensor()};
  return moved(node, value.outputIndex(), partials);
}

KnownValues::Partial KnownValues::dimensions(const Node& node, const Shape& shape) {
  std::vector<int64_t> dims, known;
  for (const Dim& dim : shape) {
    dims.push_back(dim.known() ? dim.value : 0);
    known.push_back(dim.known() ? 1 : 0);
  }
  const auto shapeOf = [&](const std::vector<int64_t>& of) {
    return evaluate(node, 0, {Tensor(ElementType::kBool, of)});
  };
  const bool all_known = std::all_of(known.begin(), known.end(), [](int64_t k) { return k == 1; });
  return {shapeOf(dims), all_known ? Tensor() : shapeOf(known)};
}

// The node moves what is known of its inputs as it moves them.
KnownValues::Partial KnownValues::moved(const Node& node, size_t output,
                                        const std::vector<const Partial*>& inputs) {
  std::vector<Tensor> values, known;
  for (size_t i = 0; i < inputs.size(); ++i) {
    values.push_back(inputs[i]->value);
    if (!movesInput(node, i) || !values.back().defined()) {
      known.push_back(values.back());
    } else if (inputs[i]->known.defined()) {
      known.push_back(inputs[i]->known);
    } else {
      const std::vector<int64_t> ones(static_cast<size_t>(values.back().size()), 1);
      known.push_back(Tensor::of(values.back().dims(), ones).converted(values.back().type()));
    }
  }
  Partial result{evaluate(node, output, values), evaluate(node, output, known)};
  const std::vector<int64_t> of = result.known.toVector<int64_t>();
  if (std::all_of(of.begin(), of.end(), [](int64_t k) { return k == 1; })) result.known = Tensor();
  return result;
}

Tensor KnownValues::evaluate(const Node& node, size_t output, const std::vector<Tensor>& inputs) {
  ThreadPool pool(1);
  return evaluateOnHost(graph_, node, inputs, pool)[output];
}

}  // namespace simaqat::onnx_format
