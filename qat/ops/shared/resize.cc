#include "qat/ops/shared/resize.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "qat/ops/shared/integers.h"

namespace simaqat::ops {
namespace {

const std::vector<std::string> kCoordinates = {
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
    "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"};

void expectOneOf(const Node& node, const char* name, const std::string& value,
                 const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), value) == known.end()) {
    node.fail("attribute '{}': '{}' is not known", name, value);
  }
}

TensorView viewOf(const Tensor* tensor) {
  if (tensor == nullptr) return {};
  return {tensor->type(), tensor->dims(), tensor->size(),
          const_cast<std::byte*>(tensor->rawData())};
}

float floatAt(const Node& node, const TensorView& view, int64_t i) {
  if (view.type == ElementType::kFloat) return view.data<float>()[i];
  if (view.type == ElementType::kDouble) return static_cast<float>(view.data<double>()[i]);
  node.fail("scales and roi: expected floats, got {}", elementTypeName(view.type));
}

std::vector<int64_t> axesOf(const ResizeAttributes& attributes, size_t rank) {
  if (!attributes.axes.empty()) return attributes.axes;
  std::vector<int64_t> all(rank);
  std::iota(all.begin(), all.end(), int64_t{0});
  return all;
}

// ONNX Runtime and PyTorch multiply in float: 10 times 0.7 makes 7.
int64_t scaledSize(int64_t size, float scale) {
  return static_cast<int64_t>(std::floor(static_cast<float>(size) * scale));
}

}  // namespace

