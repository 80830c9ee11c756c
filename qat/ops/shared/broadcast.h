// Elementwise evaluation with NumPy's broadcasting, cut into tiles by shape alone.
#pragma once

#include <array>
#include <utility>

#include "qat/ir/op.h"

namespace simaqat::ops {

// Elements a tile covers: small enough to spread, large enough to pay for handing it out.
constexpr int64_t kElementwiseGrain = 16384;

constexpr int kMaxBroadcastRank = 10;

// How N operands are walked along an output shape: adjacent axes that all operands treat alike are
// merged, and an operand has stride 0 along an axis it is broadcast over.
template <int N>
struct BroadcastWalk {
  int rank = 0;
  std::array<int64_t, kMaxBroadcastRank> dims{};
  std::array<std::array<int64_t, kMaxBroadcastRank>, N> strides{};

  BroadcastWalk(const Node& node, Span<const int64_t> out, const std::array<TensorView, N>& in) {
    if (out.size() > kMaxBroadcastRank) node.fail("rank {} is too large", out.size());
    std::array<int64_t, N> step;
    step.fill(1);
    // From the last axis to the first; axes are merged as they come, then reversed.
    for (size_t k = 0; k < out.size(); ++k) {
      const int64_t dim = out[out.size() - 1 - k];
      std::array<int64_t, N> stride{};
      for (int n = 0; n < N; ++n) {
        const auto& dims_n = in[static_cast<size_t>(n)].dims;
        const int64_t own = k < dims_n.size() ? dims_n[dims_n.size() - 1 - k] : 1;
        stride[static_cast<size_t>(n)] = own == 1 ? 0 : step[static_cast<size_t>(n)];
        step[static_cast<size_t>(n)] *= own;
      }
      append(dim, stride);
    }
    if (rank == 0) append(1, {});
  }

  int64_t inner() const { return dims[0]; }
  int64_t outer() const {
    int64_t count = 1;
    for (int k = 1; k < rank; ++k) count *= dims[static_cast<size_t>(k)];
    return count;
  }
  // The offsets of the operands where row `row` of the inner axis begins.
  std::array<int64_t, N> offsets(int64_t row) const {
    std::array<int64_t, N> result{};
    for (int k = 1; k < rank; ++k) {
      const auto axis = static_cast<size_t>(k);
      const int64_t index = row % dims[axis];
      row /= dims[axis];
      for (size_t n = 0; n < N; ++n) result[n] += index * strides[n][axis];
    }
    return result;
  }

 private:
  void append(int64_t dim, const std::array<int64_t, N>& stride) {
    if (dim == 1 && rank > 0) return;
    if (rank > 0) {
      const auto last = static_cast<size_t>(rank - 1);
      bool merges = true;
      for (size_t n = 0; n < N; ++n) {
        merges = merges && stride[n] == strides[n][last] * dims[last];
      }
      if (merges) {
        dims[last] *= dim;
        return;
      }
      // A leading axis of 1 says nothing of strides: what follows takes its place.
      if (dims[last] == 1) --rank;
    }
    const auto axis = static_cast<size_t>(rank++);
    dims[axis] = dim;
    for (size_t n = 0; n < N; ++n) strides[n][axis] = stride[n];
  }
};

// out[i] = f(a[i]) over equal shapes.
template <class In, class Out, class F>
void mapUnary(const EvalContext& c, F f) {
  const In* x = c.in(0).data<In>();
  Out* y = c.out().data<Out>();
  c.pool.runRanges(c.out().size, kElementwiseGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = f(x[i]);
  });
}

// out = f(a, b) with broadcasting.
template <class In, class Out, class F>
void mapBinary(const EvalContext& c, F f) {
  const BroadcastWalk<2> walk(c.node, c.out().dims, {c.in(0), c.in(1)});
  const In* a = c.in(0).data<In>();
  const In* b = c.in(1).data<In>();
  Out* y = c.out().data<Out>();
  const int64_t sa = walk.strides[0][0];
  const int64_t sb = walk.strides[1][0];
  const auto row = [=](const In* pa, const In* pb, Out* py, int64_t n) {
    if (sa == 1 && sb == 1) {
      for (int64_t i = 0; i < n; ++i) py[i] = f(pa[i], pb[i]);
    } else if (sa == 1 && sb == 0) {
      const In vb = *pb;
      for (int64_t i = 0; i < n; ++i) py[i] = f(pa[i], vb);
    } else {
      for (int64_t i = 0; i < n; ++i) py[i] = f(pa[i * sa], pb[i * sb]);
    }
  };
  const int64_t inner = walk.inner();
  const int64_t outer = walk.outer();
  if (inner == 0 || outer == 0) return;
  if (outer == 1) {
    c.pool.runRanges(inner, kElementwiseGrain, [=](int64_t begin, int64_t end) {
      row(a + begin * sa, b + begin * sb, y + begin, end - begin);
    });
    return;
  }
  c.pool.runRanges(outer, std::max<int64_t>(1, kElementwiseGrain / inner),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t r = begin; r < end; ++r) {
                       const auto offset = walk.offsets(r);
                       row(a + offset[0], b + offset[1], y + r * inner, inner);
                     }
                   });
}

// What a gradient rule makes of dy with a derivative, and 0 where dy is 0, whatever the derivative
// is. Both are there before one is chosen, so that vector instructions can.
template <class T>
T orZero(T dy, T dx) {
  return dy == T{0} ? T{0} : dx;
}

// PointwiseTraits::block of a function of one or two numbers.
template <class F>
void unaryBlock(const Node&, const float* const* in, float* out, int64_t n) {
  const float* x = in[0];
  for (int64_t i = 0; i < n; ++i) out[i] = F{}(x[i]);
}
template <class F>
void binaryBlock(const Node&, const float* const* in, float* out, int64_t n) {
  const float* a = in[0];
  const float* b = in[1];
  for (int64_t i = 0; i < n; ++i) out[i] = F{}(a[i], b[i]);
}

// Calls function(T{}) for float and double; an operator on other types is an Error.
template <class Function>
void visitFloat(const EvalContext& c, ElementType type, Function&& function) {
  if (type == ElementType::kFloat) {
    function(float{});
  } else if (type == ElementType::kDouble) {
    function(double{});
  } else {
    c.node.fail("element type {} is not supported", elementTypeName(type));
  }
}

// The same for every arithmetic type but bool.
template <class Function>
void visitNumber(const EvalContext& c, ElementType type, Function&& function) {
  visitElementType(type, [&](auto tag) {
    if constexpr (std::is_same_v<decltype(tag), bool>) {
      c.node.fail("element type bool is not supported");
    } else {
      function(tag);
    }
  });
}

// Shape rules that many share.
void inferSameAsInput(InferContext& c);    // one input, one output of its type
void inferBroadcast(InferContext& c);      // the two inputs' broadcast, their element type
void inferBroadcastBool(InferContext& c);  // the same, of booleans

}  // namespace simaqat::ops
