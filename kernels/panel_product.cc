#include "kernels/panel_product.h"

#include <algorithm>
#include <cmath>

#include "kernels/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace simaqat::kernels {
namespace {

// The panels [first, first + count) alone.
template <class T>
PanelProduct<T> panelsOf(PanelProduct<T> p, int64_t first, int64_t count) {
  if (first + count < p.panels) p.columns = kPanel<T>;
  p.panels = count;
  p.panel += first * p.panel_stride;
  p.result += first * p.panel_results;
  return p;
}

}  // namespace

namespace baseline {
namespace {

// kRows x kVectors sums stay in registers. Where there are fewer rows, the last one is computed
// again and not stored.
template <int kRows, int kVectors, class T>
void multiplyRows(const PanelProduct<T>& p, int64_t first, int64_t rows) {
  using Vector = typename Eigen::internal::packet_traits<T>::type;
  constexpr int64_t kSize = Eigen::internal::packet_traits<T>::size;
  const T* base[kRows];
  Vector sum[kRows][kVectors];
  for (int i = 0; i < kRows; ++i) {
    base[i] = p.source + p.row[first + std::min<int64_t>(i, rows - 1)];
    for (int v = 0; v < kVectors; ++v) sum[i][v] = Eigen::internal::pset1<Vector>(0);
  }
  const T* panel = p.panel;
  for (int64_t j = 0; j < p.depth; ++j, panel += p.panel_row) {
    const int64_t offset = p.offset[j];
    Vector w[kVectors];
    for (int v = 0; v < kVectors; ++v) w[v] = Eigen::internal::ploadu<Vector>(panel + v * kSize);
    for (int i = 0; i < kRows; ++i) {
      const Vector x = Eigen::internal::pset1<Vector>(base[i][offset]);
      for (int v = 0; v < kVectors; ++v) sum[i][v] = Eigen::internal::pmadd(x, w[v], sum[i][v]);
    }
  }
  T* result = p.result + first * p.result_stride;
  // Constant indices, so that sums stay registers.
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
    if (i >= rows) break;
    for (int v = 0; v < kVectors; ++v) {
      T* to = result + i * p.result_stride + v * kSize;
      if (p.adds) sum[i][v] = Eigen::internal::padd(Eigen::internal::ploadu<Vector>(to), sum[i][v]);
      Eigen::internal::pstoreu(to, sum[i][v]);
    }
  }
}

// 12 sums and their operands fill the 16 registers of AVX2; 8 are enough to hide their latency.
template <class T>
void multiplyOne(const PanelProduct<T>& p) {
  const bool is_half = p.columns <= kPanel<T> / 2;
  for (int64_t i = 0; i < p.rows;) {
    const int64_t left = p.rows - i;
    if (is_half) {
      multiplyRows<8, 1>(p, i, std::min<int64_t>(left, 8));
      i += 8;
    } else if (left > 4) {
      multiplyRows<6, 2>(p, i, std::min<int64_t>(left, 6));
      i += 6;
    } else {
      multiplyRows<4, 2>(p, i, left);
      i += 4;
    }
  }
}

}  // namespace

template <class T>
void multiplyPanel(const PanelProduct<T>& p) {
  for (int64_t i = 0; i < p.panels; ++i) multiplyOne(panelsOf(p, i, 1));
}
template void multiplyPanel(const PanelProduct<float>&);
template void multiplyPanel(const PanelProduct<double>&);

// For where there is no instruction.
template <>
void multiplyPanel(const PanelProduct<Bfloat16Pair>& p) {
  for (int64_t q = 0; q < p.panels; ++q) {
    for (int64_t i = 0; i < p.rows; ++i) {
      float sum[kPanel<float>] = {};
      const Bfloat16Pair* w = p.panel + q * p.panel_stride;
      for (int64_t j = 0; j < p.depth; ++j, w += kPanel<float>) {
        const Bfloat16Pair x = p.source[p.row[i] + p.offset[j]];
        const float first = firstOf(x), second = secondOf(x);
        for (int64_t lane = 0; lane < kPanel<float>; ++lane) {
          sum[lane] = std::fma(second, secondOf(w[lane]), sum[lane]);
          sum[lane] = std::fma(first, firstOf(w[lane]), sum[lane]);
        }
      }
      float* to = p.result + q * p.panel_results + i * p.result_stride;
      for (int64_t lane = 0; lane < kPanel<float>; ++lane) {
        to[lane] = p.adds ? to[lane] + sum[lane] : sum[lane];
      }
    }
  }
}

}  // namespace baseline

