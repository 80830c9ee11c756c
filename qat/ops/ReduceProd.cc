#include "qat/ops/shared/reduce_terms.h"

namespace simaqat::ops {
namespace {

template <class T>
void product(const EvalContext& c) {
  using Wide = std::conditional_t<std::is_floating_point_v<T>, double, int64_t>;
  const T* x = c.in(0).data<T>();
  T* y = c.out().data<T>();
  forEachReduced(c, [=](const ReduceWalk& walk, int64_t output) {
    Wide all = 1;
    walk.forEach(output, [&](int64_t i) { all *= static_cast<Wide>(x[i]); });
    y[output] = static_cast<T>(all);
  });
}

void evaluate(const EvalContext& c) {
  visitNumber(c, c.out().type, [&](auto tag) { product<decltype(tag)>(c); });
}

void gradient(GradientContext& c) {
  c.setInputGradient(0, c.add("simaqat::ReduceProdGradient",
                              {c.input(0), c.input(1), c.outputGradient()},
                              c.node.rawAttributes().clone()));
}

}  // namespace

OpDefinition defineReduceProd() { return reduceDefinition("ReduceProd", evaluate, gradient); }

}  // namespace simaqat::ops
