#include "qat/ops/shared/reduce_extremum.h"

namespace simaqat::ops {
namespace {

struct Pick {
  template <class T>
  static bool goesBefore(T a, T b) {
    return a < b;
  }
};

}  // namespace

OpDefinition defineReduceMin() { return reduceExtremumDefinition<Pick>("ReduceMin"); }

}  // namespace simaqat::ops
