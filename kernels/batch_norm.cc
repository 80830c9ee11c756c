#include "kernels/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/channel_loops.h"
#include "kernels/channel_pieces.h"
#include "kernels/conv_results.h"
#include "kernels/expect.h"
#include "kernels/isa.h"
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

Sums gradientSums(const BatchNormShape& s, const float* dy, const float* x,
                  const PassedValues& passed, float mean, int64_t c, int64_t begin, int64_t end) {
  // What is read soon: further on in a large plane, in one of the next images where planes are
  // small.
  const int64_t inner = std::max<int64_t>(s.inner, 1);
  const bool is_large = inner > 4 * kAhead;
  const int64_t ahead = is_large ? kAhead : (kAhead + inner - 1) / inner * s.channels * inner;
  WideSum first, second;
  for (int64_t n = begin; n < end; ++n) {
    const int64_t row = (n * s.channels + c) * s.inner;
    kernels().addGradients(dy + row, x + row, s.inner, ahead, passed, mean, first, second);
  }
  return {first.total(), second.total()};
}

// What a channel's sums come to: y = (x - center) * factor + offset.
struct Line {
  float center = 0;
  float factor = 0;
  float offset = 0;
};

// Neighbouring channels that are made ready together, in runs of up to so many elements of an image,
// whole vectors where that is possible.
constexpr int64_t kReadyElements = 512;
int64_t channelsTogether(const BatchNormShape& shape) {
  constexpr int64_t kVector = 8;
  const int64_t inner = std::max<int64_t>(shape.inner, 1);
  const int64_t most = shape.channels / (ChannelPieces::kPieces / 2);
  const int64_t step = kVector / std::gcd(kVector, inner);
  return std::max<int64_t>(std::min(kReadyElements / inner, most) / step * step, 1);
}

// For each channel sum(c, begin, end) over its cuts, line = finish(c, sums), and apply(line, c, begin,
// end) over its cuts, once ready(first, last, begin, end, worker) was called for these channels and
// images. A channel in one piece does all that while it is in the cache.
template <class L, class Ready, class Sum, class Finish, class Apply>
void reduceAndApply(const BatchNormShape& shape, ThreadPool& pool, Ready&& ready, Sum&& sum,
                    Finish&& finish, Apply&& apply) {
  const ChannelPieces pieces(shape.batch, shape.channels);
  if (pieces.cuts == 1) {
    const int64_t together = channelsTogether(shape);
    pool.run((shape.channels + together - 1) / together, [&](int64_t group, int worker) {
      const int64_t first = group * together;
      const int64_t last = std::min(first + together, shape.channels);
      ready(first, last, int64_t{0}, shape.batch, worker);
      for (int64_t c = first; c < last; ++c) {
        apply(finish(c, sum(c, int64_t{0}, shape.batch)), c, int64_t{0}, shape.batch);
      }
    });
    return;
  }
  Sums partial[ChannelPieces::kMaxPartials];
  L lines[ChannelPieces::kMaxPartials];
  pool.run(pieces.count(), [&](int64_t piece, int worker) {
    const int64_t c = pieces.channel(piece);
    ready(c, c + 1, pieces.begin(piece), pieces.end(piece), worker);
    partial[piece] = sum(c, pieces.begin(piece), pieces.end(piece));
  });
  for (int64_t c = 0; c < shape.channels; ++c) {
    Sums total;
    for (int64_t cut = 0; cut < pieces.cuts; ++cut) {
      total.first += partial[c * pieces.cuts + cut].first;
      total.second += partial[c * pieces.cuts + cut].second;
    }
    lines[c] = finish(c, total);
  }
  pool.run(pieces.count(), [&](int64_t piece, int) {
    const int64_t c = pieces.channel(piece);
    apply(lines[c], c, pieces.begin(piece), pieces.end(piece));
  });
}

void nothingToDo(int64_t, int64_t, int64_t, int64_t, int) {}

// Rounding the mean alone would move a whole channel, so what float32 drops of it is in the
// offset.
Line lineOf(double mean, float inv_std, float gamma, float beta) {
  Line line;
  line.center = static_cast<float>(mean);
  line.factor = inv_std * gamma;
  line.offset = static_cast<float>(beta - (mean - line.center) * line.factor);
  return line;
}

