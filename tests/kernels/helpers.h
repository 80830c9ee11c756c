// What tests of kernels share.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/isa.h"
#include "kernels/operands.h"
#include "qat/base/random.h"
#include "qat/base/thread_pool.h"

namespace simaqat::kernels {

inline std::vector<float> randomFloats(int64_t n, uint64_t seed, float scale = 1.0f) {
  const RandomStream stream(seed, randomPurpose("kernels test"), 0);
  std::vector<float> v(static_cast<size_t>(n));
  for (size_t i = 0; i < v.size(); ++i) v[i] = scale * stream.normal(i);
  return v;
}

// What an operand is rounded to: of bfloat16, 8 bits, ties to even.
inline float roundedTo(Operands operands, float v) {
  if (operands == Operands::kFloat || v == 0) return v;
  int exponent;
  const float mantissa = std::frexp(v, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(mantissa, 8)), exponent - 8);
}

// The instruction sets that this CPU has.
inline std::vector<Isa> available() {
  std::vector<Isa> all;
  for (const Isa isa : kAllIsas) {
    if (isa <= detectedIsa()) all.push_back(isa);
  }
  return all;
}

// Calls `function` with the kernels of each of them.
template <class Function>
void onEveryIsa(const Function& function) {
  const Isa before = kernels().isa;
  for (const Isa isa : available()) {
    setKernels(isa);
    function();
  }
  setKernels(before);
}

// Bit for bit: NaN equals itself, and zeros of different sign differ.
template <class T>
bool sameBits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

// The largest |a - b|, against the largest |b| or 1.
inline double relativeError(const std::vector<float>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return 1e300;
  double error = 0, size = 1;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(a[i] - b[i]);
    if (!(difference <= error)) error = difference;
    size = std::max(size, std::abs(b[i]));
  }
  return error / size;
}

// A workspace full of NaNs, so that what is read before it is written shows.
inline std::vector<std::byte> dirtyWorkspace(size_t bytes) {
  return std::vector<std::byte>(bytes, std::byte{0xff});
}

}  // namespace simaqat::kernels
