#include <limits>

#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gather.h"
#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {
namespace {

struct ConcatAttributes {
  int64_t axis = 0;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit.required("axis", self.axis);
  }
};

void infer(InferContext& c) {
  const int64_t axis = c.node.attributes<ConcatAttributes>().axis;
  std::optional<Shape> y = c.input(0).shape;
  size_t at = 0;
  if (y) {
    at = static_cast<size_t>(normalizeAxis(c.node, axis, static_cast<int64_t>(y->size())));
  }
  for (size_t i = 1; i < c.node.inputCount(); ++i) {
    c.expectElement(i, c.input(0).element);
    const Shape* x = c.shape(i);
    if (!y || x == nullptr) {
      y = std::nullopt;
      continue;
    }
    c.expectRank(i, y->size());
    for (size_t k = 0; k < y->size(); ++k) {
      Dim& to = (*y)[k];
      const Dim& from = (*x)[k];
      if (k == at) {
        to = to.known() && from.known() ? Dim(to.value + from.value) : Dim();
      } else if (to.known() && from.known() && to.value != from.value) {
        c.node.fail("input {}: expected {} on axis {}, got {}", i, to.value, k,
                    typeToString(c.input(i)));
      } else if (!to.known() && (from.known() || to.symbol.empty())) {
        to = from;
      }
    }
  }
  c.setOutput(0, c.input(0).element, std::move(y));
}

void evaluate(const EvalContext& c) {
  const int64_t axis = c.node.attributes<ConcatAttributes>().axis;
  const AxisSplit whole(c.node, axis, c.out().dims);
  int64_t first = 0;
  for (const TensorView& x : c.inputs) {
    const AxisSplit part(c.node, axis, x.dims);
    StridedCopy copy(x.type);
    copy.to_offset = first * whole.inner;
    copy.addAxis(part.outer, part.size * part.inner, whole.size * whole.inner);
    copy.addAxis(part.size * part.inner, 1, 1);
    copy.run(x.bytes, c.out().bytes, c.pool);
    first += part.size;
  }
}

void gradient(GradientContext& c) {
  const auto rank = static_cast<int64_t>(c.output()->type.rank());
  const int64_t axis = normalizeAxis(c.node, c.node.attributes<ConcatAttributes>().axis, rank);
  int64_t first = 0;
  for (size_t i = 0; i < c.node.inputCount(); ++i) {
    const int64_t size = c.input(i)->type.dims()[static_cast<size_t>(axis)];
    if (c.wants(i)) {
      c.setInputGradient(i, c.add("Slice", {c.outputGradient(), integers(c, {first}),
                                            integers(c, {first + size}), integers(c, {axis})}));
    }
    first += size;
  }
}

std::vector<OpExample> examples() {
  const auto axis = [](int64_t a) { return AttributeMap{{"axis", a}}; };
  return {
      {"channels",
       axis(1),
       {exampleTensor({2, 3, 4}, 1), exampleTensor({2, 1, 4}, 2), exampleTensor({2, 2, 4}, 3)}},
      {"first axis", axis(0), {exampleTensor({2, 3}, 1), exampleTensor({1, 3}, 2)}},
      {"last axis", axis(-1), {exampleTensor({2, 3}, 1), exampleTensor({2, 2}, 2)}},
      {"one input", axis(0), {exampleTensor({2, 3}, 1)}},
      {"integers", axis(0), {exampleIntegers({2}, 0, 9, 1), exampleIntegers({3}, 0, 9, 2)}},
  };
}

}  // namespace

OpDefinition defineConcat() {
  OpDefinition op;
  op.name = "Concat";
  op.first_opset = 4;
  op.max_inputs = std::numeric_limits<size_t>::max();
  op.make_attributes = &makeAttributes<ConcatAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kConcat;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
