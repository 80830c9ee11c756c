#include "qat/ops/shared/extremum.h"

namespace simaqat::ops {
namespace {

struct Pick {
  // A NaN on either side wins.
  template <class T>
  static T choose(T a, T b) {
    return a > b || a != a ? a : b;
  }
};

}  // namespace

OpDefinition defineMax() { return extremumDefinition<Pick>("Max"); }

}  // namespace simaqat::ops
