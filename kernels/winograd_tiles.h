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

#include "kernels/packet.h"

namespace simaqat::kernels {

template <int kPositions>
struct WinogradTiles;

// With the points 0, 1 and -1.
template <>
struct WinogradTiles<2> {
  // These two are for vectors of integers, too.
  template <class V>
  static void source(const V (&d)[4], V (&out)[4]) {
    out[0] = d[0] - d[2];
    out[1] = d[1] + d[2];
    out[2] = d[2] - d[1];
    out[3] = d[1] - d[3];
  }
  template <class V>
  static void sums(const V (&m)[4], V (&out)[2]) {
    out[0] = m[0] + m[1] + m[2];
    out[1] = m[1] - m[2] - m[3];
  }
  static void weights(const Packet (&g)[3], Packet (&out)[4]) {
    using namespace Eigen::internal;
    const Packet half = broadcast(0.5f), even = padd(g[0], g[2]);
    out[0] = g[0];
    out[1] = pmul(half, padd(even, g[1]));
    out[2] = pmul(half, psub(even, g[1]));
    out[3] = g[2];
  }
  static void gradient(const Packet (&dy)[2], Packet (&out)[4]) {
    using namespace Eigen::internal;
    out[0] = dy[0];
    out[1] = padd(dy[0], dy[1]);
    out[2] = psub(dy[0], dy[1]);
    out[3] = pnegate(dy[1]);
  }
  static void weightSums(const Packet (&u)[4], Packet (&out)[3]) {
    using namespace Eigen::internal;
    const Packet half = broadcast(0.5f), even = pmul(half, padd(u[1], u[2]));
    out[0] = padd(u[0], even);
    out[1] = pmul(half, psub(u[1], u[2]));
    out[2] = padd(even, u[3]);
  }
};

// With the points 0, a, -a, b and -b. Errors depend on the points: with 1 and 2, as Lavin and Gray
// have them, they are six times those of m = 2; with 5/8 and 3/2 less than three times. All of A'
// and B' is exact in float.
template <>
struct WinogradTiles<4> {
  static constexpr float a = 5.0f / 8, b = 3.0f / 2;

  static void source(const Packet (&d)[6], Packet (&out)[6]) {
    using namespace Eigen::internal;
    const Packet both = broadcast(a * a * b * b), squares = broadcast(-(a * a + b * b));
    out[0] = pmadd(both, d[0], pmadd(squares, d[2], d[4]));
    atPoints(a, pmadd(broadcast(-b * b), d[2], d[4]), pmadd(broadcast(-b * b), d[1], d[3]), out[1],
             out[2]);
    atPoints(b, pmadd(broadcast(-a * a), d[2], d[4]), pmadd(broadcast(-a * a), d[1], d[3]), out[3],
             out[4]);
    out[5] = pmadd(both, d[1], pmadd(squares, d[3], d[5]));
  }
  static void weights(const Packet (&g)[3], Packet (&out)[6]) {
    using namespace Eigen::internal;
    out[0] = pmul(broadcast(kAtZero), g[0]);
    const Packet even_a = pmul(broadcast(kAtA), pmadd(broadcast(a * a), g[2], g[0]));
    atPoints(a * kAtA, even_a, g[1], out[1], out[2]);
    const Packet even_b = pmul(broadcast(kAtB), pmadd(broadcast(b * b), g[2], g[0]));
    atPoints(b * kAtB, even_b, g[1], out[3], out[4]);
    out[5] = g[2];
  }
  static void sums(const Packet (&m)[6], Packet (&out)[4]) {
    using namespace Eigen::internal;
    const Packet even_a = padd(m[1], m[2]), odd_a = psub(m[1], m[2]);
    const Packet even_b = padd(m[3], m[4]), odd_b = psub(m[3], m[4]);
    out[0] = padd(m[0], padd(even_a, even_b));
    out[1] = pmadd(broadcast(a), odd_a, pmul(broadcast(b), odd_b));
    out[2] = pmadd(broadcast(a * a), even_a, pmul(broadcast(b * b), even_b));
    out[3] = pmadd(broadcast(a * a * a), odd_a, pmadd(broadcast(b * b * b), odd_b, m[5]));
  }
  static void gradient(const Packet (&dy)[4], Packet (&out)[6]) {
    using namespace Eigen::internal;
    out[0] = dy[0];
    atPoints(a, pmadd(broadcast(a * a), dy[2], dy[0]), pmadd(broadcast(a * a), dy[3], dy[1]),
             out[1], out[2]);
    atPoints(b, pmadd(broadcast(b * b), dy[2], dy[0]), pmadd(broadcast(b * b), dy[3], dy[1]),
             out[3], out[4]);
    out[5] = dy[3];
  }
  static void weightSums(const Packet (&u)[6], Packet (&out)[3]) {
    using namespace Eigen::internal;
    const Packet even_a = pmul(broadcast(kAtA), padd(u[1], u[2]));
    const Packet even_b = pmul(broadcast(kAtB), padd(u[3], u[4]));
    out[0] = pmadd(broadcast(kAtZero), u[0], padd(even_a, even_b));
    out[1] =
        pmadd(broadcast(a * kAtA), psub(u[1], u[2]), pmul(broadcast(b * kAtB), psub(u[3], u[4])));
    out[2] = pmadd(broadcast(a * a), even_a, pmadd(broadcast(b * b), even_b, u[5]));
  }

 private:
  // One over the product of the differences to all other points.
  static constexpr float kAtZero = 1 / (a * a * b * b);
  static constexpr float kAtA = 1 / (2 * a * a * (a * a - b * b));
  static constexpr float kAtB = 1 / (2 * b * b * (b * b - a * a));

  // even + point * odd, and even - point * odd.
  static void atPoints(float point, const Packet& even, const Packet& odd, Packet& at,
                       Packet& minus) {
    at = Eigen::internal::pmadd(broadcast(point), odd, even);
    minus = Eigen::internal::pmadd(broadcast(-point), odd, even);
  }
};

// out(h, w, value) for all of kTo x kTo, from in(h, w) of kFrom x kFrom: kAxis along h, then along
// w.
template <int kFrom, int kTo, class V, void (*kAxis)(const V (&)[kFrom], V (&)[kTo]), class Load,
          class Store>
inline void transformAxes(const Load& in, const Store& out) {
  V turned[kTo][kFrom];
  // Constant indices, so that vectors stay registers.
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
