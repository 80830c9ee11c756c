#include "kernels/gemm.h"

#include <algorithm>

#include "kernels/panel_product.h"
#include "kernels/transpose.h"
#include "kernels/workspace.h"

// Rows of A are the rows of a panel product and are read in place; a tile of C packs its columns of
// B as panels, a block of k at a time.

namespace simaqat::kernels {
namespace {

int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Tiles of C, cut by shape alone, of one of `count` products.
struct GemmPlan {
  static constexpr int64_t kTiles = 16;

  GemmPlan(int64_t count, int64_t m, int64_t n, int64_t k)
      : rows(256), columns(256), depth(std::min(k, kPanelDepth)) {
    while (count * ceilDiv(m, rows) * ceilDiv(n, columns) < kTiles && rows * columns > 32 * 64) {
      if (columns >= rows && columns > 64) {
        columns /= 2;
      } else {
        rows /= 2;
      }
    }
    row_tiles = ceilDiv(m, rows);
    column_tiles = ceilDiv(n, columns);
  }
  int64_t rows, columns;  // of a tile
  int64_t depth;          // of a packed block of B
  int64_t row_tiles, column_tiles;
};

struct GemmMemory {
  GemmMemory(const GemmPlan& plan, int64_t m, int threads, std::byte* workspace)
      : memory(workspace) {
    row = memory.take<int64_t>(m);
    offset = memory.take<int64_t>(plan.depth);
    panels = memory.take<float>(threads * kPanelsTogether * plan.depth * kPanel<float>);
    results = memory.take<float>(threads * plan.rows * kPanel<float>);
  }
  Workspace memory;
  int64_t* row;     // [m], where rows of op(A) begin
  int64_t* offset;  // [depth], where columns of op(A) lie in a row
  float* panels;    // [thread][kPanelsTogether][depth][kPanel]
  float* results;   // [thread][rows of a tile][kPanel], for a panel that is not full
};

// panel[l][j] = alpha * op(B)[begin + l][column + j], zero behind `columns`.
void packPanel(bool trans_b, int64_t n, int64_t k, float alpha, const float* b, int64_t begin,
               int64_t depth, int64_t column, int64_t columns, float* panel) {
  if (trans_b) {
    transpose(b + column * k + begin, k, depth, columns, panel, kPanel<float>);
  }
  for (int64_t l = 0; l < depth; ++l) {
    float* to = panel + l * kPanel<float>;
    const float* from = trans_b ? to : b + (begin + l) * n + column;
    for (int64_t j = 0; j < columns; ++j) to[j] = alpha * from[j];
    for (int64_t j = columns; j < kPanel<float>; ++j) to[j] = 0;
  }
}

void scaleRows(int64_t rows, int64_t columns, float beta, float* c, int64_t stride) {
  for (int64_t i = 0; i < rows; ++i, c += stride) {
    for (int64_t j = 0; j < columns; ++j) c[j] = beta == 0 ? 0 : beta * c[j];
  }
}

// Adds panels' columns to C, or puts them there, those of full panels directly.
void addPanels(PanelProduct<float> product, float* c, int64_t stride, float* results) {
  if (product.columns == kPanel<float>) {
    product.result = c;
    product.result_stride = stride;
    multiplyPanel(product);
    return;
  }
  const bool adds = product.adds;
  product.adds = false;
  product.result = results;
  product.result_stride = kPanel<float>;
  multiplyPanel(product);
  for (int64_t i = 0; i < product.rows; ++i) {
    for (int64_t j = 0; j < product.columns; ++j) {
      float& to = c[i * stride + j];
      to = adds ? to + results[i * kPanel<float> + j] : results[i * kPanel<float> + j];
    }
  }
}

struct Gemm {
  bool trans_a, trans_b;
  int64_t m, n, k;
  float alpha, beta;

