#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gather_nd.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element,
              gatherNdShape(c, c.node.attributes<GatherNdAttributes>().batch_dims));
}

void evaluate(const EvalContext& c) {
  const GatherNdWalk walk(c.node, c.node.attributes<GatherNdAttributes>().batch_dims, c.in(0).dims,
                          c.in(1));
  visitElementType(c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* data = c.in(0).data<T>();
    T* y = c.out().data<T>();
    c.pool.runRanges(walk.rows(), kElementwiseGrain / (walk.slice() + 1) + 1,
                     [&](int64_t begin, int64_t end) {
                       for (int64_t row = begin; row < end; ++row) {
                         const T* from = data + walk.source(row);
                         std::copy(from, from + walk.slice(), y + row * walk.slice());
                       }
                     });
  });
}

void gradient(GradientContext& c) {
  if (!c.wants(0)) return;
  GatherNdGradientAttributes attributes;
  attributes.batch_dims = c.node.attributes<GatherNdAttributes>().batch_dims;
  attributes.shape = c.input(0)->type.dims();
  c.setInputGradient(
      0, c.add("simaqat::GatherNDGradient", {c.outputGradient(), c.input(1)}, attributes));
}

void downgrade(PortableNode& node, int opset) {
  if (opset < 12 && node.attributes.count("batch_dims") != 0) {
    node.fail("attribute 'batch_dims' needs opset 12");
  }
}

std::vector<OpExample> examples() {
  const auto batch = [](int64_t count) { return AttributeMap{{"batch_dims", count}}; };
  return {
      {"elements", {}, {exampleTensor({3, 4}), exampleIntegers({5, 2}, -3, 3)}},
      {"rows, repeated", {}, {exampleTensor({3, 4}), Tensor::of<int64_t>({3, 1}, {0, -1, 0})}},
      {"one slice", {}, {exampleTensor({3, 2, 4}), Tensor::of<int64_t>({2}, {2, -1})}},
      {"a batch axis", batch(1), {exampleTensor({2, 3, 4}), exampleIntegers({2, 5, 1}, -3, 3)}},
      {"two batch axes", batch(2), {exampleTensor({2, 3, 4}), exampleIntegers({2, 3, 1}, 0, 4)}},
      {"integers", {}, {exampleIntegers({5}, -9, 9), Tensor::of<int64_t>({2, 1}, {4, 1})}},
  };
}

}  // namespace

OpDefinition defineGatherND() {
  OpDefinition op;
  op.name = "GatherND";
  op.first_opset = 11;
  op.min_inputs = op.max_inputs = 2;
  op.make_attributes = &makeAttributes<GatherNdAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kShares;
  op.downgrade = downgrade;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
