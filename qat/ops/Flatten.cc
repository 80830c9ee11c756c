#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {
namespace {

struct FlattenAttributes {
  int64_t axis = 1;
  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("axis", self.axis);
  }
};

// Known where all are, or where all but one are 1.
Dim productDim(Shape::const_iterator begin, Shape::const_iterator end) {
  Dim result = 1;
  for (auto dim = begin; dim != end; ++dim) {
    if (result == Dim(1)) {
      result = *dim;
    } else if (*dim != Dim(1)) {
      result = result.known() && dim->known() ? Dim(result.value * dim->value) : Dim();
    }
  }
  return result;
}

void infer(InferContext& c) {
  const int64_t axis = c.node.attributes<FlattenAttributes>().axis;
  Shape y(2);
  if (const Shape* x = c.shape(0)) {
    const auto rank = static_cast<int64_t>(x->size());
    // The axis may stand behind the last one.
    const auto split = x->begin() + (axis == rank ? rank : normalizeAxis(c.node, axis, rank));
    y = {productDim(x->begin(), split), productDim(split, x->end())};
  }
  c.setOutput(0, c.input(0).element, y);
}

std::vector<OpExample> examples() {
  return {
      {"default", {}, {exampleTensor({2, 3, 4})}},
      {"axis 0", {{"axis", int64_t{0}}}, {exampleTensor({2, 3})}},
      {"negative axis", {{"axis", int64_t{-1}}}, {exampleTensor({2, 3, 4})}},
      {"last", {{"axis", int64_t{3}}}, {exampleTensor({2, 3, 4})}},
  };
}

}  // namespace

OpDefinition defineFlatten() {
  OpDefinition op;
  op.name = "Flatten";
  op.make_attributes = &makeAttributes<FlattenAttributes>;
  op.infer = infer;
  op.evaluate = copyBytes;
  op.gradient = reshapeGradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kShares;
  op.quantization.moves_codes = true;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
