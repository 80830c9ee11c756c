// Copies of boxes of elements: what Transpose, Slice, Split, Expand, Tile and Pad are made of.
#pragma once

#include <array>

#include "qat/ops/shared/broadcast.h"

namespace simaqat::ops {

// A box and how two arrays are walked along it. Strides and offsets count elements; stride 0
// repeats, a negative one walks backwards.
class StridedCopy {
 public:
  explicit StridedCopy(ElementType type) : type_(type) {}

  // Axes are added from the first to the last; those that both arrays treat as one become one.
  void addAxis(int64_t size, int64_t from_stride, int64_t to_stride);
  void run(const std::byte* from, std::byte* to, ThreadPool& pool) const;

  int64_t from_offset = 0;
  int64_t to_offset = 0;

 private:
  // Tile sees each axis as two.
  static constexpr size_t kMaxRank = 2 * kMaxBroadcastRank;
  template <class T>
  void runTyped(const T* from, T* to, ThreadPool& pool) const;
  template <class T>
  void runRows(const T* from, T* to, int64_t begin, int64_t end) const;

  struct Axis {
    int64_t size, from, to;
  };
  ElementType type_;
  size_t rank_ = 0;
  bool empty_ = false;
  std::array<Axis, kMaxRank> axes_;
};

// The elements that follow one step along each axis of a dense array.
using Strides = std::array<int64_t, kMaxBroadcastRank>;
// Fails naming the node where the rank is more than any operator supports.
Strides denseStrides(const Node& node, Span<const int64_t> dims);

// Sets every element to the first one of `value`, or to zero where it has no data.
void fill(const TensorView& view, const std::byte* value, ThreadPool& pool);

// The output is the input's elements in the same order; it may already be the same memory.
void copyBytes(const EvalContext& c);

// The product of some of the dimensions.
int64_t product(Span<const int64_t> dims, size_t begin, size_t end);

}  // namespace simaqat::ops
