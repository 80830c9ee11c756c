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

struct EluAttributes {
  float alpha = 1;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("alpha", self.alpha);
  }
};

struct EluFunction {
  explicit EluFunction(const Node& node) : alpha(node.attributes<EluAttributes>().alpha) {}
  template <class T>
  T operator()(T x) const {
    return x < T{0} ? static_cast<T>(alpha) * std::expm1(x) : x;
  }
  template <class T>
  T gradient(T dy, T x) const {
    return x < T{0} ? static_cast<T>(alpha) * std::exp(x) * dy : dy;
  }
  float alpha;
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

}  // namespace simaqat::ops
