#include "qat/ops/shared/arg_extremum.h"

namespace simaqat::ops {
namespace {

struct Pick {
  template <class T>
  static bool goesBefore(T a, T b) {
    return a < b;
  }
};

}  // namespace

OpDefinition defineArgMin() { return argExtremumDefinition<Pick>("ArgMin"); }

}  // namespace simaqat::ops
