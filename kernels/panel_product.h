// The inner loop of convolution, its gradients and matrix multiplication.
//
// One operand is a "panel": what kPanel neighbouring columns of the result multiply by, packed. The
// other is read where it lies "through tables": element (i, j) is source[row[i] + offset[j]], so
// that a convolution needs no im2col matrix: positions and taps of a window are shifts of one
// padded image (Dukhan 2019, "The Indirect Convolution Algorithm", has the same idea with
// pointers). It is read element by element, so that it may lie anywhere.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/bfloat16.h"
#include "kernels/packet.h"

namespace simaqat::kernels {

// What sums of products of T are taken in: T itself, or float where T is two bfloat16 numbers.
template <class T>
struct SumOfProducts {
  using Type = T;
};
template <>
struct SumOfProducts<Bfloat16Pair> {
  using Type = float;
};
template <class T>
using SumOf = typename SumOfProducts<T>::Type;

template <class T>
constexpr int64_t kPanel = 2 * Eigen::internal::packet_traits<SumOf<T>>::size;

template <class T>
int64_t panels(int64_t columns) {
  return (columns + kPanel<T> - 1) / kPanel<T>;
}

// Of `columns` in panels, those that the panel of this number has.
template <class T>
int64_t columnsOfPanel(int64_t columns, int64_t panel) {
  return std::min(kPanel<T>, columns - panel * kPanel<T>);
}

// Terms that are worth a pass: with more, a panel leaves the L1 cache.
constexpr int64_t kPanelDepth = 256;

// result[i * result_stride + lane] += sum over j in [0, depth) of
//     source[row[i] + offset[j]] * panel[j * panel_row + lane]
// for i in [0, rows) and the lanes of a panel, and the same for each further panel, panel_stride
// behind the one before, with results panel_results behind its. Of the last panel, lanes behind
// `columns` may be left out. A sum starts from zero and is one chain of fused multiply-adds in the
// order of j. The product of two Bfloat16Pairs is that of their second numbers plus that of their
// first, added in this order; where the processor has an instruction for it (isa.h), numbers below
// float's least normal one are zero.
template <class T>
struct PanelProduct {
  const T* source;
  const int64_t* row;
  int64_t rows;
  const int64_t* offset;
  int64_t depth;
  const T* panel;
  int64_t columns;
  SumOf<T>* result;
  int64_t result_stride;
  bool adds = true;
  int64_t panels = 1;
  int64_t panel_stride = 0, panel_results = 0;
  int64_t panel_row = kPanel<T>;  // of pairs always that
};
// Panels that are multiplied together at most, and those that are worth it on this processor:
// without registers for them, what they take of the cache only costs.
constexpr int64_t kPanelsTogether = 2;
int64_t panelsTogether();
template <class T>
void multiplyPanel(const PanelProduct<T>& product);

// The versions in isa.h's table.
namespace baseline {
template <class T>
void multiplyPanel(const PanelProduct<T>& product);
}
#if defined(__x86_64__)
namespace avx512 {
template <class T>
void multiplyPanel(const PanelProduct<T>& product);
}
namespace avx512bf16 {
void multiplyPanel(const PanelProduct<Bfloat16Pair>& product);
}
#endif

}  // namespace simaqat::kernels
