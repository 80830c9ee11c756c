// Sums of floats in double, whose rounding does not show in a float result.
//
// Eight running sums for the elements i with i mod 8 = 0..7, in vector registers; their order of
// addition follows from the length alone.
#pragma once

#include <cstdint>
#include <cstring>

namespace simaqat::kernels {

typedef float Float4 __attribute__((vector_size(16)));
typedef double Double4 __attribute__((vector_size(32)));

inline Float4 loadFloat4(const float* p) {
  Float4 v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}
inline Double4 toDouble4(Float4 v) { return __builtin_convertvector(v, Double4); }
inline Double4 loadDouble4(const float* p) { return toDouble4(loadFloat4(p)); }

// A running sum: add eight elements at a time while there are, then single ones.
class WideSum {
 public:
  void add(Double4 low, Double4 high) {
    low_ += low;
    high_ += high;
  }
  void add(double v) { rest_ += v; }
  // The eight running sums.
  void get(double (&lanes)[8]) const {
    std::memcpy(lanes, &low_, sizeof(low_));
    std::memcpy(lanes + 4, &high_, sizeof(high_));
  }
  void set(const double (&lanes)[8]) {
    std::memcpy(&low_, lanes, sizeof(low_));
    std::memcpy(&high_, lanes + 4, sizeof(high_));
  }
  double total() const {
    const Double4 lanes = low_ + high_;
    return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]) + rest_;
  }

 private:
  Double4 low_{};
  Double4 high_{};
  double rest_ = 0;
};

}  // namespace simaqat::kernels
