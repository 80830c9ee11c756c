#include <algorithm>

#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gather.h"
#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {
namespace {

struct CompressAttributes {
  // Absent: the elements of the flattened input.
  std::optional<int64_t> axis;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("axis", self.axis);
  }
};

// The places that a known condition keeps.
std::vector<int64_t> keptPlaces(const Tensor& condition) {
  std::vector<int64_t> places;
  for (int64_t i = 0; i < condition.size(); ++i) {
    if (condition.data<bool>()[i]) places.push_back(i);
  }
  return places;
}

void infer(InferContext& c) {
  const auto& axis = c.node.attributes<CompressAttributes>().axis;
  c.expectElement(1, ElementType::kBool);
  c.expectRank(1, 1);
  Dim kept;
  std::vector<int64_t> places;
  if (const Tensor* condition = c.constant(1)) {
    places = keptPlaces(*condition);
    kept = static_cast<int64_t>(places.size());
  }
  std::optional<Shape> y;
  const Shape* x = c.shape(0);
  Dim whole;
  if (!axis) {
    y = Shape{kept};
    if (x != nullptr && c.input(0).isStatic()) whole = c.input(0).size();
  } else if (x != nullptr) {
    const auto at =
        static_cast<size_t>(normalizeAxis(c.node, *axis, static_cast<int64_t>(x->size())));
    y = *x;
    whole = (*x)[at];
    (*y)[at] = kept;
  }
  if (!places.empty() && whole.known() && places.back() >= whole.value) {
    c.node.fail("input 1: keeps element {} of {}", places.back(), whole.value);
  }
  c.setOutput(0, c.input(0).element, std::move(y));
}

void evaluate(const EvalContext& c) {
  const auto& axis = c.node.attributes<CompressAttributes>().axis;
  const int64_t flat[] = {c.in(0).size};
  const AxisSplit split(c.node, axis.value_or(0),
                        axis ? c.in(0).dims : Span<const int64_t>(flat, 1));
  const bool* condition = c.in(1).data<bool>();
  const int64_t kept = std::count(condition, condition + c.in(1).size, true);
  visitElementType(c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.in(0).data<T>();
    T* y = c.out().data<T>();
    c.pool.runRanges(split.outer, kElementwiseGrain / (kept * split.inner + 1) + 1,
                     [&](int64_t begin, int64_t end) {
                       T* to = y + begin * kept * split.inner;
                       for (int64_t outer = begin; outer < end; ++outer) {
                         for (int64_t i = 0; i < c.in(1).size; ++i) {
                           if (!condition[i]) continue;
                           const T* from = x + (outer * split.size + i) * split.inner;
                           to = std::copy(from, from + split.inner, to);
                         }
                       }
                     });
  });
}

// The shape is known, and so is the condition.
void gradient(GradientContext& c) {
  const auto& axis = c.node.attributes<CompressAttributes>().axis;
  GatherGradientAttributes attributes;
  attributes.axis = axis.value_or(0);
  attributes.shape = axis ? c.input(0)->type.dims() : std::vector<int64_t>{c.input(0)->type.size()};
  Value* places = integers(c, keptPlaces(c.input(1)->constant));
  Value* dx = c.add("simaqat::GatherGradient", {c.outputGradient(), places}, attributes);
  c.setInputGradient(0, axis ? dx : c.reshapeLike(dx, c.input(0)));
}

std::vector<OpExample> examples() {
  const auto axis = [](int64_t a) { return AttributeMap{{"axis", a}}; };
  const auto which = [](const std::vector<bool>& list) {
    Tensor tensor(ElementType::kBool, {static_cast<int64_t>(list.size())});
    std::copy(list.begin(), list.end(), tensor.mutableData<bool>());
    return tensor;
  };
  return {
      {"rows", axis(0), {exampleTensor({3, 4}), which({false, true, true})}},
      {"last axis", axis(-1), {exampleTensor({2, 3, 4}), which({true, false, false, true})}},
      {"a short condition", axis(1), {exampleTensor({2, 5}), which({false, true})}},
      {"elements", {}, {exampleTensor({2, 3}), which({true, false, true, false, true})}},
      {"integers", {}, {exampleIntegers({3}, 0, 9), which({true, true, false})}},
  };
}

}  // namespace

OpDefinition defineCompress() {
  OpDefinition op;
  op.name = "Compress";
  op.first_opset = 9;
  op.min_inputs = op.max_inputs = 2;
  op.make_attributes = &makeAttributes<CompressAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kShares;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
