#include "qat/ops/shared/random_numbers.h"

namespace simaqat::ops {
namespace {

void evaluate(const EvalContext& c) {
  visitFloat(c, c.in(0).type, [&](auto from) {
    visitElementType(c.out().type, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      const From* probability = c.in(0).data<From>();
      To* y = c.out().data<To>();
      forEachDraw(c, [&](const RandomStream& random, int64_t i) {
        const auto draw = static_cast<From>(random.uniform(static_cast<uint64_t>(i)));
        y[i] = draw < probability[i] ? To{1} : To{0};
      });
    });
  });
}

std::vector<OpExample> examples() {
  const AttributeMap truth = {{"dtype", static_cast<int64_t>(ElementType::kBool)}};
  return {
      {"numbers", {}, {exampleTensor({3, 4}, 1, 0, 1)}},
      {"truth", truth, {exampleTensor({3, 4}, 1, 0, 1)}},
  };
}

}  // namespace

OpDefinition defineBernoulli() {
  OpDefinition op;
  op.name = "Bernoulli";
  op.first_opset = 15;
  op.make_attributes = &makeAttributes<RandomAttributes>;
  op.infer = inferRandomLike<RandomAttributes>;
  op.evaluate = evaluate;
  op.random = true;
  op.upgrade = upgradeRandom;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
