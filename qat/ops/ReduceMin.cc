#include <limits>

#include "qat/ops/shared/reduce_extremum.h"

namespace simaqat::ops {
namespace {

struct Pick {
  template <class T>
  static bool goesBefore(T a, T b) {
    return a < b;
  }
  template <class T>
  static T ofNone() {
    using Limits = std::numeric_limits<T>;
    return Limits::has_infinity ? static_cast<T>(Limits::infinity()) : Limits::max();
  }
};

}  // namespace

OpDefinition defineReduceMin() { return reduceExtremumDefinition<Pick>("ReduceMin"); }

}  // namespace simaqat::ops
