// Elementwise functions on Eigen's arrays: apart from unary.h, since its headers cost a second.
#pragma once

#include <Eigen/Core>

#include "qat/ops/shared/unary.h"

namespace simaqat::ops {

// A fast kernel: Function's operator() on Eigen's arrays, which has vector instructions for the
// exponential and its like.
template <class Function>
void unaryKernel(const EvalContext& c) {
  const float* x = c.in(0).data<float>();
  float* y = c.out().data<float>();
  c.pool.runRanges(c.out().size, kElementwiseGrain, [=](int64_t begin, int64_t end) {
    Eigen::Map<Eigen::ArrayXf> to(y + begin, end - begin);
    Function::apply(Eigen::Map<const Eigen::ArrayXf>(x + begin, end - begin), to);
  });
}

template <class Function>
void unaryKernelBlock(const Node&, const float* const* in, float* out, int64_t n) {
  Eigen::Map<Eigen::ArrayXf> to(out, n);
  Function::apply(Eigen::Map<const Eigen::ArrayXf>(in[0], n), to);
}

}  // namespace simaqat::ops
