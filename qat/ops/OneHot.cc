#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {
namespace {

enum Input { kIndices, kDepth, kValues };

struct OneHotAttributes {
  int64_t axis = -1;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("axis", self.axis);
  }
};

// The output's axis along which one element is different.
size_t axisOf(const Node& node, size_t output_rank) {
  return static_cast<size_t>(normalizeAxis(node, node.attributes<OneHotAttributes>().axis,
                                           static_cast<int64_t>(output_rank)));
}

void infer(InferContext& c) {
  c.expectRank(kValues, 1);
  const Shape* values = c.shape(kValues);
  if (values != nullptr && (*values)[0].known() && (*values)[0].value != 2) {
    c.node.fail("input 2: expected two values, got {}", typeToString(c.input(kValues)));
  }
  std::optional<Shape> y;
  if (const Shape* indices = c.shape(kIndices)) {
    Dim depth;
    if (const Tensor* number = c.constant(kDepth); number != nullptr && number->size() == 1) {
      depth = number->toVector<int64_t>()[0];
    }
    y = *indices;
    y->insert(y->begin() + static_cast<int64_t>(axisOf(c.node, indices->size() + 1)), depth);
  }
  c.setOutput(0, c.input(kValues).element, std::move(y));
}

void evaluate(const EvalContext& c) {
  const size_t axis = axisOf(c.node, c.out().dims.size());
  const int64_t depth = c.out().dims[axis];
  const int64_t inner = product(c.out().dims, axis + 1, c.out().dims.size());
  fill(c.out(), c.in(kValues).bytes, c.pool);
  visitElementType(c.in(kIndices).type, [&](auto index) {
    visitElementType(c.out().type, [&](auto tag) {
      using T = decltype(tag);
      for (int64_t i = 0; i < c.in(kIndices).size; ++i) {
        auto at = static_cast<int64_t>(c.in(kIndices).data<decltype(index)>()[i]);
        if (at < 0) at += depth;
        // An index out of range marks nothing.
        if (at < 0 || at >= depth) continue;
        c.out().data<T>()[(i / inner * depth + at) * inner + i % inner] =
            c.in(kValues).data<T>()[1];
      }
    });
  });
}

std::vector<OpExample> examples() {
  const Tensor depth = Tensor::scalar<int64_t>(4);
  const Tensor values = Tensor::of<double>({2}, {0, 1});
  return {
      {"last axis", {}, {exampleIntegers({2, 3}, -4, 4), depth, values}},
      {"middle axis", {{"axis", int64_t{1}}}, {exampleIntegers({2, 3}, 0, 6), depth, values}},
      {"integers", {}, {exampleIntegers({3}, 0, 4), depth, Tensor::of<int64_t>({2}, {5, 7})}},
  };
}

}  // namespace

OpDefinition defineOneHot() {
  OpDefinition op;
  op.name = "OneHot";
  op.first_opset = 9;
  op.min_inputs = op.max_inputs = 3;
  op.make_attributes = &makeAttributes<OneHotAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
