// Activation functions with their derivatives.
#pragma once

#include <algorithm>
#include <string>

#include "qat/ops/shared/unary.h"

namespace simaqat::ops {

struct LeakyReluAttributes {
  float alpha = 0.01f;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("alpha", self.alpha);
  }
};

struct LeakyReluFunction {
  explicit LeakyReluFunction(const Node& node)
      : alpha(node.attributes<LeakyReluAttributes>().alpha) {}
  template <class T>
  T operator()(T x) const {
    return x < T{0} ? static_cast<T>(alpha) * x : x;
  }
  template <class T>
  T gradient(T dy, T x) const {
    return x < T{0} ? static_cast<T>(alpha) * dy : dy;
  }
  float alpha;
};

// slope x above 0, and below it height (exp(x / width) - 1): Elu, Celu and Selu.
struct ExponentialFunction {
  template <class T>
  T operator()(T x) const {
    return x > T{0} ? static_cast<T>(slope) * x
                    : static_cast<T>(height) * std::expm1(x / static_cast<T>(width));
  }
  template <class T>
  T gradient(T dy, T x) const {
    if (x > T{0}) return static_cast<T>(slope) * dy;
    return static_cast<T>(height / width) * std::exp(x / static_cast<T>(width)) * dy;
  }
  double slope, height, width;
};

struct EluAttributes {
  float alpha = 1;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("alpha", self.alpha);
  }
};

struct EluFunction : ExponentialFunction {
  explicit EluFunction(const Node& node)
      : ExponentialFunction{1, node.attributes<EluAttributes>().alpha, 1} {}
};

struct CeluAttributes {
  float alpha = 1;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("alpha", self.alpha);
  }
};

struct CeluFunction : ExponentialFunction {
  explicit CeluFunction(const Node& node)
      : ExponentialFunction{1, node.attributes<CeluAttributes>().alpha,
                            node.attributes<CeluAttributes>().alpha} {}
};

struct SeluAttributes {
  float alpha = 1.67326319217681884765625f;
  float gamma = 1.05070102214813232421875f;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("alpha", self.alpha);
    visit("gamma", self.gamma);
  }
};

struct SeluFunction : ExponentialFunction {
  explicit SeluFunction(const Node& node) : SeluFunction(node.attributes<SeluAttributes>()) {}
  explicit SeluFunction(const SeluAttributes& a)
      : ExponentialFunction{a.gamma, static_cast<double>(a.gamma) * a.alpha, 1} {}
};

struct HardSigmoidAttributes {
  float alpha = 0.2f;
  float beta = 0.5f;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("alpha", self.alpha);
    visit("beta", self.beta);
  }
};

struct HardSigmoidFunction {
  explicit HardSigmoidFunction(const Node& node)
      : alpha(node.attributes<HardSigmoidAttributes>().alpha),
        beta(node.attributes<HardSigmoidAttributes>().beta) {}
  template <class T>
  T line(T x) const {
    return static_cast<T>(alpha) * x + static_cast<T>(beta);
  }
  template <class T>
  T operator()(T x) const {
    return std::clamp(line(x), T{0}, T{1});
  }
  template <class T>
  T gradient(T dy, T x) const {
    return line(x) > T{0} && line(x) < T{1} ? static_cast<T>(alpha) * dy : T{0};
  }
  float alpha, beta;
};

struct HardSwishFunction {
  template <class T>
  T operator()(T x) const {
    return x * std::clamp(x / T{6} + T{0.5}, T{0}, T{1});
  }
  template <class T>
  T gradient(T dy, T x) const {
    const T slope = x / T{3} + T{0.5};
    return x <= T{-3} ? T{0} : x >= T{3} ? dy : slope * dy;
  }
};

struct GeluAttributes {
  std::string approximate = "none";

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("approximate", self.approximate);
  }
};

