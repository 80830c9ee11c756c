#include <cmath>

#include "qat/ops/shared/channel_window.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

struct LrnAttributes {
  int64_t size = 0;
  float alpha = 1e-4f;
  float beta = 0.75f;
  float bias = 1;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit.required("size", self.size);
    visit("alpha", self.alpha);
    visit("beta", self.beta);
    visit("bias", self.bias);
  }
  // An even one reaches further up than down.
  ChannelWindow window() const { return {(size - 1) / 2, size / 2}; }
  // What the mean of squares is multiplied with, per square.
  double share() const { return static_cast<double>(alpha) / static_cast<double>(size); }
};

void infer(InferContext& c) {
  const int64_t size = c.node.attributes<LrnAttributes>().size;
  if (size < 1) c.node.fail("attribute 'size': expected at least 1, got {}", size);
  if (const Shape* x = c.shape(0); x != nullptr && x->size() < 2) {
    c.node.fail("input 0: expected rank 2 or more, got {}", typeToString(c.input(0)));
  }
  inferSameAsInput(c);
}

// y = x / (bias + alpha / size * sum of x^2 over the window)^beta
void evaluate(const EvalContext& c) {
  const auto& a = c.node.attributes<LrnAttributes>();
  const ChannelWindow window = a.window();
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    forEachLine(c, {c.node, 1, c.in(0).dims}, [&](int64_t first, int64_t size, int64_t stride) {
      const T* x = c.in(0).data<T>() + first;
      T* y = c.out().data<T>() + first;
      for (int64_t k = 0; k < size; ++k) {
        const double squares = window.sum(x, k, size, stride, [](double v) { return v * v; });
        y[k * stride] = static_cast<T>(static_cast<double>(x[k * stride]) *
                                       std::pow(a.bias + a.share() * squares, -a.beta));
      }
    });
  });
}

// With s = bias + alpha / size * sum of x^2:
//   dx = dy s^-beta - 2 alpha beta / size x sum of dy x s^(-beta - 1),
// where the last sum is over the channels in whose window x lies: the window turned round.
void gradient(GradientContext& c) {
  const auto& a = c.node.attributes<LrnAttributes>();
  Value* dy = c.outputGradient();
  Value* x = c.input(0);
  const ChannelWindow window = a.window();
  const ChannelWindow back = {window.after, window.before};
  Value* squares = c.add("simaqat::ChannelWindowSum", {c.add("Mul", {x, x})}, window);
  Value* s = c.add("Add", {c.add("Mul", {squares, c.scalar(a.share(), x)}), c.scalar(a.bias, x)});
  Value* direct = c.add("Mul", {dy, c.add("Pow", {s, c.scalar(-a.beta, x)})});
  Value* terms = c.add("Div", {c.add("Mul", {direct, x}), s});
  Value* sum = c.add("simaqat::ChannelWindowSum", {terms}, back);
  Value* factor = c.scalar(2 * a.share() * static_cast<double>(a.beta), x);
  Value* through = c.add("Mul", {c.add("Mul", {x, sum}), factor});
  c.setInputGradient(0, c.add("Sub", {direct, through}));
}

std::vector<OpExample> examples() {
  const AttributeMap strong = {
      {"size", int64_t{4}}, {"alpha", 2.0f}, {"beta", 0.5f}, {"bias", 1.5f}};
  return {
      {"odd", {{"size", int64_t{3}}}, {exampleTensor({2, 5, 2, 3})}},
      {"even", strong, {exampleTensor({2, 5, 3}, 1, -2, 2)}},
      {"wider than the channels", {{"size", int64_t{9}}}, {exampleTensor({1, 3, 2, 2})}},
  };
}

}  // namespace

OpDefinition defineLRN() {
  OpDefinition op;
  op.name = "LRN";
  op.make_attributes = &makeAttributes<LrnAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