void normalize(const BatchNormShape& s, const float* x, const Line& line, int64_t c, int64_t begin,
               int64_t end, float* y) {
  for (int64_t n = begin; n < end; ++n) {
    const int64_t row = (n * s.channels + c) * s.inner;
    for (int64_t i = row; i < row + s.inner; ++i) {
      y[i] = (x[i] - line.center) * line.factor + line.offset;
    }
  }
}

float inverseStd(double var, float eps) {
  return static_cast<float>(1.0 / std::sqrt(var + static_cast<double>(eps)));
}

}  // namespace

namespace {

// The statistics of a channel from its sums about `shift`, and the line that normalizes it.
Line lineOfSums(const Sums& sums, double count, double shift, float gamma, float beta, float eps,
                float& saved_mean, float& saved_inv_std, float& var) {
  const double shifted = sums.first / count;
  const double mean = shift + shifted;
  const double variance = std::fmax(sums.second / count - shifted * shifted, 0.0);
  saved_mean = static_cast<float>(mean);
  // A NaN stays one: fmax drops it.
  var = std::isnan(mean) ? saved_mean : static_cast<float>(variance);
  saved_inv_std = std::isnan(mean) ? saved_mean : inverseStd(variance, eps);
  return lineOf(mean, saved_inv_std, gamma, beta);
}

}  // namespace

void batchNormTrain(const BatchNormShape& shape, const float* x, const float* gamma,
                    const float* beta, float eps, float* y, float* saved_mean, float* saved_inv_std,
                    float* var, ThreadPool& pool) {
  if (shape.batch * shape.inner == 0) return;
  const double count = static_cast<double>(shape.batch * shape.inner);
  const auto shift = [&](int64_t c) { return x[c * shape.inner]; };
  reduceAndApply<Line>(
      shape, pool, nothingToDo,
      [&](int64_t c, int64_t begin, int64_t end) {
        return moments(shape, x, shift(c), c, begin, end);
      },
      [&](int64_t c, const Sums& sums) {
        return lineOfSums(sums, count, shift(c), gamma[c], beta[c], eps, saved_mean[c],
                          saved_inv_std[c], var[c]);
      },
      [&](const Line& line, int64_t c, int64_t begin, int64_t end) {
        normalize(shape, x, line, c, begin, end, y);
      });
}

namespace {

// A channel's sums, about `shift`, with its extremes.
struct ChannelSums {
  Sums sums;
  double shift;
  float lo, hi;
};

void finishStatistics(const ChannelSums& channel, int64_t c, double count, const float* gamma,
                      const float* beta, float eps, const BatchNormLine& lines,
                      const BatchNormStatistics& s) {
  const Line line = lineOfSums(channel.sums, count, channel.shift, gamma[c], beta[c], eps,
                               s.mean[c], s.inv_std[c], s.var[c]);
  lines.center[c] = line.center;
  lines.factor[c] = line.factor;
  lines.offset[c] = line.offset;
  // The sum knows of a NaN, which a minimum may drop.
  const bool bad = std::isnan(channel.sums.first);
  s.lo[c] = bad ? s.mean[c] : channel.lo;
  s.hi[c] = bad ? s.mean[c] : channel.hi;
}

}  // namespace

