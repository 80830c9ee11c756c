#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

struct RandomUniformLikeAttributes {
  std::optional<int64_t> dtype;
  float high = 1;
  float low = 0;
  // Kept for the file; the numbers are keyed by the run's seed, the node and the step.
  std::optional<float> seed;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("dtype", self.dtype);
    visit("high", self.high);
    visit("low", self.low);
    visit("seed", self.seed);
  }
};

void infer(InferContext& c) {
  const auto& attributes = c.node.attributes<RandomUniformLikeAttributes>();
  const ElementType element =
      attributes.dtype ? static_cast<ElementType>(*attributes.dtype) : c.input(0).element;
  if (!isFloatingPoint(element) || elementSize(element) == 0) {
    c.node.fail("element type {} is not supported", elementTypeName(element));
  }
  c.setOutput(0, element, c.input(0).shape);
}

void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<RandomUniformLikeAttributes>();
  const float low = attributes.low;
  const float span = attributes.high - attributes.low;
  const RandomStream random = c.random();
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    T* y = c.out().data<T>();
    c.pool.runRanges(c.out().size, kElementwiseGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        y[i] = static_cast<T>(low + span * random.uniform(static_cast<uint64_t>(i)));
      }
    });
  });
}

std::vector<OpExample> examples() {
  return {
      {"default", {}, {exampleTensor({2, 3})}},
      {"range", {{"low", -2.0f}, {"high", 3.0f}}, {exampleTensor({2, 3})}},
  };
}

}  // namespace

OpDefinition defineRandomUniformLike() {
  OpDefinition op;
  op.name = "RandomUniformLike";
  op.make_attributes = &makeAttributes<RandomUniformLikeAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.random = true;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