void checkResizeModes(const Node& node, const ResizeAttributes& attributes) {
  expectOneOf(node, "coordinate_transformation_mode", attributes.coordinate_transformation_mode,
              kCoordinates);
  expectOneOf(node, "mode", attributes.mode, {"nearest", "linear", "cubic"});
  expectOneOf(node, "nearest_mode", attributes.nearest_mode,
              {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"});
  expectOneOf(node, "keep_aspect_ratio_policy", attributes.keep_aspect_ratio_policy,
              {"stretch", "not_larger", "not_smaller"});
}

std::optional<Shape> inferResize(const InferContext& c, const ResizeAttributes& attributes) {
  const Shape* x = c.shape(kResizeX);
  if (x == nullptr) return std::nullopt;
  const bool by_scales = c.hasInput(kResizeScales);
  if (by_scales == c.hasInput(kResizeSizes)) {
    c.node.fail("expected either scales or sizes, got {}", by_scales ? "both" : "none");
  }
  const Tensor* given = c.constant(by_scales ? kResizeScales : kResizeSizes);
  if (given == nullptr) return unknownShape(x->size());
  // A dimension without a number stands as 1 here.
  std::vector<int64_t> dims;
  for (const Dim& dim : *x) dims.push_back(dim.known() ? dim.value : 1);
  const ResizeMatrices matrices(c.node, attributes, dims, {}, viewOf(c.constant(kResizeScales)),
                                viewOf(c.constant(kResizeSizes)));
  const bool stretches = by_scales || attributes.keep_aspect_ratio_policy == "stretch";
  const bool all_known =
      std::all_of(x->begin(), x->end(), [](const Dim& dim) { return dim.known(); });
  if (!stretches && !all_known) return unknownShape(x->size());
  const std::vector<bool> named = markAxes(c.node, axesOf(attributes, x->size()), x->size());
  Shape y = *x;
  for (size_t i = 0; i < x->size(); ++i) {
    const ResizeAxis& axis = matrices.axis(i);
    if (!named[i] || (by_scales && axis.scale == 1)) continue;
    y[i] = by_scales && !(*x)[i].known() ? Dim() : Dim(axis.out);
  }
  return y;
}

ResizeMatrices::ResizeMatrices(const Node& node, const ResizeAttributes& attributes,
                               Span<const int64_t> x, const TensorView& roi,
                               const TensorView& scales, const TensorView& sizes)
    : attributes_(attributes), rank_(x.size()) {
  if (rank_ > kMaxBroadcastRank) node.fail("rank {} is too large", rank_);
  const auto mode = std::find(kCoordinates.begin(), kCoordinates.end(),
                              attributes.coordinate_transformation_mode);
  coordinates_ = static_cast<Coordinates>(mode - kCoordinates.begin());
  for (size_t i = 0; i < rank_; ++i) axes_[i].in = axes_[i].out = x[i];
  const std::vector<int64_t> axes = axesOf(attributes, rank_);
  const auto count = static_cast<int64_t>(axes.size());
  const TensorView& given = scales.present() ? scales : sizes;
  if (given.size != count) {
    node.fail("{}: expected {} numbers, got {}", scales.present() ? "scales" : "sizes", count,
              given.size);
  }
  const bool crops = coordinates_ == Coordinates::kCrop;
  if (crops && roi.present() && roi.size != 2 * count) {
    node.fail("roi: expected {} numbers, got {}", 2 * count, roi.size);
  }
  const std::string& policy = attributes.keep_aspect_ratio_policy;
  const bool stretches = scales.present() || policy == "stretch";
  double common = 0;
  for (int64_t i = 0; i < count; ++i) {
    ResizeAxis& axis = axes_[static_cast<size_t>(
        normalizeAxis(node, axes[static_cast<size_t>(i)], static_cast<int64_t>(rank_)))];
    if (scales.present()) {
      const float scale = floatAt(node, scales, i);
      if (!(scale > 0)) node.fail("scales: {} is not valid", scale);
      axis.scale = scale;
      axis.out = scaledSize(axis.in, scale);
    } else {
      axis.out = integerAt(sizes, i);
      if (axis.out < 0) node.fail("sizes: {} is not valid", axis.out);
      axis.scale = axis.in == 0 ? 1 : static_cast<double>(axis.out) / static_cast<double>(axis.in);
      const bool takes = i == 0 || (policy == "not_larger") == (axis.scale < common);
      if (takes) common = axis.scale;
    }
    if (axis.in == 0 && axis.out != 0) node.fail("input 0: nothing to resize");
    if (crops && roi.present()) {
      axis.roi_begin = floatAt(node, roi, i);
      axis.roi_end = floatAt(node, roi, i + count);
    }
  }
  for (int64_t i = 0; !stretches && i < count; ++i) {
    ResizeAxis& axis = axes_[static_cast<size_t>(
        normalizeAxis(node, axes[static_cast<size_t>(i)], static_cast<int64_t>(rank_)))];
    axis.scale = common;
    axis.out = static_cast<int64_t>(std::floor(common * static_cast<double>(axis.in) + 0.5));
  }
}

template <class T>
T ResizeMatrices::source(const ResizeAxis& axis, int64_t j) const {
  const auto x = static_cast<T>(j);
  const auto in = static_cast<T>(axis.in);
  const auto out = static_cast<T>(axis.out);
  const auto scale = static_cast<T>(axis.scale);
  const auto half = static_cast<T>(0.5);
  const T half_pixel = (x + half) / scale - half;
  switch (coordinates_) {
    case Coordinates::kHalfPixel:
      return half_pixel;
    case Coordinates::kHalfPixelSymmetric:
      return half_pixel + in / 2 * (1 - out / (scale * in));
    case Coordinates::kPytorchHalfPixel:
      return axis.out > 1 ? half_pixel : 0;
    case Coordinates::kAlignCorners:
      return axis.out > 1 ? x * (in - 1) / (out - 1) : 0;
    case Coordinates::kAsymmetric:
      return x / scale;
    case Coordinates::kTfHalfPixelForNn:
      return (x + half) / scale;
    case Coordinates::kCrop: {
      const auto begin = static_cast<T>(axis.roi_begin), end = static_cast<T>(axis.roi_end);
      return axis.out > 1 ? begin * (in - 1) + x * (end - begin) * (in - 1) / (out - 1)
                          : half * (begin + end) * (in - 1);
    }
  }
  return 0;
}

bool ResizeMatrices::outside(size_t i, int64_t j) const {
  if (coordinates_ != Coordinates::kCrop) return false;
  const auto at = source<double>(axes_[i], j);
  return at < 0 || at > static_cast<double>(axes_[i].in - 1);
}

// The kernel of linear and of cubic interpolation (Keys 1981).
double ResizeMatrices::filter(double distance) const {
  const double d = std::fabs(distance);
  if (attributes_.mode == "linear") return std::max(0.0, 1 - d);
  const double a = attributes_.cubic_coeff_a;
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

// Antialiasing stretches the filter where the result is smaller.
double ResizeMatrices::filterScale(const ResizeAxis& axis) const {
  return attributes_.antialias ? std::min(1.0, axis.scale) : 1.0;
}

// Counted from the element at or in front of the source coordinate.
int64_t ResizeMatrices::firstTap(const ResizeAxis& axis) const {
  const double support = attributes_.mode == "linear" ? 1 : 2;
  return static_cast<int64_t>(std::floor(-support / filterScale(axis))) + 1;
}

int64_t ResizeMatrices::taps(const ResizeAxis& axis) const {
  return attributes_.mode == "nearest" ? 1 : 2 - 2 * firstTap(axis);
}

int64_t ResizeMatrices::nearest(float at) const {
  const std::string& mode = attributes_.nearest_mode;
  const float rounded = mode == "floor"                ? std::floor(at)
                        : mode == "ceil"               ? std::ceil(at)
                        : mode == "round_prefer_floor" ? std::ceil(at - 0.5f)
                                                       : std::floor(at + 0.5f);
  return static_cast<int64_t>(rounded);
}

// In float, as ONNX Runtime does: where the coordinate is between two elements, or is one, its
// rounding decides which is taken.
void ResizeMatrices::fillNearest(const ResizeAxis& axis, int64_t j, int64_t* index,
                                 double* weight) const {
  *index = std::clamp<int64_t>(nearest(source<float>(axis, j)), 0, axis.in - 1);
  *weight = 1;
}

void ResizeMatrices::fillFiltered(const ResizeAxis& axis, int64_t j, int64_t* index,
                                  double* weight) const {
  const auto at = source<double>(axis, j);
  const double base = std::floor(at);
  const int64_t first = firstTap(axis);
  const int64_t count = taps(axis);
  double sum = 0;
  for (int64_t t = 0; t < count; ++t) {
    const int64_t place = static_cast<int64_t>(base) + first + t;
    const bool exists = place >= 0 && place < axis.in;
    const double distance = static_cast<double>(first + t) - (at - base);
    weight[t] = exists || !attributes_.exclude_outside ? filter(filterScale(axis) * distance) : 0;
    index[t] = std::clamp<int64_t>(place, 0, axis.in - 1);
    sum += weight[t];
  }
  if (!attributes_.antialias && !attributes_.exclude_outside) return;
  for (int64_t t = 0; t < count; ++t) weight[t] /= sum;
}

ResizeMatrices::Matrix ResizeMatrices::fill(size_t i, std::byte* memory) const {
  const ResizeAxis& axis = axes_[i];
  const int64_t count = taps(axis);
  int64_t* index = reinterpret_cast<int64_t*>(memory);
  double* weight = reinterpret_cast<double*>(index + axis.out * count);
  for (int64_t j = 0; j < axis.out; ++j) {
    if (attributes_.mode == "nearest") {
      fillNearest(axis, j, index + j, weight + j);
    } else {
      fillFiltered(axis, j, index + j * count, weight + j * count);
    }
    if (outside(i, j)) std::fill_n(weight + j * count, count, 0.0);
  }
  return {index, weight, count};
}

int64_t ResizeMatrices::matrixBytes() const {
  int64_t largest = 0;
  for (size_t i = 0; i < rank_; ++i) {
    largest = std::max(largest, axes_[i].changes() ? axes_[i].out * taps(axes_[i]) : 0);
  }
  return largest * static_cast<int64_t>(sizeof(int64_t) + sizeof(double));
}

int64_t ResizeMatrices::largestIntermediate() const {
  int64_t largest = 0;
  for (size_t changed = 0; changed < rank_; ++changed) {
    int64_t size = 1;
    for (size_t i = 0; i < rank_; ++i) size *= i <= changed ? axes_[i].out : axes_[i].in;
    largest = std::max(largest, size);
  }
  return largest;
}

int64_t resizeWorkspace(const Node& node, const ResizeAttributes& attributes,
                        const std::vector<int64_t>& x) {
  const auto constant = [&](size_t input) {
    const Value* value = node.input(input);
    return viewOf(value != nullptr && value->isConstant() ? &value->constant : nullptr);
  };
  const ResizeMatrices matrices(node, attributes, x, constant(kResizeRoi), constant(kResizeScales),
                                constant(kResizeSizes));
  const auto element = static_cast<int64_t>(elementSize(node.output()->type.element));
  return matrices.matrixBytes() + 2 * matrices.largestIntermediate() * element;
}

}  // namespace simaqat::ops
