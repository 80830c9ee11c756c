// Attributes of functions as a device approximates them.
#pragma once

#include "qat/ir/attributes.h"

namespace simaqat::ops {

// Of points, so that a file cannot ask for more memory than there is.
constexpr int64_t kMostSamplePoints = (1 << 16) + 1;

// `count` points at equal distances, of a quantizer's codes from `first` to `last`, which are
// numbers themselves where its scale is 1 and its zero point 0.
struct SamplePointsAttributes {
  int64_t count = 0;
  float first = 0;
  float last = 0;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    // Always written: the function that files define reads them.
    visit.required("count", self.count);
    visit.required("first", self.first);
    visit.required("last", self.last);
  }
};

struct ApproximationAttributes {
  // What finalize writes: "operators" that compute the approximation, or the "function" itself, which
  // the device approximates.
  std::string ships_as = "operators";

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("ships_as", self.ships_as);
  }
};

struct SampledSlopeAttributes {
  // Of a table, whose steps have no slope: that between the neighbours of the nearest point.
  bool of_table = false;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("of_table", self.of_table);
  }
};

}  // namespace simaqat::ops
