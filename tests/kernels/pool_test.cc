#include "kernels/pool.h"

#include <cmath>
#include <limits>

#include "tests/catch.h"
#include "tests/kernels/helpers.h"

namespace simaqat::kernels {
namespace {

int64_t product(const std::array<int64_t, 3>& a) { return a[0] * a[1] * a[2]; }

// Calls body(window, x index, or -1 in the padding) for the taps of every window of every plane
// that are not beyond the padding.
template <class Body>
void forEachTap(const PoolShape& s, Body&& body) {
  for (int64_t y = 0; y < s.planes * product(s.out); ++y) {
    const int64_t p = y % product(s.out), plane = y / product(s.out);
    const std::array<int64_t, 3> at{p / (s.out[1] * s.out[2]), p / s.out[2] % s.out[1],
                                    p % s.out[2]};
    for (int64_t k = 0; k < product(s.kernel); ++k) {
      const std::array<int64_t, 3> tap{k / (s.kernel[1] * s.kernel[2]),
                                       k / s.kernel[2] % s.kernel[1], k % s.kernel[2]};
      int64_t index = 0;
      bool inside = true, padded = true;
      for (size_t i = 0; i < 3; ++i) {
        const int64_t from = at[i] * s.stride[i] + tap[i] * s.dilation[i] - s.pad_begin[i];
        inside &= from >= 0 && from < s.in[i];
        padded &= from < s.in[i] + s.pad_end[i];
        index = index * s.in[i] + from;
      }
      if (padded) body(static_cast<size_t>(y), inside ? plane * product(s.in) + index : -1);
    }
  }
}

void check(const PoolShape& s, std::vector<float> x) {
  CAPTURE(s.planes, s.in, s.out, s.kernel, s.stride, s.dilation, s.pad_begin, s.pad_end);
  const auto outputs = static_cast<size_t>(s.planes * product(s.out));
  const std::vector<float> dy = randomFloats(static_cast<int64_t>(outputs), 2);

  std::vector<float> best(outputs, -std::numeric_limits<float>::infinity());
  std::vector<int64_t> where(outputs, -1);
  forEachTap(s, [&](size_t y, int64_t at) {
    if (at < 0) return;
    const float v = x[static_cast<size_t>(at)];
    if (where[y] < 0 || v > best[y] || std::isnan(v)) {
      best[y] = v;
      where[y] = at;
    }
  });
  std::vector<double> max_dx(x.size());
  for (size_t y = 0; y < outputs; ++y) {
    if (where[y] >= 0) max_dx[static_cast<size_t>(where[y])] += dy[y];
  }
  for (int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    std::vector<float> y(outputs), dx(x.size(), 99);
    maxPool(s, x.data(), y.data(), pool);
    CHECK(sameBits(y, best));
    maxPoolGrad(s, x.data(), dy.data(), dx.data(), pool);
    CHECK(relativeError(dx, max_dx) < 1e-6);
  }

  for (float& v : x) v = std::isfinite(v) ? v : 0.0f;
  for (bool include_pad : {false, true}) {
    std::vector<double> sum(outputs), size(outputs), dx_expected(x.size());
    forEachTap(s, [&](size_t y, int64_t at) {
      if (at >= 0) sum[y] += x[static_cast<size_t>(at)];
      size[y] += at >= 0 || include_pad;
    });
    forEachTap(s, [&](size_t y, int64_t at) {
      if (at >= 0) dx_expected[static_cast<size_t>(at)] += dy[y] / size[y];
    });
    for (size_t y = 0; y < outputs; ++y) sum[y] /= std::max(size[y], 1.0);
    std::vector<float> first_y, first_dx;
    for (int threads : {1, 2, 3}) {
      ThreadPool pool(threads);
      std::vector<float> y(outputs), dx(x.size(), 99);
      averagePool(s, include_pad, x.data(), y.data(), pool);
      averagePoolGrad(s, include_pad, dy.data(), dx.data(), pool);
      CHECK(relativeError(y, sum) < 1e-6);
      CHECK(relativeError(dx, dx_expected) < 1e-6);
      if (threads == 1) {
        first_y = y;
        first_dx = dx;
      }
      CHECK(sameBits(y, first_y));
      CHECK(sameBits(dx, first_dx));
    }
  }
}

// `extra` more outputs than full windows: ceil_mode.
PoolShape make(int64_t planes, std::array<int64_t, 3> in, std::array<int64_t, 3> kernel,
               std::array<int64_t, 3> stride, std::array<int64_t, 3> pad = {0, 0, 0},
               std::array<int64_t, 3> dilation = {1, 1, 1}, std::array<int64_t, 3> extra = {}) {
  PoolShape s{planes, in, {}, kernel, stride, dilation, pad, pad};
  for (size_t i = 0; i < 3; ++i) {
    s.out[i] = (in[i] + 2 * pad[i] - (kernel[i] - 1) * dilation[i] - 1) / stride[i] + 1 + extra[i];
  }
  return s;
}

void checkRandom(const PoolShape& s) { check(s, randomFloats(s.planes * product(s.in), 1)); }

}  // namespace

TEST_CASE("pooling agrees with a naive one") {
  checkRandom(make(5, {1, 16, 16}, {1, 2, 2}, {1, 2, 2}));
  checkRandom(make(40, {1, 17, 19}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}));
  checkRandom(make(3, {1, 8, 300}, {1, 3, 5}, {1, 1, 1}, {0, 1, 2}));
  checkRandom(make(3, {1, 14, 14}, {1, 3, 2}, {1, 2, 3}, {0, 1, 0}, {1, 2, 3}));
  checkRandom(make(3, {1, 10, 10}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {1, 1, 1}, {0, 1, 1}));
  checkRandom(make(3, {1, 1, 29}, {1, 1, 3}, {1, 1, 2}, {0, 0, 1}));
  checkRandom(make(2, {5, 6, 7}, {2, 3, 3}, {2, 1, 2}, {1, 1, 1}));
}

