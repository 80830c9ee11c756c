// How products of matrices read A and B (gemm.h).
//
// Rows of A are the rows of a panel product (panel_product.h), columns of B its panels. Of floats,
// A is read in place, and a tile packs its columns of B, a block of k at a time. Of bfloat16
// numbers, both are packed once, in pairs along k: in front of all tiles, or where there are many
// products each by the thread that runs it, in whose cache they stay.
#pragma once

#include <cstdint>

#include "kernels/bfloat16.h"
#include "kernels/gemm.h"
#include "kernels/panel_product.h"
#include "kernels/workspace.h"
#include "qat/base/thread_pool.h"

namespace simaqat::kernels {

struct GemmShape {
  int64_t count, m, n, k;  // products, and their sizes
  bool trans_a, trans_b;
  float alpha;
};

// Product i has A at a + offsets(context, i).a, B likewise.
struct GemmMatrices {
  const float* a;
  const float* b;
  GemmOffsets (*offsets)(const void* context, int64_t i);
  const void* context;

  const float* aOf(int64_t i) const { return a + offsets(context, i).a; }
  const float* bOf(int64_t i) const { return b + offsets(context, i).b; }
};

// Tiles of C, cut by shape alone. A term of a sum is one element along k, or a pair.
struct GemmPlan {
  static constexpr int64_t kTiles = 16;

  GemmPlan(const GemmShape& shape, int64_t elements_of_term);

  int64_t rows = 256, columns = 256;  // of a tile
  int64_t terms;                      // of a sum
  int64_t depth;                      // of those, what a panel has
  int64_t row_tiles, column_tiles;
};

class FloatOperands {
 public:
  using Term = float;
  static constexpr int64_t kElements = 1;

  FloatOperands(const GemmShape& shape, const GemmPlan& plan, int threads, Workspace& memory);
  void prepare(const GemmMatrices& matrices, ThreadPool& pool);

  // Whether tiles of a product are run one behind the other by one thread, which begins it.
  bool runsWholeProducts() const { return false; }
  void beginProduct(int64_t /*product*/, int /*worker*/) const {}

  const int64_t* row() const { return row_; }
  const int64_t* offset() const { return offset_; }
  int64_t panelStride() const { return depth_ * kPanel<float>; }
  // A's terms from `begin` on, for the tables.
  const float* source(int64_t product, int64_t begin, int worker) const;
  // B's terms [begin, begin + depth) in `count` panels from `column` on, of which each has
  // `columns`.
  const float* panels(int64_t product, int64_t begin, int64_t depth, int64_t column, int64_t count,
                      int64_t columns, int worker) const;

 private:
  GemmShape shape_;
  GemmMatrices matrices_{};
  int64_t depth_;
  int64_t* row_;     // [m], where rows of op(A) begin
  int64_t* offset_;  // [depth], where terms lie in a row
  ThreadArrays<float> panels_;  // [kPanelsTogether][depth][kPanel]
};

class PairOperands {
 public:
  using Term = Bfloat16Pair;
  static constexpr int64_t kElements = 2;

  PairOperands(const GemmShape& shape, const GemmPlan& plan, int threads, Workspace& memory);
  void prepare(const GemmMatrices& matrices, ThreadPool& pool);

  bool runsWholeProducts() const { return shape_.count >= GemmPlan::kTiles; }
  void beginProduct(int64_t product, int worker) const;

  const int64_t* row() const { return row_; }
  const int64_t* offset() const { return offset_; }
  int64_t panelStride() const { return terms_ * kPanel<Term>; }
  const Term* source(int64_t product, int64_t begin, int worker) const {
    return left_ + place(product, worker) * shape_.m * row_stride_ + begin;
  }
  const Term* panels(int64_t product, int64_t begin, int64_t /*depth*/, int64_t column,
                     int64_t /*count*/, int64_t /*columns*/, int worker) const {
    return panel(place(product, worker), column / kPanel<Term>) + begin * kPanel<Term>;
  }

 private:
  // Which of the packed matrices is a product's.
  int64_t place(int64_t product, int worker) const {
    return runsWholeProducts() ? worker : product;
  }
  Term* panel(int64_t place, int64_t index) const {
    return right_ + (place * kernels::panels<Term>(shape_.n) + index) * panelStride();
  }
  void packRows(const float* a, int64_t place, int64_t first, int64_t rows) const;
  void packPanels(const float* b, int64_t place, int64_t first, int64_t count) const;

  GemmShape shape_;
  GemmMatrices matrices_{};
  int64_t terms_, depth_, row_stride_;
  int64_t* row_;
  int64_t* offset_;
  Term* left_;   // [place][m][row_stride]
  Term* right_;  // [place][panel][terms][kPanel]
};

}  // namespace simaqat::kernels