void batchNormStatistics(const BatchNormShape& shape, const float* x, const float* gamma,
                         const float* beta, float eps, const BatchNormLine& line,
                         const BatchNormStatistics& statistics, ThreadPool& pool) {
  if (shape.batch * shape.inner == 0) return;
  const double count = static_cast<double>(shape.batch * shape.inner);
  const auto shift = [&](int64_t c) { return x[c * shape.inner]; };
  const ChannelPieces pieces(shape.batch, shape.channels);
  const auto part = [&](int64_t c, int64_t begin, int64_t end) {
    ChannelSums partial{moments(shape, x, shift(c), c, begin, end), shift(c),
                        std::numeric_limits<float>::infinity(),
                        -std::numeric_limits<float>::infinity()};
    for (int64_t n = begin; n < end; ++n) {
      float low, high;
      kernels().minMax(x + (n * shape.channels + c) * shape.inner, shape.inner, &low, &high);
      partial.lo = std::min(partial.lo, low);
      partial.hi = std::max(partial.hi, high);
    }
    return partial;
  };
  const auto finish = [&](int64_t c, const ChannelSums& sums) {
    finishStatistics(sums, c, count, gamma, beta, eps, line, statistics);
  };
  if (pieces.cuts == 1) {
    pool.run(pieces.count(), [&](int64_t c, int) { finish(c, part(c, 0, shape.batch)); });
    return;
  }
  ChannelSums partial[ChannelPieces::kMaxPartials];
  pool.run(pieces.count(), [&](int64_t piece, int) {
    partial[piece] = part(pieces.channel(piece), pieces.begin(piece), pieces.end(piece));
  });
  for (int64_t c = 0; c < shape.channels; ++c) {
    ChannelSums total = partial[c * pieces.cuts];
    for (int64_t cut = 1; cut < pieces.cuts; ++cut) {
      const ChannelSums& next = partial[c * pieces.cuts + cut];
      total.sums.first += next.sums.first;
      total.sums.second += next.sums.second;
      total.lo = std::min(total.lo, next.lo);
      total.hi = std::max(total.hi, next.hi);
    }
    finish(c, total);
  }
}

void batchNormStatistics(const BatchNormShape& shape, const double* moments, const float* gamma,
                         const float* beta, float eps, const BatchNormLine& line,
                         const BatchNormStatistics& statistics) {
  const double count = static_cast<double>(shape.batch * shape.inner);
  for (int64_t c = 0; c < shape.channels; ++c, moments += kMomentsOfChannel) {
    const ChannelSums sums{{moments[0], moments[1]},
                           0,
                           static_cast<float>(moments[2]),
                           static_cast<float>(moments[3])};
    finishStatistics(sums, c, count, gamma, beta, eps, line, statistics);
  }
}

void batchNormLine(int64_t channels, const float* gamma, const float* beta, const float* mean,
                   const float* var, float eps, const BatchNormLine& line) {
  for (int64_t c = 0; c < channels; ++c) {
    const Line own = lineOf(mean[c], inverseStd(var[c], eps), gamma[c], beta[c]);
    line.center[c] = own.center;
    line.factor[c] = own.factor;
    line.offset[c] = own.offset;
  }
}

void batchNormInference(const BatchNormShape& shape, const float* x, const float* gamma,
                        const float* beta, const float* mean, const float* var, float eps, float* y,
                        ThreadPool& pool) {
  const ChannelPieces pieces(shape.batch, shape.channels);
  pool.run(pieces.count(), [&](int64_t piece, int) {
    const int64_t c = pieces.channel(piece);
    const Line line = lineOf(mean[c], inverseStd(var[c], eps), gamma[c], beta[c]);
    normalize(shape, x, line, c, pieces.begin(piece), pieces.end(piece), y);
  });
}

namespace {

// ready(first, last, begin, end, worker) is called before dy of these channels and images is read;
// passing(c) tells which of it counts in a channel.
template <class Ready, class Passing>
void trainGrad(const BatchNormShape& shape, const float* dy, const float* x, const float* gamma,
               const float* saved_mean, const float* saved_inv_std, float* dx, float* dgamma,
               float* dbeta, ThreadPool& pool, Ready&& ready, Passing&& passing) {
  const double count = static_cast<double>(shape.batch * shape.inner);
  reduceAndApply<GradientLine>(
      shape, pool, ready,
      [&](int64_t c, int64_t begin, int64_t end) {
        return gradientSums(shape, dy, x, passing(c), saved_mean[c], c, begin, end);
      },
      [&](int64_t c, const Sums& sums) {
        dbeta[c] = static_cast<float>(sums.first);
        dgamma[c] = static_cast<float>(sums.second * saved_inv_std[c]);
        GradientLine line;
        line.center = saved_mean[c];
        line.factor = gamma[c] * saved_inv_std[c];
        line.mean_dy = static_cast<float>(sums.first / count);
        line.slope =
            static_cast<float>(sums.second / count * saved_inv_std[c] * saved_inv_std[c]);
        return line;
      },
      [&](const GradientLine& line, int64_t c, int64_t begin, int64_t end) {
        const PassedValues passed = passing(c);
        // From the end on, which the sums have left in the cache.
        for (int64_t n = end - 1; n >= begin; --n) {
          const int64_t row = (n * shape.channels + c) * shape.inner;
          kernels().lineGradient(dy + row, x + row, shape.inner, passed, line, dx + row);
        }
      });
}

PassedValues wholeGradient(int64_t) { return {}; }

}  // namespace