TEST_CASE("of equal maxima the first gets the gradient, and NaN is the maximum") {
  const PoolShape s = make(3, {1, 9, 21}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1});
  std::vector<float> x = randomFloats(3 * 9 * 21, 1);
  for (float& v : x) v = std::round(v);  // many are equal, -0 and 0 among them
  check(s, x);
  x[30] = x[31] = std::numeric_limits<float>::quiet_NaN();
  check(s, x);
  check(s, std::vector<float>(x.size(), -std::numeric_limits<float>::infinity()));
}

TEST_CASE("global average pooling") {
  ThreadPool pool(2);
  for (int64_t size : {1, 7, 49, 64, 1000}) {
    const std::vector<float> x = randomFloats(30 * size, 1);
    std::vector<float> y(30), dx(x.size());
    std::vector<double> expected(30);
    for (size_t i = 0; i < x.size(); ++i) {
      expected[i / static_cast<size_t>(size)] += static_cast<double>(x[i]) / size;
    }
    globalAveragePool(x.data(), 30, size, y.data(), pool);
    CHECK(relativeError(y, expected) < 1e-6);
    globalAveragePoolGrad(y.data(), 30, size, dx.data(), pool);
    for (size_t i = 0; i < dx.size(); ++i) {
      REQUIRE(dx[i] == y[i / static_cast<size_t>(size)] / static_cast<float>(size));
    }
  }
}

TEST_CASE("max pooling of codes is that of the same numbers as floats") {
  for (const PoolShape& s :
       {make(5, {1, 16, 16}, {1, 2, 2}, {1, 2, 2}),
        make(9, {1, 17, 19}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}),
        make(3, {1, 8, 300}, {1, 3, 5}, {1, 1, 1}, {0, 1, 2}),
        make(2, {1, 20, 20}, {1, 16, 16}, {1, 2, 1}), make(2, {1, 20, 40}, {1, 1, 3}, {1, 3, 3}),
        make(1, {6, 9, 11}, {2, 3, 4}, {2, 1, 2}, {1, 1, 2})}) {
    CAPTURE(s.in, s.kernel, s.stride);
    const auto size = static_cast<size_t>(s.planes * product(s.in));
    const auto outputs = static_cast<size_t>(s.planes * product(s.out));
    // Few numbers, so that most windows have several maxima, and the least one in all places.
    for (int64_t numbers : {1, 3, 256}) {
      std::vector<uint8_t> codes(size);
      std::vector<float> x(size);
      const std::vector<float> random = randomFloats(static_cast<int64_t>(size), 4);
      for (size_t i = 0; i < size; ++i) {
        codes[i] =
            static_cast<uint8_t>(static_cast<int64_t>(std::fabs(random[i]) * 1000) % numbers);
        x[i] = codes[i];
      }
      const std::vector<float> dy = randomFloats(static_cast<int64_t>(outputs), 5);
      ThreadPool pool(2);
      std::vector<float> y(outputs), dx(size, 99), dx_of_codes(size, 98);
      std::vector<uint8_t> y_of_codes(outputs);
      maxPool(s, x.data(), y.data(), pool);
      maxPool(s, codes.data(), y_of_codes.data(), pool);
      for (size_t i = 0; i < outputs; ++i) REQUIRE(y[i] == static_cast<float>(y_of_codes[i]));
      maxPoolGrad(s, x.data(), dy.data(), dx.data(), pool);
      maxPoolGrad(s, codes.data(), dy.data(), dx_of_codes.data(), pool);
      CHECK(sameBits(dx, dx_of_codes));
    }
  }
}

}  // namespace simaqat::kernels
