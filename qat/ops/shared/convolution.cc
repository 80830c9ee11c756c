#include "qat/ops/shared/convolution.h"

#include <algorithm>

#include "qat/ir/dim_limit.h"

namespace simaqat::ops {
namespace {

int64_t at(const std::vector<int64_t>& list, size_t i, int64_t otherwise) {
  return i < list.size() ? list[i] : otherwise;
}

void expectCount(const Node& node, const char* name, const std::vector<int64_t>& list,
                 size_t count) {
  if (!list.empty() && list.size() != count) {
    node.fail("attribute '{}': expected {} numbers, got {}", name, count, list.size());
  }
}

void checkLists(const Node& node, const ConvAttributes& a, size_t rank) {
  expectCount(node, "dilations", a.dilations, rank);
  expectCount(node, "strides", a.strides, rank);
  expectCount(node, "pads", a.pads, 2 * rank);
  expectCount(node, "kernel_shape", a.kernel_shape, rank);
}

WindowAxis axisOf(const ConvAttributes& a, size_t axis, size_t rank, int64_t kernel) {
  return {kernel, at(a.strides, axis, 1), at(a.dilations, axis, 1), at(a.pads, axis, 0),
          at(a.pads, axis + rank, 0)};
}

}  // namespace

int64_t windowOutput(const Node& node, const std::string& auto_pad, int64_t in, WindowAxis& axis,
                     bool ceil_mode) {
  if (!isPossibleExtent(axis.stride, 1) || !isPossibleExtent(axis.dilation, 1) ||
      !isPossibleExtent(axis.kernel, 1) || !isPossibleExtent(axis.pad_begin, 0) ||
      !isPossibleExtent(axis.pad_end, 0)) {
    node.fail("kernel {}, stride {}, dilation {} and pads {}, {} are not valid", axis.kernel,
              axis.stride, axis.dilation, axis.pad_begin, axis.pad_end);
  }
  const int64_t window = (axis.kernel - 1) * axis.dilation + 1;
  if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
    const int64_t out = (in + axis.stride - 1) / axis.stride;
    const int64_t total = std::max<int64_t>(0, (out - 1) * axis.stride + window - in);
    axis.pad_begin = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
    axis.pad_end = total - axis.pad_begin;
    return out;
  }
  if (auto_pad == "VALID") {
    axis.pad_begin = axis.pad_end = 0;
  } else if (auto_pad != "NOTSET" && !auto_pad.empty()) {
    node.fail("attribute 'auto_pad': '{}' is not known", auto_pad);
  }
  const int64_t room = in + axis.pad_begin + axis.pad_end - window;
  // Rounded up, one window that reaches out less than a stride behind the padding counts.
  if (ceil_mode && room < 0 && room > -axis.stride) return 1;
  if (room < 0) {
    node.fail("a window of {} does not fit an input of {} with pads {}, {}", window, in,
              axis.pad_begin, axis.pad_end);
  }
  int64_t out = room / axis.stride + 1;
  // A window that begins in the padding behind the input does not count.
  if (ceil_mode && room % axis.stride != 0 && out * axis.stride < in + axis.pad_begin) ++out;
  return out;
}

kernels::ConvShape convShape(const Node& node, const ConvAttributes& attributes,
                             Span<const int64_t> x, Span<const int64_t> w) {
  const size_t rank = x.size() - 2;
  if (rank < 1 || rank > 3) node.fail("{} spatial axes are not supported (1 to 3 are)", rank);
  checkLists(node, attributes, rank);
  kernels::ConvShape shape;
  shape.batch = x[0];
  shape.in_channels = x[1];
  shape.out_channels = w[0];
  shape.group = attributes.group;
  shape.rank = static_cast<int>(rank);
  for (size_t axis = 0; axis < rank; ++axis) {
    const size_t to = axis + 3 - rank;
    WindowAxis window = axisOf(attributes, axis, rank, w[axis + 2]);
    shape.in[to] = x[axis + 2];
    shape.out[to] = windowOutput(node, attributes.auto_pad, x[axis + 2], window);
    shape.kernel[to] = window.kernel;
    shape.stride[to] = window.stride;
    shape.dilation[to] = window.dilation;
    shape.pad_begin[to] = window.pad_begin;
  }
  return shape;
}

std::optional<Shape> inferConv(const InferContext& c, const ConvAttributes& attributes,
                               const ConvInputs& inputs) {
  const Shape* x = c.shape(inputs.x);
  const Shape* w = c.shape(inputs.w);
  if (x == nullptr || w == nullptr) return std::nullopt;
  if (x->size() < 3 || x->size() > 5) {
    c.node.fail("input {}: expected rank 3 to 5, got {}", inputs.x,
                typeToString(c.input(inputs.x)));
  }
  c.expectRank(inputs.w, x->size());
  const size_t rank = x->size() - 2;
  checkLists(c.node, attributes, rank);
  const Dim& channels = (*x)[1];
  const Dim& per_group = (*w)[1];
  if (!isPossibleExtent(attributes.group, 1))
    c.node.fail("attribute 'group': {} is not valid", attributes.group);
  if (channels.known() && per_group.known() &&
      channels.value != per_group.value * attributes.group) {
    c.node.fail("input {}: expected {} input channels, got {}", inputs.w,
                fmt::format("{} / {}", channels.value, attributes.group), per_group.value);
  }
  if ((*w)[0].known() && (*w)[0].value % attributes.group != 0) {
    c.node.fail("input {}: {} output channels are not a multiple of {} groups", inputs.w,
                (*w)[0].value, attributes.group);
  }
  const Shape* bias = inputs.bias ? c.shape(*inputs.bias) : nullptr;
  if (bias != nullptr) {
    if (bias->size() != 1 ||
        ((*bias)[0].known() && (*w)[0].known() && (*bias)[0].value != (*w)[0].value)) {
      c.node.fail("input {}: expected a bias for {} output channels, got {}", *inputs.bias,
                  (*w)[0].value, shapeToString(*bias));
    }
  }
  Shape y = {(*x)[0], (*w)[0]};
  for (size_t axis = 0; axis < rank; ++axis) {
    const Dim& kernel = (*w)[axis + 2];
    if (axis < attributes.kernel_shape.size() && kernel.known() &&
        attributes.kernel_shape[axis] != kernel.value) {
      c.node.fail("input {}: expected kernel shape {}, got {}", inputs.w,
                  dimsToString(attributes.kernel_shape), shapeToString(*w));
    }
    const Dim& in = (*x)[axis + 2];
    if (!in.known() || !kernel.known()) {
      y.push_back(Dim());
      continue;
    }
    WindowAxis window = axisOf(attributes, axis, rank, kernel.value);
    y.push_back(windowOutput(c.node, attributes.auto_pad, in.value, window));
  }
  return y;
}

}  // namespace simaqat::ops
