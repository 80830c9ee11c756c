#include <algorithm>

#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/integers.h"
#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {
namespace {

struct TriluAttributes {
  bool upper = true;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("upper", self.upper);
  }
};

void infer(InferContext& c) {
  if (const Shape* x = c.shape(0); x != nullptr && x->size() < 2) {
    c.node.fail("input 0: expected rank 2 or more, got {}", typeToString(c.input(0)));
  }
  c.expectElement(1, ElementType::kInt64);
  c.setOutput(0, c.input(0).element, c.input(0).shape);
}

void evaluate(const EvalContext& c) {
  const bool upper = c.node.attributes<TriluAttributes>().upper;
  const int64_t rows = c.in(0).dim(-2);
  const int64_t columns = c.in(0).dim(-1);
  // The diagonal, which belongs to either half; beyond the matrix it may be as far as it likes.
  const int64_t k =
      c.hasIn(1) ? std::clamp<int64_t>(integerAt(c.in(1), 0), -rows, columns) : int64_t{0};
  if (c.out().size == 0) return;
  visitElementType(c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.in(0).data<T>();
    T* y = c.out().data<T>();
    c.pool.runRanges(c.out().size / columns, kElementwiseGrain / columns + 1,
                     [=](int64_t begin, int64_t end) {
                       for (int64_t row = begin; row < end; ++row) {
                         const T* from = x + row * columns;
                         T* to = y + row * columns;
                         const int64_t diagonal = row % rows + k;
                         for (int64_t j = 0; j < columns; ++j) {
                           to[j] = (upper ? j >= diagonal : j <= diagonal) ? from[j] : T{};
                         }
                       }
                     });
  });
}

void gradient(GradientContext& c) {
  c.setInputGradient(
      0, c.add("Trilu", {c.outputGradient(), c.input(1)}, c.node.rawAttributes().clone()));
}

std::vector<OpExample> examples() {
  const AttributeMap lower = {{"upper", int64_t{0}}};
  const auto k = [](int64_t diagonal) { return Tensor::scalar(diagonal); };
  return {
      {"upper", {}, {exampleTensor({3, 4})}},
      {"lower", lower, {exampleTensor({2, 4, 3})}},
      {"above the diagonal", {}, {exampleTensor({2, 3, 4}), k(1)}},
      {"below the diagonal", lower, {exampleTensor({3, 4}), k(-1)}},
      {"beyond the matrix", lower, {exampleTensor({3, 4}), k(7)}},
      {"integers", {}, {exampleIntegers({3, 3}, 1, 9), k(-9)}},
  };
}

}  // namespace

OpDefinition defineTrilu() {
  OpDefinition op;
  op.name = "Trilu";
  op.first_opset = 14;
  op.max_inputs = 2;
  op.make_attributes = &makeAttributes<TriluAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kShares;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
