#include "kernels/adam.h"

#include <cmath>

namespace simaqat::kernels {
namespace {

constexpr int64_t kGrain = 1 << 14;

// What does not change from element to element.
struct Factors {
  explicit Factors(const AdamOptions& o)
      : gradient_scale(o.gradient_scale),
        added_decay(o.decoupled_weight_decay ? 0 : o.weight_decay),
        kept_weight(o.decoupled_weight_decay
                        ? static_cast<float>(1 - double{o.learning_rate} * double{o.weight_decay})
                        : 1.0f),
        beta1(static_cast<float>(o.beta1)),
        beta2(static_cast<float>(o.beta2)),
        rest1(static_cast<float>(1 - o.beta1)),
        rest2(static_cast<float>(1 - o.beta2)),
        epsilon(o.epsilon) {
    const auto step = static_cast<double>(o.step);
    step_size = static_cast<float>(double{o.learning_rate} / (1 - std::pow(o.beta1, step)));
    inverse_root = static_cast<float>(1 / std::sqrt(1 - std::pow(o.beta2, step)));
  }

  float gradient_scale, added_decay, kept_weight, beta1, beta2, rest1, rest2, epsilon;
  float step_size, inverse_root;
};

void update(float* w, const float* g, float* m, float* v, int64_t n, const Factors& f) {
  for (int64_t i = 0; i < n; ++i) {
    const float d = f.gradient_scale * g[i] + f.added_decay * w[i];
    const float first = f.beta1 * m[i] + f.rest1 * d;
    const float second = f.beta2 * v[i] + f.rest2 * d * d;
    m[i] = first;
    v[i] = second;
    w[i] = f.kept_weight * w[i] -
           f.step_size * first / (std::sqrt(second) * f.inverse_root + f.epsilon);
  }
}

}  // namespace

void adam(float* w, const float* g, float* m, float* v, int64_t n, const AdamOptions& options,
          ThreadPool& pool) {
  const Factors factors(options);
  pool.runRanges(n, kGrain, [&](int64_t begin, int64_t end) {
    update(w + begin, g + begin, m + begin, v + begin, end - begin, factors);
  });
}

}  // namespace simaqat::kernels
