#include <algorithm>
#include <limits>

#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/constants.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  for (size_t i = 1; i < 3; ++i) {
    c.expectElement(i, c.input(0).element);
    const Shape* bound = c.shape(i);
    if (bound != nullptr && !bound->empty() && (*bound != Shape{1})) {
      c.node.fail("input {}: expected a scalar, got {}", i, typeToString(c.input(i)));
    }
  }
  inferSameAsInput(c);
}

void evaluate(const EvalContext& c) {
  visitNumber(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    using Limits = std::numeric_limits<T>;
    const T lowest = Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
    const T highest = Limits::has_infinity ? Limits::infinity() : Limits::max();
    const T lo = c.hasIn(1) ? c.in(1).data<T>()[0] : lowest;
    const T hi = c.hasIn(2) ? c.in(2).data<T>()[0] : highest;
    // Written so that a NaN stays one.
    mapUnary<T, T>(c, [=](T x) {
      const T low = x < lo ? lo : x;
      return low > hi ? hi : low;
    });
  });
}

void block(const Node&, const float* const* in, float* out, int64_t n) {
  const float *x = in[0], *lo = in[1], *hi = in[2];
  if (lo != nullptr && hi != nullptr) {
    for (int64_t i = 0; i < n; ++i) {
      const float low = x[i] < lo[i] ? lo[i] : x[i];
      out[i] = low > hi[i] ? hi[i] : low;
    }
  } else if (lo != nullptr) {
    for (int64_t i = 0; i < n; ++i) out[i] = x[i] < lo[i] ? lo[i] : x[i];
  } else if (hi != nullptr) {
    for (int64_t i = 0; i < n; ++i) out[i] = x[i] > hi[i] ? hi[i] : x[i];
  } else if (x != out) {
    std::copy_n(x, n, out);
  }
}

void gradient(GradientContext& c) {
  // From the output, as Relu's is, so that the input need not be kept.
  if (c.wants(0)) {
    c.setInputGradient(0, c.add("simaqat::ClipGradient",
                                {c.outputGradient(), c.output(), c.input(1), c.input(2)}));
  }
}

void upgrade(PortableNode& node, int opset) {
  if (opset >= 11) return;
  for (const auto& [attribute, index] :
       {std::pair("min", size_t{1}), std::pair("max", size_t{2})}) {
    const auto it = node.attributes.find(attribute);
    if (it == node.attributes.end()) continue;
    const float* bound = std::get_if<float>(&it->second);
    if (bound == nullptr) node.fail(fmt::format("attribute '{}' is not a number", attribute));
    if (node.inputs.size() <= index) node.inputs.resize(index + 1);
    node.inputs[index] = node.add_constant(attribute, Tensor::scalar<float>(*bound));
    node.attributes.erase(it);
  }
}

std::vector<OpExample> examples() {
  const auto number = [](double value) { return Tensor::scalar<double>(value); };
  std::vector<OpExample> list = {
      {"both", {}, {exampleTensor({2, 3, 4}), number(-0.3), number(0.41)}},
      {"from zero", {}, {exampleTensor({2, 3, 4}), number(0), number(0.6)}},
      {"min", {}, {exampleTensor({3, 4}), number(-0.21)}},
      {"max", {}, {exampleTensor({3, 4}), Tensor(), number(0.21)}},
      {"no bounds", {}, {exampleTensor({3, 4})}},
  };
  for (OpExample& example : list) example.differentiate = {0};
  return list;
}

}  // namespace

OpDefinition defineClip() {
  OpDefinition op;
  op.name = "Clip";
  op.first_opset = 6;
  op.max_inputs = 3;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.setting_inputs = {1, 2};
  op.pointwise = {block, nullptr, true};
  op.in_place = {{0, 0}};
  op.quantization.output = OutputQuantization::kComputes;
  op.quantization.is_activation = [](const Node& node) { return constantScalar(node, 1) == 0.0; };
  op.quantization.upper_bound = [](const Node& node) {
    return static_cast<float>(
        constantScalar(node, 2).value_or(std::numeric_limits<double>::infinity()));
  };
  op.upgrade = upgrade;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
