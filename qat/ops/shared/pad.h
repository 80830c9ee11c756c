// What Pad and its gradient share: data, pads, the constant, axes are the inputs of both.
#pragma once

#include "qat/ops/shared/integers.h"
#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {

struct PadAttributes {
  std::string mode = "constant";

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("mode", self.mode);
  }
};

struct PadGradientAttributes : PadAttributes {
  // The data's dimensions.
  std::vector<int64_t> shape;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    PadAttributes::fields(self, visit);
    visit.required("shape", self.shape);
  }
};

// What is added in front of each axis; a negative number is cut off.
Strides padsInFront(const EvalContext& c);

// Where the elements of a padded tensor come from, in every mode but the constant one.
class PadWalk {
 public:
  PadWalk(const EvalContext& c, const std::string& mode, Span<const int64_t> data,
          Span<const int64_t> padded);

  // Elements with the same index on the leading axes, which are not padded, are apart from others.
  int64_t outer() const { return outer_; }
  // The data's element that element i of the padded tensor is.
  int64_t source(int64_t i) const;

 private:
  enum class Mode { kEdge, kReflect, kWrap };
  int64_t sourceIndex(int64_t i, int64_t size) const;

  Mode mode_;
  Span<const int64_t> data_;
  Span<const int64_t> padded_;
  Strides front_;
  Strides strides_;
  int64_t outer_ = 1;
};

}  // namespace simaqat::ops
