// Optimizers, softmax and sums.
#include <cmath>
#include <limits>

#include "kernels/adam.h"
#include "kernels/reduce.h"
#include "kernels/sgd.h"
#include "kernels/softmax_cross_entropy.h"
#include "tests/catch.h"
#include "tests/kernels/helpers.h"

namespace simaqat::kernels {

TEST_CASE("SGD takes PyTorch's steps") {
  // torch.optim.SGD([w], lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=...), g = w each step.
  for (bool nesterov : {false, true}) {
    for (int64_t n : {1, 9, 70000}) {
      ThreadPool pool(2);
      std::vector<float> w = randomFloats(n, 1), buffer(w.size());
      std::vector<double> ew(w.begin(), w.end()), eb(w.size());
      for (int step = 0; step < 3; ++step) {
        const std::vector<float> g = w;
        sgdMomentum(w.data(), g.data(), buffer.data(), n, {0.1f, 0.9f, 0.01f, nesterov, 0.5f},
                    pool);
        for (size_t i = 0; i < ew.size(); ++i) {
          const double d = 0.5 * g[i] + 0.01 * ew[i];
          eb[i] = step == 0 ? d : 0.9 * eb[i] + d;
          ew[i] -= 0.1 * (nesterov ? d + 0.9 * eb[i] : eb[i]);
        }
      }
      CHECK(relativeError(w, ew) < 1e-6);
      CHECK(relativeError(buffer, eb) < 1e-6);
    }
  }
}

TEST_CASE("Adam and AdamW take their papers' steps") {
  for (const bool decoupled : {false, true}) {
    for (const int64_t n : {1, 9, 70000}) {
      ThreadPool one(1), two(2);
      AdamOptions o{0.01f, 0.9, 0.99, 1e-6f, 0.1f, decoupled, 0.5f, 0};
      std::vector<float> w = randomFloats(n, 1), m(w.size()), v(w.size());
      std::vector<float> again = w, am = m, av = v;
      std::vector<double> ew(w.begin(), w.end()), em(w.size()), ev(w.size());
      for (o.step = 1; o.step <= 4; ++o.step) {
        const std::vector<float> g = randomFloats(n, 10 + static_cast<uint64_t>(o.step));
        adam(w.data(), g.data(), m.data(), v.data(), n, o, two);
        adam(again.data(), g.data(), am.data(), av.data(), n, o, one);
        const auto step = static_cast<double>(o.step);
        for (size_t i = 0; i < ew.size(); ++i) {
          const double d = 0.5 * g[i] + (decoupled ? 0 : 0.1 * ew[i]);
          if (decoupled) ew[i] -= 0.01 * 0.1 * ew[i];
          em[i] = 0.9 * em[i] + 0.1 * d;
          ev[i] = 0.99 * ev[i] + 0.01 * d * d;
          const double root = std::sqrt(ev[i] / (1 - std::pow(0.99, step)));
          ew[i] -= 0.01 * em[i] / (1 - std::pow(0.9, step)) / (root + 1e-6);
        }
      }
      CHECK(relativeError(w, ew) < 1e-6);
      CHECK(relativeError(m, em) < 1e-6);
      CHECK(relativeError(v, ev) < 1e-6);
      CHECK(sameBits(w, again));
    }
  }
}

TEST_CASE("sums of squares do not depend on threads") {
  for (int64_t n : {0, 1, 7, 33, 100000, 3000001}) {
    const std::vector<float> g = randomFloats(n, 1);
    double expected = 0;
    for (float v : g) expected += static_cast<double>(v) * v;
    ThreadPool one(1), three(3);
    const double sum = sumOfSquares(g.data(), n, one);
    CHECK(sum == Catch::Approx(expected).epsilon(1e-12));
    CHECK(sumOfSquares(g.data(), n, three) == sum);
  }
}

TEST_CASE("sums over channels") {
  for (int64_t inner : {1, 5, 64, 1000}) {
    for (int64_t channels : {1, 3, 100}) {
      const int64_t outer = 21;
      const std::vector<float> x = randomFloats(outer * channels * inner, 1);
      std::vector<double> expected(static_cast<size_t>(channels));
      for (size_t i = 0; i < x.size(); ++i) {
        expected[i / static_cast<size_t>(inner) % expected.size()] += x[i];
      }
      ThreadPool one(1), three(3);
      std::vector<float> sum(expected.size()), again(expected.size());
      channelSum(x.data(), outer, channels, inner, sum.data(), one);
      channelSum(x.data(), outer, channels, inner, again.data(), three);
      CHECK(relativeError(sum, expected) < 1e-6);
      CHECK(sameBits(sum, again));
    }
  }
}

TEST_CASE("logarithm of softmax and its gradient") {
  for (int64_t inner : {1, 3, 8, 300}) {
    for (int64_t classes : {1, 10, 33}) {
      for (float shift : {0.0f, 1000.0f, -1000.0f}) {
        const int64_t outer = 5, n = outer * classes * inner;
        std::vector<float> x = randomFloats(n, 1, 5);
        for (float& v : x) v += shift;
        const std::vector<float> dy = randomFloats(n, 2);
        std::vector<double> ey(x.size()), edx(x.size());
        for (int64_t o = 0; o < outer; ++o) {
          for (int64_t p = 0; p < inner; ++p) {
            const auto at = [&](int64_t c) {
              return static_cast<size_t>((o * classes + c) * inner + p);
            };
            double sum = 0, total = 0;
            for (int64_t c = 0; c < classes; ++c) {
              sum += std::exp(static_cast<double>(x[at(c)]) - shift);
              total += dy[at(c)];
            }
            for (int64_t c = 0; c < classes; ++c) {
              ey[at(c)] = x[at(c)] - shift - std::log(sum);
              edx[at(c)] = dy[at(c)] - std::exp(ey[at(c)]) * total;
            }
          }
        }
        ThreadPool one(1), three(3);
        std::vector<float> y(x.size()), dx(x.size()), again(x.size());
        logSoftmax(x.data(), outer, classes, inner, y.data(), one);
        logSoftmaxGrad(dy.data(), y.data(), outer, classes, inner, dx.data(), one);
        CAPTURE(inner, classes, shift);
        CHECK(relativeError(y, ey) < 5e-7);
        CHECK(relativeError(dx, edx) < 1e-6);
        logSoftmax(x.data(), outer, classes, inner, again.data(), three);
        CHECK(sameBits(y, again));
      }
    }
  }
}

TEST_CASE("a NaN spoils its own softmax only") {
  ThreadPool pool(1);
  const std::vector<float> x{1, std::nanf(""), 2, 1, 2, 3};
  std::vector<float> y(6);
  logSoftmax(x.data(), 2, 3, 1, y.data(), pool);
  CHECK(std::isnan(y[0]));
  CHECK(std::isnan(y[2]));
  CHECK(std::isfinite(y[3]));
}

}  // namespace simaqat::kernels
