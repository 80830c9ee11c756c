#include "qat/ops/shared/arg_extremum.h"

namespace simaqat::ops {
namespace {

struct Pick {
  template <class T>
  static bool goesBefore(T a, T b) {
    return a > b;
  }
};

}  // namespace

OpDefinition defineArgMax() { return argExtremumDefinition<Pick>("ArgMax"); }

}  // namespace simaqat::ops
