// How far two evaluations of a quantized network are apart.
#pragma once

#include <cstdint>
#include <vector>

#include "qat/base/tensor.h"

namespace simaqat {

// Of elements, in whole steps of a quantizer.
struct Difference {
  int64_t elements = 0;
  int64_t differing = 0;
  int64_t beyond_one = 0;
  int64_t largest = 0;

  // Tensors of the same size; `scale` is the quantizer's.
  void add(const Tensor& a, const Tensor& b, double scale);
  void merge(const Difference& other);
  double withinOne() const;
  double shareDiffering() const;
};

// The share of samples for which the largest of their logits [N, classes] is the same.
double classAgreement(const Tensor& a, const Tensor& b);

}  // namespace simaqat
