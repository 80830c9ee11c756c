#include "kernels/gemm_operands.h"

#include <algorithm>

#include "kernels/transpose.h"

namespace simaqat::kernels {
namespace {

int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// panel[l][j] = alpha * op(B)[begin + l][column + j], zero behind `columns`.
void packPanel(const GemmShape& shape, const float* b, int64_t begin, int64_t depth, int64_t column,
               int64_t columns, float* panel) {
  if (shape.trans_b) {
    transpose(b + column * shape.k + begin, shape.k, depth, columns, panel, kPanel<float>);
  }
  for (int64_t l = 0; l < depth; ++l) {
    float* to = panel + l * kPanel<float>;
    const float* from = shape.trans_b ? to : b + (begin + l) * shape.n + column;
    for (int64_t j = 0; j < columns; ++j) to[j] = shape.alpha * from[j];
    for (int64_t j = columns; j < kPanel<float>; ++j) to[j] = 0;
  }
}

// pairs[l / 2] = (line[l], line[l + 1]), with zero behind the last.
void packLine(const float* line, int64_t depth, Bfloat16Pair* pairs) {
  int64_t l = 0;
  for (; l + 2 * kLanes <= depth; l += 2 * kLanes, pairs += kLanes)
    store(pairs, loadPairs(line + l));
  for (; l < depth; l += 2) *pairs++ = pairOf(line[l], l + 1 < depth ? line[l + 1] : 0.0f);
}

// The same of the columns of a matrix [depth][stride]: those of column i go to pairs + i *
// pairs_stride. Squares of kLanes columns and as many pairs.
void packColumns(const float* from, int64_t stride, int64_t columns, int64_t depth,
                 Bfloat16Pair* pairs, int64_t pairs_stride) {
  for (int64_t l = 0; l < depth; l += 2 * kLanes) {
    const bool is_whole = l + 2 * kLanes <= depth;
    int64_t i = 0;
    for (; is_whole && i + kLanes <= columns; i += kLanes) {
      PacketSquare square;
      for (int64_t r = 0; r < kLanes; ++r) {
        const float* line = from + (l + 2 * r) * stride + i;
        square.packet[r] = pairsOf(load(line), load(line + stride));
      }
      Eigen::internal::ptranspose(square);
      for (int64_t r = 0; r < kLanes; ++r) {
        store(pairs + (i + r) * pairs_stride + l / 2, square.packet[r]);
      }
    }
    for (int64_t p = l; p < std::min(depth, l + 2 * kLanes); p += 2) {
      const float* line = from + p * stride;
      for (int64_t r = i; r < columns; ++r) {
        pairs[r * pairs_stride + p / 2] = pairOf(line[r], p + 1 < depth ? line[stride + r] : 0.0f);
      }
    }
  }
}

}  // namespace

GemmPlan::GemmPlan(const GemmShape& shape, int64_t elements_of_term)
    : terms(ceilDiv(shape.k, elements_of_term)), depth(std::min(terms, kPanelDepth)) {
  while (shape.count * ceilDiv(shape.m, rows) * ceilDiv(shape.n, columns) < kTiles &&
         rows * columns > 32 * 64) {
    if (columns >= rows && columns > 64) {
      columns /= 2;
    } else {
      rows /= 2;
    }
  }
  row_tiles = ceilDiv(shape.m, rows);
  column_tiles = ceilDiv(shape.n, columns);
}

FloatOperands::FloatOperands(const GemmShape& shape, const GemmPlan& plan, int threads,
                             Workspace& memory)
    : shape_(shape),
      depth_(plan.depth),
      row_(memory.take<int64_t>(shape.m)),
      offset_(memory.take<int64_t>(depth_)),
      panels_(memory.takeForThreads<float>(threads, kPanelsTogether * panelStride())) {}

void FloatOperands::prepare(const GemmMatrices& matrices, ThreadPool& /*pool*/) {
  matrices_ = matrices;
  for (int64_t i = 0; i < shape_.m; ++i) row_[i] = i * (shape_.trans_a ? 1 : shape_.k);
  for (int64_t l = 0; l < depth_; ++l) offset_[l] = l * (shape_.trans_a ? shape_.m : 1);
}

const float* FloatOperands::source(int64_t product, int64_t begin, int /*worker*/) const {
  return matrices_.aOf(product) + begin * (shape_.trans_a ? shape_.m : 1);
}

const float* FloatOperands::panels(int64_t product, int64_t begin, int64_t depth, int64_t column,
                                   int64_t count, int64_t columns, int worker) const {
  float* own = panels_.of(worker);
  const float* b = matrices_.bOf(product);
  for (int64_t i = 0; i < count; ++i) {
    packPanel(shape_, b, begin, depth, column + i * kPanel<float>, columns,
              own + i * panelStride());
  }
  return own;
}

// Rows of the left operand are not a page apart, where their lines would drive each other out of
// the cache.
PairOperands::PairOperands(const GemmShape& shape, const GemmPlan& plan, int threads,
                           Workspace& memory)
    : shape_(shape),
      terms_(plan.terms),
      depth_(plan.depth),
      row_stride_(terms_ + kPanel<Term>),
      row_(memory.take<int64_t>(shape.m)),
      offset_(memory.take<int64_t>(depth_)),
      left_(memory.take<Term>(place(shape.count, threads) * shape.m * row_stride_)),
      right_(memory.take<Term>(place(shape.count, threads) * kernels::panels<Term>(shape.n) *
                               panelStride())) {}

void PairOperands::prepare(const GemmMatrices& matrices, ThreadPool& pool) {
  matrices_ = matrices;
  for (int64_t i = 0; i < shape_.m; ++i) row_[i] = i * row_stride_;
  for (int64_t l = 0; l < depth_; ++l) offset_[l] = l;
  if (runsWholeProducts()) return;
  // Pieces of A and of B that are worth handing out.
  constexpr int64_t kRows = 64;
  constexpr int64_t kPanels = 4;
  const int64_t panels = kernels::panels<Term>(shape_.n);
  const int64_t left_pieces = ceilDiv(shape_.m, kRows);
  const int64_t pieces = left_pieces + ceilDiv(panels, kPanels);
  pool.run(shape_.count * pieces, [&](int64_t index, int) {
    const int64_t product = index / pieces, piece = index % pieces;
    if (piece < left_pieces) {
      const int64_t first = piece * kRows;
      packRows(matrices.aOf(product), product, first, std::min(kRows, shape_.m - first));
    } else {
      const int64_t first = (piece - left_pieces) * kPanels;
      packPanels(matrices.bOf(product), product, first, std::min(kPanels, panels - first));
    }
  });
}

void PairOperands::beginProduct(int64_t product, int worker) const {
  if (!runsWholeProducts()) return;
  packRows(matrices_.aOf(product), worker, 0, shape_.m);
  packPanels(matrices_.bOf(product), worker, 0, kernels::panels<Term>(shape_.n));
}

void PairOperands::packRows(const float* a, int64_t place, int64_t first, int64_t rows) const {
  Term* to = left_ + (place * shape_.m + first) * row_stride_;
  if (shape_.trans_a) {
    packColumns(a + first, shape_.m, rows, shape_.k, to, row_stride_);
  } else {
    for (int64_t i = 0; i < rows; ++i) {
      packLine(a + (first + i) * shape_.k, shape_.k, to + i * row_stride_);
    }
  }
}

void PairOperands::packPanels(const float* b, int64_t place, int64_t first, int64_t count) const {
  constexpr int64_t kBlock = 32;  // of k, in the L1 cache
  float rows[kBlock * kPanel<float>];
  for (int64_t index = first; index < first + count; ++index) {
    Term* to = panel(place, index);
    for (int64_t l = 0; l < shape_.k; l += kBlock) {
      const int64_t some = std::min(kBlock, shape_.k - l);
      packPanel(shape_, b, l, some, index * kPanel<Term>, columnsOfPanel<Term>(shape_.n, index),
                rows);
      if (some % 2 == 1) std::fill_n(rows + some * kPanel<float>, kPanel<float>, 0.0f);
      for (int64_t i = 0; i < some; i += 2, to += kPanel<Term>) {
        makePairs(rows + i * kPanel<float>, rows + (i + 1) * kPanel<float>, kPanel<float>, to);
      }
    }
  }
}

}  // namespace simaqat::kernels
