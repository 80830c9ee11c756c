#include "kernels/batch_norm.h"

#include <cmath>

#include "kernels/channel_pieces.h"
#include "kernels/wide_sum.h"

namespace simaqat::kernels {
namespace {

// Two sums over a channel: of x - shift and its square, or of dy and dy * (x - mean).
struct Sums {
  double first = 0;
  double second = 0;
};

Sums moments(const BatchNormShape& s, const float* x, float shift, int64_t c, int64_t begin,
             int64_t end) {
  WideSum first, second;
  const double center = shift;
  for (int64_t n = begin; n < end; ++n) {
    const float* row = x + (n * s.channels + c) * s.inner;
    int64_t i = 0;
    for (; i + 8 <= s.inner; i += 8) {
      const Double4 low = loadDouble4(row + i) - center;
      const Double4 high = loadDouble4(row + i + 4) - center;
      first.add(low, high);
      second.add(low * low, high * high);
    }
    for (; i < s.inner; ++i) {
      const double d = row[i] - center;
      first.add(d);
      second.add(d * d);
    }
  }
  return {first.total(), second.total()};
}

Sums gradientSums(const BatchNormShape& s, const float* dy, const float* x, float mean, int64_t c,
                  int64_t begin, int64_t end) {
  WideSum first, second;
  const double center = mean;
  for (int64_t n = begin; n < end; ++n) {
    const int64_t row = (n * s.channels + c) * s.inner;
    int64_t i = 0;
    for (; i + 8 <= s.inner; i += 8) {
      const Double4 low = loadDouble4(dy + row + i);
      const Double4 high = loadDouble4(dy + row + i + 4);
      first.add(low, high);
      second.add(low * (loadDouble4(x + row + i) - center),
                 high * (loadDouble4(x + row + i + 4) - center));
    }
    for (; i < s.inner; ++i) {
      const double g = dy[row + i];
      first.add(g);
      second.add(g * (x[row + i] - center));
    }
  }
  return {first.total(), second.total()};
}

// For each channel sum(c, begin, end) over its cuts, finish(c, sums), and apply(c, begin, end)
// over its cuts. A channel in one piece does all three while it is in the cache.
template <class Sum, class Finish, class Apply>
void reduceAndApply(const BatchNormShape& shape, ThreadPool& pool, Sum&& sum, Finish&& finish,
                    Apply&& apply) {
  const ChannelPieces pieces(shape.batch, shape.channels);
  if (pieces.cuts == 1) {
    pool.run(pieces.count(), [&](int64_t c, int) {
      finish(c, sum(c, int64_t{0}, shape.batch));
      apply(c, int64_t{0}, shape.batch);
    });
    return;
  }
  Sums partial[ChannelPieces::kMaxPartials];
  pool.run(pieces.count(), [&](int64_t piece, int) {
    partial[piece] = sum(pieces.channel(piece), pieces.begin(piece), pieces.end(piece));
  });
  for (int64_t c = 0; c < shape.channels; ++c) {
    Sums total;
    for (int64_t cut = 0; cut < pieces.cuts; ++cut) {
      total.first += partial[c * pieces.cuts + cut].first;
      total.second += partial[c * pieces.cuts + cut].second;
    }
    finish(c, total);
  }
  pool.run(pieces.count(), [&](int64_t piece, int) {
    apply(pieces.channel(piece), pieces.begin(piece), pieces.end(piece));
  });
}

void normalize(const BatchNormShape& s, const float* x, float mean, float factor, float beta,
               int64_t c, int64_t begin, int64_t end, float* y) {
  for (int64_t n = begin; n < end; ++n) {
    const int64_t row = (n * s.channels + c) * s.inner;
    for (int64_t i = row; i < row + s.inner; ++i) y[i] = (x[i] - mean) * factor + beta;
  }
}

float inverseStd(double var, float eps) {
  return static_cast<float>(1.0 / std::sqrt(var + static_cast<double>(eps)));
}

}  // namespace

void batchNormTrain(const BatchNormShape& shape, const float* x, const float* gamma,
                    const float* beta, float eps, float* y, float* saved_mean, float* saved_inv_std,
                    float* var, ThreadPool& pool) {
  if (shape.batch * shape.inner == 0) return;
  const double count = static_cast<double>(shape.batch * shape.inner);
  const auto shift = [&](int64_t c) { return x[c * shape.inner]; };
  reduceAndApply(
      shape, pool,
      [&](int64_t c, int64_t begin, int64_t end) {
        return moments(shape, x, shift(c), c, begin, end);
      },
      [&](int64_t c, const Sums& sums) {
        const double mean = sums.first / count;
        const double variance = std::fmax(sums.second / count - mean * mean, 0.0);
        saved_mean[c] = static_cast<float>(shift(c) + mean);
        // A NaN stays one: fmax drops it.
        var[c] = std::isnan(mean) ? saved_mean[c] : static_cast<float>(variance);
        saved_inv_std[c] = std::isnan(mean) ? saved_mean[c] : inverseStd(variance, eps);
      },
      [&](int64_t c, int64_t begin, int64_t end) {
        normalize(shape, x, saved_mean[c], saved_inv_std[c] * gamma[c], beta[c], c, begin, end, y);
      });
}

void batchNormInference(const BatchNormShape& shape, const float* x, const float* gamma,
                        const float* beta, const float* mean, const float* var, float eps, float* y,
                        ThreadPool& pool) {
  const ChannelPieces pieces(shape.batch, shape.channels);
  pool.run(pieces.count(), [&](int64_t piece, int) {
    const int64_t c = pieces.channel(piece);
    normalize(shape, x, mean[c], inverseStd(var[c], eps) * gamma[c], beta[c], c,
              pieces.begin(piece), pieces.end(piece), y);
  });
}

void batchNormGrad(const BatchNormShape& shape, const float* dy, const float* x, const float* gamma,
                   const float* saved_mean, const float* saved_inv_std, float* dx, float* dgamma,
                   float* dbeta, ThreadPool& pool) {
  const double count = static_cast<double>(shape.batch * shape.inner);
  reduceAndApply(
      shape, pool,
      [&](int64_t c, int64_t begin, int64_t end) {
        return gradientSums(shape, dy, x, saved_mean[c], c, begin, end);
      },
      [&](int64_t c, const Sums& sums) {
        dbeta[c] = static_cast<float>(sums.first);
        dgamma[c] = static_cast<float>(sums.second * saved_inv_std[c]);
      },
      [&](int64_t c, int64_t begin, int64_t end) {
        const float mean = saved_mean[c];
        const float factor = gamma[c] * saved_inv_std[c];
        const float mean_dy = static_cast<float>(dbeta[c] / count);
        const float slope = static_cast<float>(dgamma[c] / count * saved_inv_std[c]);
        for (int64_t n = begin; n < end; ++n) {
          const int64_t row = (n * shape.channels + c) * shape.inner;
          for (int64_t i = row; i < row + shape.inner; ++i) {
            dx[i] = factor * (dy[i] - mean_dy - (x[i] - mean) * slope);
          }
        }
      });
}

void batchNormFrozenGrad(const BatchNormShape& shape, const float* dy, const float* x,
                         const float* gamma, const float* mean, const float* var, float eps,
                         float* dx, float* dgamma, float* dbeta, ThreadPool& pool) {
  reduceAndApply(
      shape, pool,
      [&](int64_t c, int64_t begin, int64_t end) {
        return gradientSums(shape, dy, x, mean[c], c, begin, end);
      },
      [&](int64_t c, const Sums& sums) {
        dbeta[c] = static_cast<float>(sums.first);
        dgamma[c] = static_cast<float>(sums.second * inverseStd(var[c], eps));
      },
      [&](int64_t c, int64_t begin, int64_t end) {
        const float factor = gamma[c] * inverseStd(var[c], eps);
        for (int64_t n = begin; n < end; ++n) {
          const int64_t row = (n * shape.channels + c) * shape.inner;
          for (int64_t i = row; i < row + shape.inner; ++i) dx[i] = factor * dy[i];
        }
      });
}

}  // namespace simaqat::kernels
