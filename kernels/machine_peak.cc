#include "kernels/machine_peak.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "kernels/isa.h"
#include "kernels/matrix_tiles.h"
#include "kernels/packet.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace simaqat::kernels {
namespace {

constexpr int64_t kRounds = 1 << 20;

// Keeps the compiler from moving, merging or dropping a register's arithmetic.
template <class V>
inline void keep(V& value) {
#if defined(__x86_64__)
  asm volatile("" : "+v"(value));
#else
  asm volatile("" : "+w"(value));
#endif
}

// Independent sums that hide the latency of a multiply-add: operations of one call.
double multiplyFloats() {
  Packet x = broadcast(1.0f), a = broadcast(0.5f), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
  keep(x);
  for (int64_t i = 0; i < kRounds; ++i) {
    a = multiplyAdd(x, x, a), b = multiplyAdd(x, x, b), c = multiplyAdd(x, x, c);
    d = multiplyAdd(x, x, d), e = multiplyAdd(x, x, e), f = multiplyAdd(x, x, f);
    g = multiplyAdd(x, x, g), h = multiplyAdd(x, x, h);
    keep(a), keep(b), keep(c), keep(d), keep(e), keep(f), keep(g), keep(h);
  }
  return 2.0 * 8 * kLanes * kRounds;
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) double multiplyWideFloats() {
  __m512 x = _mm512_set1_ps(1.0f), a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x;
  keep(x);
  for (int64_t i = 0; i < kRounds; ++i) {
    a = _mm512_fmadd_ps(x, x, a), b = _mm512_fmadd_ps(x, x, b), c = _mm512_fmadd_ps(x, x, c);
    d = _mm512_fmadd_ps(x, x, d), e = _mm512_fmadd_ps(x, x, e), f = _mm512_fmadd_ps(x, x, f);
    g = _mm512_fmadd_ps(x, x, g), h = _mm512_fmadd_ps(x, x, h);
    keep(a), keep(b), keep(c), keep(d), keep(e), keep(f), keep(g), keep(h);
  }
  return 2.0 * 8 * 16 * kRounds;
}

__attribute__((target("avx512f,avx512vnni"))) double multiplyCodesOfVectors() {
  __m512i x = _mm512_set1_epi8(1), a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x;
  keep(x);
  for (int64_t i = 0; i < kRounds; ++i) {
    a = _mm512_dpbusd_epi32(a, x, x), b = _mm512_dpbusd_epi32(b, x, x);
    c = _mm512_dpbusd_epi32(c, x, x), d = _mm512_dpbusd_epi32(d, x, x);
    e = _mm512_dpbusd_epi32(e, x, x), f = _mm512_dpbusd_epi32(f, x, x);
    g = _mm512_dpbusd_epi32(g, x, x), h = _mm512_dpbusd_epi32(h, x, x);
    keep(a), keep(b), keep(c), keep(d), keep(e), keep(f), keep(g), keep(h);
  }
  return 2.0 * 8 * 64 * kRounds;
}
#endif

double multiplyTiles() {
  const MatrixTiles tiles;
  constexpr int64_t kDepth = 64;
  alignas(64) static const std::byte operands[2 * kTileBytes] = {};
  int64_t offsets[kDepth] = {};
  alignas(64) int32_t sums[4 * kTileSums];
  const MatrixProduct product{operands, 0, {operands, operands}, offsets, 64, 0, kDepth, 2, 2, sums};
  // Left tiles follow one another: a depth of one keeps them in the cache.
  MatrixProduct one = product;
  one.depth = 2;
  constexpr int64_t kCalls = kRounds / 64;
  for (int64_t i = 0; i < kCalls; ++i) multiplyCodeTiles(one);
  return 2.0 * 4 * 2 * 16 * 16 * 64 * kCalls;
}

// Operations a second of `work` on every thread; the best of three.
template <class Work>
double rate(ThreadPool& pool, Work&& work) {
  double best = 0;
  for (int attempt = 0; attempt < 3; ++attempt) {
    std::vector<double> operations(static_cast<size_t>(pool.threads()));
    const auto begin = std::chrono::steady_clock::now();
    pool.run(pool.threads(), [&](int64_t tile, int) { operations[static_cast<size_t>(tile)] = work(); });
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    double all = 0;
    for (double own : operations) all += own;
    best = std::max(best, all / time.count());
  }
  return best;
}

double bandwidth(ThreadPool& pool) {
  constexpr size_t kBytes = size_t{64} << 20;  // beyond the caches of a thread
  std::vector<std::vector<std::byte>> from(static_cast<size_t>(pool.threads()));
  std::vector<std::vector<std::byte>> to(from.size());
  for (size_t i = 0; i < from.size(); ++i) from[i].resize(kBytes), to[i].resize(kBytes);
  double best = 0;
  for (int attempt = 0; attempt < 3; ++attempt) {
    const auto begin = std::chrono::steady_clock::now();
    pool.run(pool.threads(), [&](int64_t tile, int) {
      const auto i = static_cast<size_t>(tile);
      std::memcpy(to[i].data(), from[i].data(), kBytes);
    });
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    best = std::max(best, 2.0 * static_cast<double>(kBytes) * pool.threads() / time.count());
  }
  return best;
}

}  // namespace

MachinePeak measurePeak(ThreadPool& pool) {
  MachinePeak peak{rate(pool, multiplyFloats), 0, bandwidth(pool)};
  const Isa isa = kernels().isa;
#if defined(__x86_64__)
  if (isa >= Isa::kAvx512) {
    peak.float_operations = std::max(peak.float_operations, rate(pool, multiplyWideFloats));
  }
  if (isa >= Isa::kAvx512Vnni) peak.integer_operations = rate(pool, multiplyCodesOfVectors);
#endif
  if (isa == Isa::kAmx) {
    peak.integer_operations = std::max(peak.integer_operations, rate(pool, multiplyTiles));
  }
  // Without an instruction for codes they are multiplied in 16 bits, twice as many at a time as floats.
  peak.integer_operations = std::max(peak.integer_operations, 2 * peak.float_operations);
  return peak;
}

}  // namespace simaqat::kernels
