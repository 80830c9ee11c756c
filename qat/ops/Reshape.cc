#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"
#include "qat/ops/shared/integers.h"
#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {
namespace {

struct ReshapeAttributes {
  bool allowzero = false;
  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("allowzero", self.allowzero);
  }
};

// The product of the numbers among the dimensions, and what has none.
struct Product {
  int64_t number = 1;
  Shape unknown;

  void multiply(const Node& node, const Dim& dim) {
    if (!dim.known()) {
      unknown.push_back(dim);
    } else if (__builtin_mul_overflow(number, dim.value, &number)) {
      node.fail("dimension {} makes too many elements", dim.value);
    }
  }
};

// The dimension that stands for -1: `from`, without what is copied, over the product of the others.
Dim remainingDim(const Node& node, const Product& from, const Product& to) {
  if (!to.unknown.empty() || from.unknown.size() > 1) return Dim();
  if (from.unknown.size() == 1) return from.number == to.number ? from.unknown[0] : Dim();
  if (to.number == 0 || from.number % to.number != 0) {
    node.fail("{} elements do not divide into pieces of {}", from.number, to.number);
  }
  return from.number / to.number;
}

Shape reshapedShape(const Node& node, const Shape* x, const std::vector<int64_t>& target,
                    bool allowzero) {
  Shape y;
  std::optional<size_t> open;
  // An input's dimension that is copied is on both sides, even where nobody knows it yet.
  std::vector<bool> copied(x == nullptr ? 0 : x->size(), false);
  Product to;
  for (size_t i = 0; i < target.size(); ++i) {
    if (target[i] < -1) node.fail("input 1: dimension {} is not valid", target[i]);
    if (target[i] == -1) {
      if (open) node.fail("input 1: more than one dimension is -1");
      open = i;
      y.push_back(Dim());
    } else if (target[i] == 0 && !allowzero) {
      if (x != nullptr && i >= x->size()) {
        node.fail("input 1: dimension {} is copied, but input 0 is {}", i, shapeToString(*x));
      }
      y.push_back(x == nullptr ? Dim() : (*x)[i]);
      if (x != nullptr) copied[i] = true;
    } else {
      y.push_back(target[i]);
      to.multiply(node, target[i]);
    }
  }
  if (x == nullptr) return y;
  Product from;
  for (size_t i = 0; i < x->size(); ++i) {
    if (!copied[i]) from.multiply(node, (*x)[i]);
  }
  if (open) {
    y[*open] = remainingDim(node, from, to);
  } else if (from.unknown.empty() && from.number != to.number) {
    node.fail("expected the elements of {}, got dimensions {}", shapeToString(*x),
              dimsToString(target));
  }
  return y;
}

void infer(InferContext& c) {
  std::optional<Shape> y;
  if (const auto target = constantIntegers(c, 1)) {
    y = reshapedShape(c.node, c.shape(0), *target,
                      c.node.attributes<ReshapeAttributes>().allowzero);
  } else if (const auto rank = listLength(c, 1)) {
    y = unknownShape(static_cast<size_t>(*rank));
  }
  c.setOutput(0, c.input(0).element, std::move(y));
}

std::vector<OpExample> examples() {
  const auto dims = [](std::vector<int64_t> d) {
    return Tensor::of({static_cast<int64_t>(d.size())}, d);
  };
  return {
      {"numbers", {}, {exampleTensor({2, 6}), dims({3, 2, 2})}},
      {"copy and remainder", {}, {exampleTensor({2, 3, 4}), dims({0, -1})}},
      {"to a scalar", {}, {exampleTensor({1, 1}), dims({})}},
      {"allowzero", {{"allowzero", int64_t{1}}}, {exampleTensor({2, 3}), dims({3, 2})}},
  };
}

}  // namespace

OpDefinition defineReshape() {
  OpDefinition op;
  op.name = "Reshape";
  op.first_opset = 5;
  op.min_inputs = op.max_inputs = 2;
  op.make_attributes = &makeAttributes<ReshapeAttributes>;
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