#if defined(__x86_64__)
#define SIMAQAT_AVX512 __attribute__((target("avx512f")))
namespace avx512 {
namespace {

SIMAQAT_AVX512 inline __m512 broadcastWide(float v) { return _mm512_set1_ps(v); }
SIMAQAT_AVX512 inline __m512 loadWide(const float* p) { return _mm512_loadu_ps(p); }
SIMAQAT_AVX512 inline void storeWide(float* p, __m512 v) { _mm512_storeu_ps(p, v); }
SIMAQAT_AVX512 inline __m512 multiplyAddWide(__m512 a, __m512 b, __m512 c) {
  return _mm512_fmadd_ps(a, b, c);
}
SIMAQAT_AVX512 inline __m512d broadcastWide(double v) { return _mm512_set1_pd(v); }
SIMAQAT_AVX512 inline __m512d loadWide(const double* p) { return _mm512_loadu_pd(p); }
SIMAQAT_AVX512 inline void storeWide(double* p, __m512d v) { _mm512_storeu_pd(p, v); }
SIMAQAT_AVX512 inline __m512d multiplyAddWide(__m512d a, __m512d b, __m512d c) {
  return _mm512_fmadd_pd(a, b, c);
}

// A vector is a panel. 8 rows' addresses fit into general registers, and their sums hide each
// other's latency. An element of the source is read once for all panels. Where there are fewer
// rows, the last one is computed again and not stored.
template <int kRows, int kPanels, class T>
SIMAQAT_AVX512 void multiplyRows(const PanelProduct<T>& p, int64_t first, int64_t rows) {
  using Vector = decltype(loadWide(p.panel));
  static_assert(sizeof(Vector) == kPanel<T> * sizeof(T));
  const T* base[kRows];
  Vector sum[kRows][kPanels];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    base[i] = p.source + p.row[first + std::min<int64_t>(i, rows - 1)];
#pragma GCC unroll 2
    for (int v = 0; v < kPanels; ++v) sum[i][v] = broadcastWide(T{0});
  }
  const T* panel = p.panel;
  for (int64_t j = 0; j < p.depth; ++j, panel += p.panel_row) {
    const int64_t offset = p.offset[j];
    Vector w[kPanels];
#pragma GCC unroll 2
    for (int v = 0; v < kPanels; ++v) w[v] = loadWide(panel + v * p.panel_stride);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const Vector x = broadcastWide(base[i][offset]);
#pragma GCC unroll 2
      for (int v = 0; v < kPanels; ++v) sum[i][v] = multiplyAddWide(x, w[v], sum[i][v]);
    }
  }
  T* result = p.result + first * p.result_stride;
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    if (i >= rows) break;
#pragma GCC unroll 2
    for (int v = 0; v < kPanels; ++v) {
      T* to = result + i * p.result_stride + v * p.panel_results;
      if (p.adds) sum[i][v] = loadWide(to) + sum[i][v];
      storeWide(to, sum[i][v]);
    }
  }
}

template <int kPanels, class T>
SIMAQAT_AVX512 void multiplyTogether(const PanelProduct<T>& p) {
  for (int64_t i = 0; i < p.rows;) {
    const int64_t left = p.rows - i;
    if (left > 4) {
      multiplyRows<8, kPanels>(p, i, std::min<int64_t>(left, 8));
      i += 8;
    } else {
      multiplyRows<4, kPanels>(p, i, left);
      i += 4;
    }
  }
}

}  // namespace

