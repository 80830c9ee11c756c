#include "qat/ops/shared/resize.h"

namespace simaqat::ops {
namespace {

// dx of Resize, from inputs (dy, roi, scales, sizes): the matrices transposed.

void infer(InferContext& c) {
  c.setOutput(0, c.input(0).element, toShape(c.node.attributes<ResizeGradientAttributes>().shape));
}

// One axis of dy [outer, out, inner].
template <class T>
void transposedAxis(const ResizeMatrices::Matrix& matrix, const ResizeAxis& axis, int64_t outer,
                    int64_t inner, const T* dy, T* dx, ThreadPool& pool) {
  const int64_t work = axis.out * inner * matrix.taps;
  pool.runRanges(outer, kElementwiseGrain / (work + 1) + 1, [&](int64_t begin, int64_t end) {
    std::fill(dx + begin * axis.in * inner, dx + end * axis.in * inner, T{0});
    for (int64_t row = begin * axis.out; row < end * axis.out; ++row) {
      const T* from = dy + row * inner;
      T* to = dx + row / axis.out * axis.in * inner;
      for (int64_t t = 0; t < matrix.taps; ++t) {
        const int64_t at = row % axis.out * matrix.taps + t;
        const T weight = static_cast<T>(matrix.weight[at]);
        T* tap = to + matrix.index[at] * inner;
        for (int64_t i = 0; i < inner; ++i) tap[i] += weight * from[i];
      }
    }
  });
}

template <class T>
void resizeGradient(const EvalContext& c, const ResizeMatrices& matrices) {
  const Span<const int64_t> out = c.in(0).dims;
  const Span<const int64_t> in = c.out().dims;
  T* buffers = reinterpret_cast<T*>(c.workspace + matrices.matrixBytes());
  size_t first = matrices.rank();
  for (size_t i = matrices.rank(); i-- > 0;) {
    if (matrices.axis(i).changes()) first = i;
  }
  if (first == matrices.rank()) return copyBytes(c);
  const T* from = c.in(0).data<T>();
  for (size_t i = matrices.rank(); i-- > first;) {
    if (!matrices.axis(i).changes()) continue;
    T* to = i == first ? c.out().data<T>()
                       : buffers + (from == buffers ? matrices.largestIntermediate() : 0);
    transposedAxis(matrices.fill(i, c.workspace), matrices.axis(i), product(out, 0, i),
                   product(in, i + 1, in.size()), from, to, c.pool);
    from = to;
  }
}

void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<ResizeGradientAttributes>();
  const auto input = [&](size_t i) { return c.hasIn(i) ? c.in(i) : TensorView(); };
  const ResizeMatrices matrices(c.node, attributes, attributes.shape, input(kResizeRoi),
                                input(kResizeScales), input(kResizeSizes));
  visitFloat(c, c.out().type, [&](auto tag) { resizeGradient<decltype(tag)>(c, matrices); });
}

int64_t workspace(const Node& node, int) {
  const auto& attributes = node.attributes<ResizeGradientAttributes>();
  return resizeWorkspace(node, attributes, attributes.shape);
}

}  // namespace

OpDefinition defineResizeGradient() {
  OpDefinition op;
  op.name = "ResizeGradient";
  op.domain = "simaqat";
  op.min_inputs = 1;
  op.max_inputs = 4;
  op.make_attributes = &makeAttributes<ResizeGradientAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.workspace = workspace;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
