#include "qat/ops/shared/col2im.h"

#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

enum Input { kColumns, kImageShape, kBlockShape };

void infer(InferContext& c) {
  c.expectRank(kColumns, 3);
  const Shape* x = c.shape(kColumns);
  const Tensor* image = c.constant(kImageShape);
  const Tensor* block = c.constant(kBlockShape);
  std::optional<Shape> y;
  if (x != nullptr && image != nullptr && block != nullptr) {
    const std::vector<int64_t> sizes = image->toVector<int64_t>();
    const ColumnPlaces places(c.node, sizes, block->toVector<int64_t>());
    const Dim& rows = (*x)[1];
    if (rows.known() && rows.value % places.blockSize() != 0) {
      c.node.fail("input 0: expected a multiple of {} rows, got {}", places.blockSize(),
                  rows.value);
    }
    if ((*x)[2].known() && (*x)[2].value != places.blocks()) {
      c.node.fail("input 0: expected {} columns, got {}", places.blocks(), (*x)[2].value);
    }
    y = Shape{(*x)[0], rows.known() ? Dim(rows.value / places.blockSize()) : Dim()};
    y->insert(y->end(), sizes.begin(), sizes.end());
  }
  c.setOutput(0, c.input(kColumns).element, std::move(y));
}

void evaluate(const EvalContext& c) {
  const Span<const int64_t> dims = c.out().dims;
  const auto& sizes = c.in(kBlockShape);
  const ColumnPlaces places(c.node, {dims.begin() + 2, dims.end()},
                            {sizes.data<int64_t>(), sizes.data<int64_t>() + sizes.size});
  visitNumber(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    c.pool.run(dims[0] * dims[1], [&](int64_t plane, int) {
      const T* x = c.in(kColumns).data<T>() + plane * places.blockSize() * places.blocks();
      T* y = c.out().data<T>() + plane * places.imageSize();
      std::fill(y, y + places.imageSize(), T{0});
      places.forEach([&](int64_t element, int64_t block, int64_t offset) {
        if (offset >= 0)
          y[offset] = static_cast<T>(y[offset] + x[element * places.blocks() + block]);
      });
    });
  });
}

void gradient(GradientContext& c) {
  c.setInputGradient(kColumns, c.add("simaqat::Col2ImGradient",
                                     {c.outputGradient(), c.input(kColumns), c.input(kImageShape),
                                      c.input(kBlockShape)},
                                     c.node.rawAttributes().clone()));
}

std::vector<OpExample> examples() {
  using Ints = std::vector<int64_t>;
  const auto sizes = [](const Ints& list) {
    return Tensor::of<int64_t>({static_cast<int64_t>(list.size())}, list);
  };
  return {
      {"overlapping", {}, {exampleTensor({2, 12, 6}), sizes({3, 4}), sizes({2, 2})}},
      {"padded",
       {{"pads", Ints{1, 0, 1, 2}}, {"strides", Ints{2, 3}}},
       {exampleTensor({1, 18, 4}), sizes({4, 5}), sizes({3, 3})}},
      {"dilations",
       {{"dilations", Ints{2, 1}}},
       {exampleTensor({1, 4, 6}), sizes({4, 4}), sizes({2, 2})}},
      {"one axis", {{"strides", Ints{2}}}, {exampleTensor({2, 4, 3}), sizes({6}), sizes({2})}},
      {"three axes", {}, {exampleTensor({1, 8, 4}), sizes({3, 3, 2}), sizes({2, 2, 2})}},
      {"integers", {}, {exampleIntegers({1, 4, 2}, -9, 9), sizes({2, 3}), sizes({2, 2})}},
  };
}

}  // namespace

OpDefinition defineCol2Im() {
  OpDefinition op;
  op.name = "Col2Im";
  op.first_opset = 18;
  op.min_inputs = op.max_inputs = 3;
  op.make_attributes = &makeAttributes<Col2ImAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
