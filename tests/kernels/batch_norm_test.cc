#include "kernels/batch_norm.h"

#include "tests/catch.h"
#include "tests/kernels/helpers.h"

namespace simaqat::kernels {
namespace {

struct Results {
  std::vector<float> y, mean, inv_std, var, inference, dx, dgamma, dbeta, frozen_dx, frozen_dgamma,
      frozen_dbeta;
};

Results runAll(const BatchNormShape& s, const std::vector<float>& x, const std::vector<float>& dy,
               const std::vector<float>& gamma, const std::vector<float>& beta, float eps,
               int threads) {
  ThreadPool pool(threads);
  const std::vector<float> channel(gamma.size()), full(x.size());
  Results r{full, channel, channel, channel, full, full, channel, channel, full, channel, channel};
  batchNormTrain(s, x.data(), gamma.data(), beta.data(), eps, r.y.data(), r.mean.data(),
                 r.inv_std.data(), r.var.data(), pool);
  batchNormInference(s, x.data(), gamma.data(), beta.data(), r.mean.data(), r.var.data(), eps,
                     r.inference.data(), pool);
  batchNormGrad(s, dy.data(), x.data(), gamma.data(), r.mean.data(), r.inv_std.data(), r.dx.data(),
                r.dgamma.data(), r.dbeta.data(), pool);
  batchNormFrozenGrad(s, dy.data(), x.data(), gamma.data(), r.mean.data(), r.var.data(), eps,
                      r.frozen_dx.data(), r.frozen_dgamma.data(), r.frozen_dbeta.data(), pool);
  return r;
}

void check(const BatchNormShape& s, float shift, double tolerance) {
  CAPTURE(s.batch, s.channels, s.inner, shift);
  const int64_t n = s.batch * s.channels * s.inner;
  std::vector<float> x = randomFloats(n, 1);
  for (float& v : x) v += shift;
  const std::vector<float> dy = randomFloats(n, 2), gamma = randomFloats(s.channels, 3),
                           beta = randomFloats(s.channels, 4);
  const float eps = 1e-3f;
  const Results r = runAll(s, x, dy, gamma, beta, eps, 1);

  const auto channels = static_cast<size_t>(s.channels), inner = static_cast<size_t>(s.inner);
  const double count = static_cast<double>(s.batch * s.inner);
  std::vector<double> y(x.size()), dx(x.size()), frozen(x.size()), mean(channels), var(channels),
      dgamma(channels), dbeta(channels);
  const auto channelOf = [&](size_t i) { return i / inner % channels; };
  for (size_t i = 0; i < x.size(); ++i) mean[channelOf(i)] += x[i] / count;
  for (size_t i = 0; i < x.size(); ++i) {
    const double d = x[i] - mean[channelOf(i)];
    var[channelOf(i)] += d * d / count;
  }
  const auto hat = [&](size_t i) {
    const size_t c = channelOf(i);
    return (x[i] - mean[c]) / std::sqrt(var[c] + eps);
  };
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t c = channelOf(i);
    y[i] = hat(i) * gamma[c] + beta[c];
    dbeta[c] += dy[i];
    dgamma[c] += dy[i] * hat(i);
  }
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t c = channelOf(i);
    const double factor = gamma[c] / std::sqrt(var[c] + eps);
    dx[i] = factor * (dy[i] - dbeta[c] / count - hat(i) * dgamma[c] / count);
    frozen[i] = factor * dy[i];
  }
  CHECK(relativeError(r.mean, mean) < 1e-6);
  CHECK(relativeError(r.var, var) < 1e-6);
  CHECK(relativeError(r.y, y) < tolerance);
  CHECK(relativeError(r.inference, y) < tolerance);
  CHECK(relativeError(r.dx, dx) < tolerance);
  CHECK(relativeError(r.dgamma, dgamma) < tolerance);
  CHECK(relativeError(r.dbeta, dbeta) < 1e-6);
  CHECK(relativeError(r.frozen_dx, frozen) < tolerance);
  CHECK(relativeError(r.frozen_dgamma, dgamma) < tolerance);
  CHECK(sameBits(r.frozen_dbeta, r.dbeta));

  for (int threads : {2, 3}) {
    const Results more = runAll(s, x, dy, gamma, beta, eps, threads);
    CHECK(sameBits(more.y, r.y));
    CHECK(sameBits(more.mean, r.mean));
    CHECK(sameBits(more.var, r.var));
    CHECK(sameBits(more.inference, r.inference));
    CHECK(sameBits(more.dx, r.dx));
    CHECK(sameBits(more.dgamma, r.dgamma));
    CHECK(sameBits(more.frozen_dx, r.frozen_dx));
    CHECK(sameBits(more.frozen_dgamma, r.frozen_dgamma));
  }
}

}  // namespace

TEST_CASE("batch normalization agrees with a naive one") {
  check({4, 3, 49}, 0, 1e-5);
  check({64, 16, 65}, 0, 1e-5);
  check({2, 40, 16}, 0, 1e-5);
  check({9, 1, 7}, 0, 1e-5);
  check({33, 5, 1}, 0, 1e-5);
}

TEST_CASE("a large mean does not spoil the variance") {
  // The variance itself is checked to 1e-6; the rest knows the mean in float only.
  check({8, 4, 100}, 4096, 2e-3);
}

TEST_CASE("batch statistics of constant and of broken channels") {
  ThreadPool pool(2);
  const BatchNormShape s{2, 2, 9};
  std::vector<float> x(36, 1e6f), y(36), mean(2), inv_std(2), var(2);
  const std::vector<float> gamma{1, 1}, beta{3, 3};
  x[9] = std::nanf("");
  batchNormTrain(s, x.data(), gamma.data(), beta.data(), 1e-5f, y.data(), mean.data(),
                 inv_std.data(), var.data(), pool);
  CHECK(mean[0] == 1e6f);
  CHECK(var[0] == 0.0f);
  CHECK(y[0] == 3.0f);
  CHECK(std::isnan(mean[1]));
  CHECK(std::isnan(var[1]));
  CHECK(std::isnan(y[10]));
}

}  // namespace simaqat::kernels
