// Winograd's F(m x m, 3 x 3): a 3x3 window sum in tiles of m x m positions (Lavin and Gray 2016,
// "Fast Algorithms for Convolutional Neural Networks"). A tile of y, of m+2 x m+2 of the source d
// and of the weights g:   y = A' [(G g G') . (B' d B)] A and so the weights' gradient from that of
// y:   dg = G' [(B' d B) . (A dy A')] G
//
// Each of the matrices is here as what it does to one axis. They come from the polynomials through
// m+1 points and infinity: column i of A' holds the powers of point i, row i of B' the coefficients
// of the product of (x - point) over all other points, and row i of G the powers of point i over
// the value of that product at it, up to signs that cancel.
#pragma once

#include <cmath>

#include "kernels/always_inline.h"

namespace simaqat::kernels {

template <int kPositions>
struct WinogradTiles;

// With the points 0, 1 and -1.
template <>
struct WinogradTiles<2> {
  // These two are for vectors of integers, too.
  template <class V>
  SIMAQAT_INLINE static void source(const V (&d)[4], V (&out)[4]) {
    out[0] = d[0] - d[2];
    out[1] = d[1] + d[2];
    out[2] = d[2] - d[1];
    out[3] = d[1] - d[3];
  }
  template <class V>
  SIMAQAT_INLINE static void sums(const V (&m)[4], V (&out)[2]) {
    out[0] = m[0] + m[1] + m[2];
    out[1] = m[1] - m[2] - m[3];
  }
  SIMAQAT_INLINE static void weights(const float (&g)[3], float (&out)[4]) {
    const float even = g[0] + g[2];
    out[0] = g[0];
    out[1] = 0.5f * (even + g[1]);
    out[2] = 0.5f * (even - g[1]);
    out[3] = g[2];
  }
  SIMAQAT_INLINE static void gradient(const float (&dy)[2], float (&out)[4]) {
    out[0] = dy[0];
    out[1] = dy[0] + dy[1];
    out[2] = dy[0] - dy[1];
    out[3] = -dy[1];
  }
  SIMAQAT_INLINE static void weightSums(const float (&u)[4], float (&out)[3]) {
    const float even = 0.5f * (u[1] + u[2]);
    out[0] = u[0] + even;
    out[1] = 0.5f * (u[1] - u[2]);
    out[2] = even + u[3];
  }
};

// With the points 0, a, -a, b and -b. Errors depend on the points: with 1 and 2, as Lavin and Gray
// have them, they are six times those of m = 2; with 5/8 and 3/2 less than three times. All of A'
// and B' is exact in float.
template <>
struct WinogradTiles<4> {
  static constexpr float a = 5.0f / 8, b = 3.0f / 2;

  SIMAQAT_INLINE static void source(const float (&d)[6], float (&out)[6]) {
    constexpr float both = a * a * b * b, squares = -(a * a + b * b);
    out[0] = std::fma(both, d[0], std::fma(squares, d[2], d[4]));
    atPoints(a, std::fma(-b * b, d[2], d[4]), std::fma(-b * b, d[1], d[3]), out[1], out[2]);
    atPoints(b, std::fma(-a * a, d[2], d[4]), std::fma(-a * a, d[1], d[3]), out[3], out[4]);
    out[5] = std::fma(both, d[1], std::fma(squares, d[3], d[5]));
  }
  SIMAQAT_INLINE static void sums(const float (&m)[6], float (&out)[4]) {
    const float even_a = m[1] + m[2], odd_a = m[1] - m[2];
    const float even_b = m[3] + m[4], odd_b = m[3] - m[4];
    out[0] = m[0] + (even_a + even_b);
    out[1] = std::fma(a, odd_a, b * odd_b);
    out[2] = std::fma(a * a, even_a, b * b * even_b);
    out[3] = std::fma(a * a * a, odd_a, std::fma(b * b * b, odd_b, m[5]));
  }
  SIMAQAT_INLINE static void weights(const float (&g)[3], float (&out)[6]) {
    out[0] = kAtZero * g[0];
    atPoints(a * kAtA, kAtA * std::fma(a * a, g[2], g[0]), g[1], out[1], out[2]);
    atPoints(b * kAtB, kAtB * std::fma(b * b, g[2], g[0]), g[1], out[3], out[4]);
    out[5] = g[2];
  }
  SIMAQAT_INLINE static void gradient(const float (&dy)[4], float (&out)[6]) {
    out[0] = dy[0];
    atPoints(a, std::fma(a * a, dy[2], dy[0]), std::fma(a * a, dy[3], dy[1]), out[1], out[2]);
    atPoints(b, std::fma(b * b, dy[2], dy[0]), std::fma(b * b, dy[3], dy[1]), out[3], out[4]);
    out[5] = dy[3];
  }
  SIMAQAT_INLINE static void weightSums(const float (&u)[6], float (&out)[3]) {
    const float even_a = kAtA * (u[1] + u[2]), even_b = kAtB * (u[3] + u[4]);
    out[0] = std::fma(kAtZero, u[0], even_a + even_b);
    out[1] = std::fma(a * kAtA, u[1] - u[2], b * kAtB * (u[3] - u[4]));
    out[2] = std::fma(a * a, even_a, std::fma(b * b, even_b, u[5]));
  }

 private:
  // One over the product of the differences to all other points.
  static constexpr float kAtZero = 1 / (a * a * b * b);
  static constexpr float kAtA = 1 / (2 * a * a * (a * a - b * b));
  static constexpr float kAtB = 1 / (2 * b * b * (b * b - a * a));

  // even + point * odd, and even - point * odd.
  SIMAQAT_INLINE static void atPoints(float point, float even, float odd, float& at, float& minus) {
    at = std::fma(point, odd, even);
    minus = std::fma(-point, odd, even);
  }
};

// out(h, w, value) for all of kTo x kTo, from in(h, w) of kFrom x kFrom: kAxis along h, then along
// w.
template <int kFrom, int kTo, class V, void (*kAxis)(const V (&)[kFrom], V (&)[kTo]), class Load,
          class Store>
SIMAQAT_INLINE void transformAxes(const Load& in, const Store& out) {
  V turned[kTo][kFrom];
  // Constant indices, so that values stay registers.
#pragma GCC unroll 6
  for (int w = 0; w < kFrom; ++w) {
    V from[kFrom], to[kTo];
#pragma GCC unroll 6
    for (int h = 0; h < kFrom; ++h) from[h] = in(h, w);
    kAxis(from, to);
#pragma GCC unroll 6
    for (int h = 0; h < kTo; ++h) turned[h][w] = to[h];
  }
#pragma GCC unroll 6
  for (int h = 0; h < kTo; ++h) {
    V to[kTo];
    kAxis(turned[h], to);
#pragma GCC unroll 6
    for (int w = 0; w < kTo; ++w) out(h, w, to[w]);
  }
}

}  // namespace simaqat::kernels
