// What Resize and its gradient share: y is x times one sparse matrix along each axis.
#pragma once

#include <array>

#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {

struct ResizeAttributes {
  bool antialias = false;
  std::vector<int64_t> axes;
  std::string coordinate_transformation_mode = "half_pixel";
  float cubic_coeff_a = -0.75f;
  bool exclude_outside = false;
  float extrapolation_value = 0;
  std::string keep_aspect_ratio_policy = "stretch";
  std::string mode = "nearest";
  std::string nearest_mode = "round_prefer_floor";

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("antialias", self.antialias);
    visit("axes", self.axes);
    visit("coordinate_transformation_mode", self.coordinate_transformation_mode);
    visit("cubic_coeff_a", self.cubic_coeff_a);
    visit("exclude_outside", self.exclude_outside);
    visit("extrapolation_value", self.extrapolation_value);
    visit("keep_aspect_ratio_policy", self.keep_aspect_ratio_policy);
    visit("mode", self.mode);
    visit("nearest_mode", self.nearest_mode);
  }
};

struct ResizeGradientAttributes : ResizeAttributes {
  // The dimensions of x.
  std::vector<int64_t> shape;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    ResizeAttributes::fields(self, visit);
    visit.required("shape", self.shape);
  }
};

// The inputs of Resize; of its gradient too, with dy in place of x.
enum ResizeInput { kResizeX, kResizeRoi, kResizeScales, kResizeSizes };

// One axis: its sizes and, in the input's coordinates, what is looked at.
struct ResizeAxis {
  int64_t in = 1;
  int64_t out = 1;
  double scale = 1;
  double roi_begin = 0;
  double roi_end = 1;
  bool changes() const { return in != out || scale != 1 || roi_begin != 0 || roi_end != 1; }
};
// Resize lets a node through or throws an Error that names it.
void checkResizeModes(const Node& node, const ResizeAttributes& attributes);

// The output's shape, with unknown dimensions where x's, scales or sizes are.
std::optional<Shape> inferResize(const InferContext& c, const ResizeAttributes& attributes);

// The matrices. Along an axis, element j of the output is the sum over t of
// weight[j * taps + t] * x[index[j * taps + t]].
class ResizeMatrices {
 public:
  // `x` are x's dimensions; roi, scales and sizes the node's, or not present.
  ResizeMatrices(const Node& node, const ResizeAttributes& attributes, Span<const int64_t> x,
                 const TensorView& roi, const TensorView& scales, const TensorView& sizes);

  size_t rank() const { return rank_; }
  const ResizeAxis& axis(size_t i) const { return axes_[i]; }

  struct Matrix {
    const int64_t* index;
    const double* weight;
    int64_t taps;
  };
  // In memory of `matrixBytes`. Every weight of an element outside is zero.
  Matrix fill(size_t axis, std::byte* memory) const;
  int64_t matrixBytes() const;
  // Whether element j lies outside of x, where cropping gives the extrapolation value.
  bool outside(size_t axis, int64_t j) const;
  // Axes are gone through from the first to the last, each making an array of its own.
  int64_t largestIntermediate() const;

 private:
  enum class Coordinates {
    kHalfPixel,
    kHalfPixelSymmetric,
    kPytorchHalfPixel,
    kAlignCorners,
    kAsymmetric,
    kTfHalfPixelForNn,
    kCrop
  };
  template <class T>
  T source(const ResizeAxis& axis, int64_t j) const;
  double filter(double distance) const;
  double filterScale(const ResizeAxis& axis) const;
  int64_t firstTap(const ResizeAxis& axis) const;
  int64_t taps(const ResizeAxis& axis) const;
  int64_t nearest(float at) const;
  void fillNearest(const ResizeAxis& axis, int64_t j, int64_t* index, double* weight) const;
  void fillFiltered(const ResizeAxis& axis, int64_t j, int64_t* index, double* weight) const;

  const ResizeAttributes& attributes_;
  Coordinates coordinates_;
  size_t rank_;
  std::array<ResizeAxis, kMaxBroadcastRank> axes_;
};

// Scratch memory of Resize and its gradient: one matrix, then two arrays of the largest size
// between axes.
int64_t resizeWorkspace(const Node& node, const ResizeAttributes& attributes,
                        const std::vector<int64_t>& x);

}  // namespace simaqat::ops
