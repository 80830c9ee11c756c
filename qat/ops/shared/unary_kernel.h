// Elementwise functions on Eigen's arrays: apart from unary.h, since its headers cost a second.
#pragma once

#include <Eigen/Core>
#include <algorithm>

#include "qat/ops/shared/unary.h"

namespace simaqat::ops {

// y = Function(x) on Eigen's arrays, which have vector instructions for the exponential and its
// like. The last elements are computed as a vector, too: an element's bits do not depend on where
// it lies.
template <class Function>
void applyToVectors(const float* x, float* y, int64_t n) {
  constexpr int64_t kVector = 16;
  const int64_t whole = n / kVector * kVector;
  Eigen::Map<Eigen::ArrayXf> to(y, whole);
  Function::apply(Eigen::Map<const Eigen::ArrayXf>(x, whole), to);
  if (whole == n) return;
  Eigen::Array<float, kVector, 1> in = Eigen::Array<float, kVector, 1>::Zero(), out;
  std::copy(x + whole, x + n, in.data());
  Function::apply(in, out);
  std::copy(out.data(), out.data() + (n - whole), y + whole);
}

// A fast kernel.
template <class Function>
void unaryKernel(const EvalContext& c) {
  const float* x = c.in(0).data<float>();
  float* y = c.out().data<float>();
  c.pool.runRanges(c.out().size, kElementwiseGrain, [=](int64_t begin, int64_t end) {
    applyToVectors<Function>(x + begin, y + begin, end - begin);
  });
}

template <class Function>
void unaryKernelBlock(const Node&, const float* const* in, float* out, int64_t n) {
  applyToVectors<Function>(in[0], out, n);
}

}  // namespace simaqat::ops