// x times the normal distribution function, or that function's approximation by tanh.
struct GeluFunction {
  explicit GeluFunction(const Node& node)
      : by_tanh(node.attributes<GeluAttributes>().approximate == "tanh") {}
  template <class T>
  T operator()(T x) const {
    return x * distribution(x);
  }
  template <class T>
  T gradient(T dy, T x) const {
    return dy * (distribution(x) + x * density(x));
  }
  template <class T>
  static T bend(T x) {
    return T{kSlope} * (x + T{kCubic} * x * x * x);
  }
  template <class T>
  T distribution(T x) const {
    return T{0.5} * (T{1} + (by_tanh ? std::tanh(bend(x)) : std::erf(x * T{kInverseRoot2})));
  }
  // The derivative of `distribution`.
  template <class T>
  T density(T x) const {
    if (!by_tanh) return T{kInverseRoot2Pi} * std::exp(T{-0.5} * x * x);
    const T t = std::tanh(bend(x));
    return T{0.5} * (T{1} - t * t) * T{kSlope} * (T{1} + T{3 * kCubic} * x * x);
  }
  static constexpr double kSlope = 0.7978845608028654;  // sqrt(2 / pi)
  static constexpr double kCubic = 0.044715;
  static constexpr double kInverseRoot2 = 0.7071067811865476;
  static constexpr double kInverseRoot2Pi = 0.3989422804014327;
  bool by_tanh;
};

struct ShrinkAttributes {
  float lambd = 0.5f;
  float bias = 0;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("lambd", self.lambd);
    visit("bias", self.bias);
  }
};

struct ShrinkFunction {
  explicit ShrinkFunction(const Node& node)
      : lambd(node.attributes<ShrinkAttributes>().lambd),
        bias(node.attributes<ShrinkAttributes>().bias) {}
  template <class T>
  T operator()(T x) const {
    if (x < -static_cast<T>(lambd)) return x + static_cast<T>(bias);
    return x > static_cast<T>(lambd) ? x - static_cast<T>(bias) : T{0};
  }
  template <class T>
  T gradient(T dy, T x) const {
    return std::abs(x) > static_cast<T>(lambd) ? dy : T{0};
  }
  float lambd, bias;
};

struct ThresholdedReluAttributes {
  float alpha = 1;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("alpha", self.alpha);
  }
};

struct ThresholdedReluFunction {
  explicit ThresholdedReluFunction(const Node& node)
      : alpha(node.attributes<ThresholdedReluAttributes>().alpha) {}
  template <class T>
  T operator()(T x) const {
    return x > static_cast<T>(alpha) ? x : T{0};
  }
  template <class T>
  T gradient(T dy, T x) const {
    return x > static_cast<T>(alpha) ? dy : T{0};
  }
  float alpha;
};

struct SwishAttributes {
  float alpha = 1;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("alpha", self.alpha);
  }
};

// x sigmoid(alpha x) (Ramachandran, Zoph, Le 2017).
struct SwishFunction {
  explicit SwishFunction(const Node& node) : alpha(node.attributes<SwishAttributes>().alpha) {}
  template <class T>
  T operator()(T x) const {
    return x * gate(x);
  }
  template <class T>
  T gradient(T dy, T x) const {
    const T g = gate(x);
    return dy * (g + static_cast<T>(alpha) * x * g * (T{1} - g));
  }
  template <class T>
  T gate(T x) const {
    return T{1} / (T{1} + std::exp(-static_cast<T>(alpha) * x));
  }
  float alpha;
};

// x tanh(softplus(x)) (Misra 2019).
struct MishFunction {
  template <class T>
  T operator()(T x) const {
    return x * gate(x);
  }
  template <class T>
  T gradient(T dy, T x) const {
    const T g = gate(x);
    const T sigmoid = T{1} / (T{1} + std::exp(-x));
    return dy * (g + x * sigmoid * (T{1} - g * g));
  }
  template <class T>
  static T gate(T x) {
    // Written so that the exponential does not overflow.
    return std::tanh(std::max(x, T{0}) + std::log1p(std::exp(-std::abs(x))));
  }
};

}  // namespace simaqat::ops