void batchNormGrad(const BatchNormShape& shape, const float* dy, const float* x, const float* gamma,
                   const float* saved_mean, const float* saved_inv_std, float* dx, float* dgamma,
                   float* dbeta, ThreadPool& pool) {
  trainGrad(shape, dy, x, gamma, saved_mean, saved_inv_std, dx, dgamma, dbeta, pool, nothingToDo,
            wholeGradient);
}

void batchNormGrad(const BatchNormShape& shape, const float* dy, const float* x,
                   const PassedRange& passed, const float* gamma, const float* saved_mean,
                   const float* saved_inv_std, float* dx, float* dgamma, float* dbeta,
                   ThreadPool& pool) {
  trainGrad(shape, dy, x, gamma, saved_mean, saved_inv_std, dx, dgamma, dbeta, pool, nothingToDo,
            [&](int64_t c) {
              return PassedValues{false, passed.lo[c], passed.hi[c]};
            });
}

void batchNormGrad(const BatchNormShape& shape, GradientWriter& writer, const float* x,
                   const float* gamma, const float* saved_mean, const float* saved_inv_std,
                   float* dx, float* dgamma, float* dbeta, ThreadPool& pool) {
  trainGrad(
      shape, dx, x, gamma, saved_mean, saved_inv_std, dx, dgamma, dbeta, pool,
      [&](int64_t first, int64_t last, int64_t begin, int64_t end, int worker) {
        const int64_t image = shape.channels * shape.inner;
        writer.write(begin * image + first * shape.inner, (last - first) * shape.inner, image,
                     end - begin, worker);
      },
      wholeGradient);
}

namespace {

template <class Passing>
void frozenGrad(const BatchNormShape& shape, const float* dy, const float* x, const float* gamma,
                const float* mean, const float* var, float eps, float* dx, float* dgamma,
                float* dbeta, ThreadPool& pool, Passing&& passing) {
  reduceAndApply<GradientLine>(
      shape, pool, nothingToDo,
      [&](int64_t c, int64_t begin, int64_t end) {
        return gradientSums(shape, dy, x, passing(c), mean[c], c, begin, end);
      },
      [&](int64_t c, const Sums& sums) {
        dbeta[c] = static_cast<float>(sums.first);
        dgamma[c] = static_cast<float>(sums.second * inverseStd(var[c], eps));
        GradientLine line;
        line.factor = gamma[c] * inverseStd(var[c], eps);
        return line;
      },
      [&](const GradientLine& line, int64_t c, int64_t begin, int64_t end) {
        const PassedValues passed = passing(c);
        // From the end on, which the sums have left in the cache.
        for (int64_t n = end - 1; n >= begin; --n) {
          const int64_t row = (n * shape.channels + c) * shape.inner;
          for (int64_t i = row; i < row + shape.inner; ++i) {
            dx[i] = line.factor * passedValue(dy[i], x[i], passed);
          }
        }
      });
}

}  // namespace

void batchNormFrozenGrad(const BatchNormShape& shape, const float* dy, const float* x,
                         const float* gamma, const float* mean, const float* var, float eps,
                         float* dx, float* dgamma, float* dbeta, ThreadPool& pool) {
  frozenGrad(shape, dy, x, gamma, mean, var, eps, dx, dgamma, dbeta, pool, wholeGradient);
}

void batchNormFrozenGrad(const BatchNormShape& shape, const float* dy, const float* x,
                         const PassedRange& passed, const float* gamma, const float* mean,
                         const float* var, float eps, float* dx, float* dgamma, float* dbeta,
                         ThreadPool& pool) {
  frozenGrad(shape, dy, x, gamma, mean, var, eps, dx, dgamma, dbeta, pool, [&](int64_t c) {
    return PassedValues{false, passed.lo[c], passed.hi[c]};
  });
}

}  // namespace simaqat::kernels
