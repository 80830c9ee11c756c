#include "qat/ops/shared/conv_transpose.h"

#include <algorithm>

#include "qat/ir/dim_limit.h"

namespace simaqat::ops {
namespace {

void expectCount(const Node& node, const char* name, const std::vector<int64_t>& list,
                 size_t count) {
  if (!list.empty() && list.size() != count) {
    node.fail("attribute '{}': expected {} numbers, got {}", name, count, list.size());
  }
}

void checkLists(const Node& node, const ConvTransposeAttributes& a, size_t rank) {
  expectCount(node, "dilations", a.dilations, rank);
  expectCount(node, "strides", a.strides, rank);
  expectCount(node, "pads", a.pads, 2 * rank);
  expectCount(node, "kernel_shape", a.kernel_shape, rank);
  expectCount(node, "output_padding", a.output_padding, rank);
  if (a.output_shape.size() != rank + 2) expectCount(node, "output_shape", a.output_shape, rank);
}

struct OutputAxis {
  int64_t size;
  int64_t pad_begin;
};

// ONNX's rule: what the output has less than all products is cut off, half at each end; what it has
// more is zero, at the end.
OutputAxis outputAxis(const Node& node, const ConvTransposeAttributes& a, size_t axis, size_t rank,
                      int64_t in, int64_t kernel) {
  const auto at = [](const std::vector<int64_t>& list, size_t i, int64_t otherwise) {
    return i < list.size() ? list[i] : otherwise;
  };
  const int64_t stride = at(a.strides, axis, 1);
  const int64_t dilation = at(a.dilations, axis, 1);
  const int64_t added = at(a.output_padding, axis, 0);
  if (!isPossibleExtent(stride, 1) || !isPossibleExtent(dilation, 1) ||
      !isPossibleExtent(kernel, 1) || !isPossibleExtent(added, 0)) {
    node.fail("kernel {}, stride {}, dilation {} and output padding {} are not valid", kernel,
              stride, dilation, added);
  }
  const int64_t whole = stride * (in - 1) + (kernel - 1) * dilation + 1 + added;
  const bool upper = a.auto_pad == "SAME_UPPER";
  if (!a.output_shape.empty() || upper || a.auto_pad == "SAME_LOWER") {
    const int64_t size =
        a.output_shape.empty() ? in * stride : a.output_shape[axis + a.output_shape.size() - rank];
    if (size < 1 || size > kMostDim) {
      node.fail("attribute 'output_shape': {} is not valid", size);
    }
    const int64_t total = std::max<int64_t>(0, whole - size);
    return {size, upper ? total / 2 : total - total / 2};
  }
  if (a.auto_pad != "NOTSET" && a.auto_pad != "VALID" && !a.auto_pad.empty()) {
    node.fail("attribute 'auto_pad': '{}' is not known", a.auto_pad);
  }
  const bool padded = a.auto_pad != "VALID";
  const int64_t begin = padded ? at(a.pads, axis, 0) : 0;
  const int64_t end = padded ? at(a.pads, axis + rank, 0) : 0;
  const bool are_pads = isPossibleExtent(begin, 0) && isPossibleExtent(end, -kMostExtent);
  const int64_t size = are_pads ? whole - begin - end : 0;
  if (size < 1) node.fail("pads {} and {} leave an output of {}", begin, end, size);
  return {size, begin};
}

}  // namespace

std::optional<Shape> inferConvTranspose(const InferContext& c,
                                        const ConvTransposeAttributes& attributes) {
  const Shape* x = c.shape(0);
  const Shape* w = c.shape(1);
  if (x == nullptr || w == nullptr) return std::nullopt;
  if (x->size() < 3 || x->size() > 5) {
    c.node.fail("input 0: expected rank 3 to 5, got {}", typeToString(c.input(0)));
  }
  c.expectRank(1, x->size());
  const size_t rank = x->size() - 2;
  checkLists(c.node, attributes, rank);
  if (!isPossibleExtent(attributes.group, 1))
    c.node.fail("attribute 'group': {} is not valid", attributes.group);
  const Dim& channels = (*x)[1];
  const Dim& rows = (*w)[0];
  if (channels.known() && rows.known() && channels.value != rows.value) {
    c.node.fail("input 1: expected {} input channels, got {}", channels.value, rows.value);
  }
  if (rows.known() && rows.value % attributes.group != 0) {
    c.node.fail("input 1: {} input channels are not a multiple of {} groups", rows.value,
                attributes.group);
  }
  const Dim out_channels = (*w)[1].known() ? Dim((*w)[1].value * attributes.group) : Dim();
  if (const Shape* bias = c.shape(2)) {
    if (bias->size() != 1 ||
        ((*bias)[0].known() && out_channels.known() && (*bias)[0].value != out_channels.value)) {
      c.node.fail("input 2: expected a bias for {} output channels, got {}", out_channels.value,
                  shapeToString(*bias));
    }
  }
  Shape y = {(*x)[0], out_channels};
  for (size_t axis = 0; axis < rank; ++axis) {
    const Dim& in = (*x)[axis + 2];
    const Dim& kernel = (*w)[axis + 2];
    if (axis < attributes.kernel_shape.size() && kernel.known() &&
        attributes.kernel_shape[axis] != kernel.value) {
      c.node.fail("input 1: expected kernel shape {}, got {}",
                  dimsToString(attributes.kernel_shape), shapeToString(*w));
    }
    const bool known = in.known() && kernel.known();
    y.push_back(known ? Dim(outputAxis(c.node, attributes, axis, rank, in.value, kernel.value).size)
                      : Dim());
  }
  return y;
}

kernels::ConvShape convTransposeShape(const Node& node, const ConvTransposeAttributes& attributes,
                                      Span<const int64_t> x, Span<const int64_t> w) {
  const size_t rank = x.size() - 2;
  kernels::ConvShape shape;
  shape.batch = x[0];
  shape.in_channels = w[1] * attributes.group;
  shape.out_channels = x[1];
  shape.group = attributes.group;
  shape.rank = static_cast<int>(rank);
  for (size_t axis = 0; axis < rank; ++axis) {
    const size_t to = axis + 3 - rank;
    const OutputAxis out = outputAxis(node, attributes, axis, rank, x[axis + 2], w[axis + 2]);
    shape.in[to] = out.size;
    shape.out[to] = x[axis + 2];
    shape.kernel[to] = w[axis + 2];
    if (!attributes.strides.empty()) shape.stride[to] = attributes.strides[axis];
    if (!attributes.dilations.empty()) shape.dilation[to] = attributes.dilations[axis];
    shape.pad_begin[to] = out.pad_begin;
  }
  return shape;
}

}  // namespace simaqat::ops
