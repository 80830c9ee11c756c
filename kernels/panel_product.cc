#include "kernels/panel_product.h"

#include <algorithm>

namespace simaqat::kernels {
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
  for (int64_t j = 0; j < p.depth; ++j, panel += kPanel<T>) {
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

}  // namespace

// 12 sums and their operands fill the 16 registers of AVX2; 8 are enough to hide their latency.
template <class T>
void multiplyPanel(const PanelProduct<T>& p) {
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
template void multiplyPanel(const PanelProduct<float>&);
template void multiplyPanel(const PanelProduct<double>&);

}  // namespace simaqat::kernels
