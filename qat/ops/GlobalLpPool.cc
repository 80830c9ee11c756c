#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/lp_pool.h"

namespace simaqat::ops {
namespace {

struct GlobalLpPoolAttributes {
  int64_t p = 2;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("p", self.p);
  }
};

// An LpPool with one window.
LpPoolAttributes oneWindow(const Node& node, Span<const int64_t> x) {
  LpPoolAttributes attributes;
  static_cast<PoolAttributes&>(attributes) = globalWindow(x);
  attributes.p = node.attributes<GlobalLpPoolAttributes>().p;
  return attributes;
}

void evaluate(const EvalContext& c) { evaluateLpPool(c, oneWindow(c.node, c.in(0).dims)); }

void gradient(GradientContext& c) {
  const std::vector<int64_t> dims = c.input(0)->type.dims();
  c.setInputGradient(0,
                     c.add("simaqat::LpPoolGradient", {c.outputGradient(), c.input(0), c.output()},
                           oneWindow(c.node, dims)));
}

std::vector<OpExample> examples() {
  return {{"images", {}, {exampleTensor({2, 3, 3, 2})}},
          {"sums", {{"p", int64_t{1}}}, {exampleTensor({2, 2, 5})}}};
}

}  // namespace

OpDefinition defineGlobalLpPool() {
  OpDefinition op;
  op.name = "GlobalLpPool";
  op.make_attributes = &makeAttributes<GlobalLpPoolAttributes>;
  op.infer = inferGlobalPool;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
