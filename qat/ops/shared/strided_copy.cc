#include "qat/ops/shared/strided_copy.h"

#include <algorithm>

namespace simaqat::ops {

void StridedCopy::addAxis(int64_t size, int64_t from_stride, int64_t to_stride) {
  if (size == 0) empty_ = true;
  if (size == 1) return;
  if (rank_ > 0) {
    Axis& last = axes_[rank_ - 1];
    if (last.from == from_stride * size && last.to == to_stride * size) {
      last = {last.size * size, from_stride, to_stride};
      return;
    }
  }
  SIMAQAT_CHECK(rank_ < kMaxRank);
  axes_[rank_++] = {size, from_stride, to_stride};
}

void StridedCopy::run(const std::byte* from, std::byte* to, ThreadPool& pool) const {
  if (empty_) return;
  visitElementType(type_, [&](auto tag) {
    using T = decltype(tag);
    runTyped(reinterpret_cast<const T*>(from) + from_offset, reinterpret_cast<T*>(to) + to_offset,
             pool);
  });
}

template <class T>
void StridedCopy::runTyped(const T* from, T* to, ThreadPool& pool) const {
  if (rank_ == 0) {
    *to = *from;
    return;
  }
  if (rank_ == 1) {
    const Axis axis = axes_[0];
    pool.runRanges(axis.size, kElementwiseGrain, [=](int64_t begin, int64_t end) {
      if (axis.from == 1 && axis.to == 1) {
        std::copy(from + begin, from + end, to + begin);
      } else {
        for (int64_t i = begin; i < end; ++i) to[i * axis.to] = from[i * axis.from];
      }
    });
    return;
  }
  int64_t rows = 1;
  for (size_t k = 0; k + 1 < rank_; ++k) rows *= axes_[k].size;
  pool.runRanges(rows, std::max<int64_t>(1, kElementwiseGrain / axes_[rank_ - 1].size),
                 [&](int64_t begin, int64_t end) { runRows(from, to, begin, end); });
}

template <class T>
void StridedCopy::runRows(const T* from, T* to, int64_t begin, int64_t end) const {
  // Where the first row begins; the next ones are reached as an odometer counts.
  std::array<int64_t, kMaxRank> index;
  int64_t rest = begin;
  for (size_t k = rank_ - 1; k-- > 0;) {
    index[k] = rest % axes_[k].size;
    rest /= axes_[k].size;
    from += index[k] * axes_[k].from;
    to += index[k] * axes_[k].to;
  }
  const Axis inner = axes_[rank_ - 1];
  for (int64_t row = begin; row < end; ++row) {
    if (inner.from == 1 && inner.to == 1) {
      std::copy(from, from + inner.size, to);
    } else {
      for (int64_t i = 0; i < inner.size; ++i) to[i * inner.to] = from[i * inner.from];
    }
    for (size_t k = rank_ - 1; k-- > 0;) {
      from += axes_[k].from;
      to += axes_[k].to;
      if (++index[k] < axes_[k].size) break;
      from -= index[k] * axes_[k].from;
      to -= index[k] * axes_[k].to;
      index[k] = 0;
    }
  }
}

Strides denseStrides(const Node& node, Span<const int64_t> dims) {
  if (dims.size() > kMaxBroadcastRank) node.fail("rank {} is too large", dims.size());
  Strides strides{};
  int64_t stride = 1;
  for (size_t axis = dims.size(); axis-- > 0;) {
    strides[axis] = stride;
    stride *= dims[axis];
  }
  return strides;
}

void fill(const TensorView& view, const std::byte* value, ThreadPool& pool) {
  visitElementType(view.type, [&](auto tag) {
    using T = decltype(tag);
    T* data = view.data<T>();
    const T filler = value == nullptr ? T{} : *reinterpret_cast<const T*>(value);
    pool.runRanges(view.size, kElementwiseGrain, [=](int64_t begin, int64_t end) {
      std::fill(data + begin, data + end, filler);
    });
  });
}

void copyBytes(const EvalContext& c) {
  const std::byte* from = c.in(0).bytes;
  std::byte* to = c.out().bytes;
  if (from == to) return;
  c.pool.runRanges(
      static_cast<int64_t>(c.out().byteCount()), int64_t{1} << 18,
      [=](int64_t begin, int64_t end) { std::copy(from + begin, from + end, to + begin); });
}

int64_t product(Span<const int64_t> dims, size_t begin, size_t end) {
  int64_t count = 1;
  for (size_t axis = begin; axis < end; ++axis) count *= dims[axis];
  return count;
}

}  // namespace simaqat::ops