  // One tile of C = alpha * op(A) * op(B) + beta * C.
  void runTile(const GemmPlan& plan, const GemmMemory& memory, int64_t tile, int worker,
               const float* a, const float* b, float* c) const {
    const int64_t row = tile % plan.row_tiles * plan.rows;
    const int64_t first_column = tile / plan.row_tiles * plan.columns;
    const int64_t end_column = std::min(n, first_column + plan.columns);
    const int64_t panel_size = plan.depth * kPanel<float>;
    float* panel = memory.panels + worker * kPanelsTogether * panel_size;
    PanelProduct<float> product{};
    product.row = memory.row + row;
    product.rows = std::min(plan.rows, m - row);
    product.offset = memory.offset;
    product.panel = panel;
    product.panel_stride = panel_size;
    product.panel_results = kPanel<float>;
    if (beta != 0 || k == 0) {
      scaleRows(product.rows, end_column - first_column, beta, c + row * n + first_column, n);
    }
    for (int64_t begin = 0; begin < k; begin += plan.depth) {
      product.source = a + begin * (trans_a ? m : 1);
      product.depth = std::min(plan.depth, k - begin);
      product.adds = beta != 0 || begin > 0;
      for (int64_t column = first_column; column < end_column;) {
        // Full panels go together.
        product.panels = std::min(panelsTogether(), (end_column - column) / kPanel<float>);
        product.panels = std::max<int64_t>(product.panels, 1);
        product.columns = std::min(kPanel<float>, end_column - column);
        for (int64_t i = 0; i < product.panels; ++i) {
          packPanel(trans_b, n, k, alpha, b, begin, product.depth, column + i * kPanel<float>,
                    product.columns, panel + i * panel_size);
        }
        addPanels(product, c + row * n + column, n,
                  memory.results + worker * plan.rows * kPanel<float>);
        column += product.panels * kPanel<float>;
      }
    }
  }

  void fillTables(const GemmPlan& plan, const GemmMemory& memory) const {
    for (int64_t i = 0; i < m; ++i) memory.row[i] = i * (trans_a ? 1 : k);
    for (int64_t l = 0; l < plan.depth; ++l) memory.offset[l] = l * (trans_a ? m : 1);
  }
};

}  // namespace

size_t gemmWorkspace(int64_t m, int64_t n, int64_t k, int threads) {
  return gemmsWorkspace(1, m, n, k, threads);
}

void gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, float alpha, const float* a,
          const float* b, float beta, float* c, std::byte* workspace, ThreadPool& pool) {
  if (m == 0 || n == 0) return;
  const GemmPlan plan(1, m, n, k);
  const GemmMemory memory(plan, m, pool.threads(), workspace);
  const Gemm gemm{trans_a, trans_b, m, n, k, alpha, beta};
  gemm.fillTables(plan, memory);
  pool.run(plan.row_tiles * plan.column_tiles,
           [&](int64_t tile, int worker) { gemm.runTile(plan, memory, tile, worker, a, b, c); });
}

size_t gemmsWorkspace(int64_t count, int64_t m, int64_t n, int64_t k, int threads) {
  return GemmMemory(GemmPlan(count, m, n, k), m, threads, nullptr).memory.used();
}

void gemms(int64_t count, int64_t m, int64_t n, int64_t k, const float* a, const float* b,
           GemmOffsets (*offsets)(const void* context, int64_t i), const void* context, float* c,
           std::byte* workspace, ThreadPool& pool) {
  if (m == 0 || n == 0) return;
  const GemmPlan plan(count, m, n, k);
  const GemmMemory memory(plan, m, pool.threads(), workspace);
  const Gemm gemm{false, false, m, n, k, 1.0f, 0.0f};
  gemm.fillTables(plan, memory);
  const int64_t tiles = plan.row_tiles * plan.column_tiles;
  pool.run(count * tiles, [&](int64_t index, int worker) {
    const int64_t i = index / tiles;
    const GemmOffsets at = offsets(context, i);
    gemm.runTile(plan, memory, index % tiles, worker, a + at.a, b + at.b, c + i * m * n);
  });
}

}  // namespace simaqat::kernels