template <class T>
SIMAQAT_AVX512 void multiplyPanel(const PanelProduct<T>& p) {
  for (int64_t i = 0; i < p.panels;) {
    if (p.panels - i >= kPanelsTogether) {
      multiplyTogether<kPanelsTogether>(panelsOf(p, i, kPanelsTogether));
      i += kPanelsTogether;
      continue;
    }
    const PanelProduct<T> last = panelsOf(p, i++, 1);
    if (last.columns <= kPanel<T> / 2) {
      baseline::multiplyPanel(last);
    } else {
      multiplyTogether<1>(last);
    }
  }
}
template void multiplyPanel(const PanelProduct<float>&);
template void multiplyPanel(const PanelProduct<double>&);

}  // namespace avx512
#undef SIMAQAT_AVX512

#define SIMAQAT_AVX512_BF16 __attribute__((target("avx512f,avx512bf16")))
namespace avx512bf16 {
namespace {

SIMAQAT_AVX512_BF16 inline __m512bh pairsOf(__m512i bits) {
  return reinterpret_cast<__m512bh>(bits);
}

// As above: a vector is a panel.
template <int kRows, int kPanels>
SIMAQAT_AVX512_BF16 void multiplyRows(const PanelProduct<Bfloat16Pair>& p, int64_t first,
                                      int64_t rows) {
  const Bfloat16Pair* base[kRows];
  __m512 sum[kRows][kPanels];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    base[i] = p.source + p.row[first + std::min<int64_t>(i, rows - 1)];
#pragma GCC unroll 2
    for (int v = 0; v < kPanels; ++v) sum[i][v] = _mm512_setzero_ps();
  }
  const Bfloat16Pair* panel = p.panel;
  for (int64_t j = 0; j < p.depth; ++j, panel += kPanel<float>) {
    const int64_t offset = p.offset[j];
    __m512bh w[kPanels];
#pragma GCC unroll 2
    for (int v = 0; v < kPanels; ++v)
      w[v] = pairsOf(_mm512_loadu_si512(panel + v * p.panel_stride));
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const __m512bh x = pairsOf(_mm512_set1_epi32(static_cast<int>(base[i][offset].bits)));
#pragma GCC unroll 2
      for (int v = 0; v < kPanels; ++v) sum[i][v] = _mm512_dpbf16_ps(sum[i][v], x, w[v]);
    }
  }
  float* result = p.result + first * p.result_stride;
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    if (i >= rows) break;
#pragma GCC unroll 2
    for (int v = 0; v < kPanels; ++v) {
      float* to = result + i * p.result_stride + v * p.panel_results;
      if (p.adds) sum[i][v] = _mm512_loadu_ps(to) + sum[i][v];
      _mm512_storeu_ps(to, sum[i][v]);
    }
  }
}

template <int kPanels>
SIMAQAT_AVX512_BF16 void multiplyTogether(const PanelProduct<Bfloat16Pair>& p) {
  for (int64_t i = 0; i < p.rows;) {
    const int64_t left = p.rows - i;
    if (left > 4) {
      multiplyRows<8, kPanels>(p, i, std::min<int64_t>(left, 8));
      i += 8;
    } else {
      multiplyRows<4, kPanels>(p, i, left);
      i += 4;
    }
  }
}

}  // namespace

void multiplyPanel(const PanelProduct<Bfloat16Pair>& p) {
  int64_t i = 0;
  for (; i + kPanelsTogether <= p.panels; i += kPanelsTogether) {
    multiplyTogether<kPanelsTogether>(panelsOf(p, i, kPanelsTogether));
  }
  if (i < p.panels) multiplyTogether<1>(panelsOf(p, i, 1));
}

}  // namespace avx512bf16
#undef SIMAQAT_AVX512_BF16
#endif

int64_t panelsTogether() { return kernels().isa >= Isa::kAvx512 ? kPanelsTogether : 1; }

template <>
void multiplyPanel(const PanelProduct<float>& product) {
  kernels().multiplyPanel(product);
}
template <>
void multiplyPanel(const PanelProduct<double>& product) {
  kernels().multiplyPanelInDouble(product);
}
template <>
void multiplyPanel(const PanelProduct<Bfloat16Pair>& product) {
  kernels().multiplyPanelOfPairs(product);
}

}  // namespace simaqat::kernels
