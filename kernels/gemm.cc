#include "kernels/gemm.h"

#include <algorithm>

#include "kernels/bfloat16.h"
#include "kernels/gemm_operands.h"
#include "kernels/panel_product.h"
#include "kernels/workspace.h"

namespace simaqat::kernels {
namespace {

void scaleRows(int64_t rows, int64_t columns, float beta, float* c, int64_t stride) {
  for (int64_t i = 0; i < rows; ++i, c += stride) {
    for (int64_t j = 0; j < columns; ++j) c[j] = beta == 0 ? 0 : beta * c[j];
  }
}

// Adds panels' columns to C, or puts them there, those of full panels directly.
template <class T>
void addPanels(PanelProduct<T> product, float* c, int64_t stride, float* results) {
  if (product.columns == kPanel<T>) {
    product.result = c;
    product.result_stride = stride;
    multiplyPanel(product);
    return;
  }
  const bool adds = product.adds;
  product.adds = false;
  product.result = results;
  product.result_stride = kPanel<T>;
  multiplyPanel(product);
  for (int64_t i = 0; i < product.rows; ++i) {
    for (int64_t j = 0; j < product.columns; ++j) {
      float& to = c[i * stride + j];
      to = adds ? to + results[i * kPanel<T> + j] : results[i * kPanel<T> + j];
    }
  }
}

// One tile of a product's C = A * B + beta * C.
template <class Operands>
void runTile(const GemmShape& shape, const GemmPlan& plan, const Operands& operands,
             int64_t product_index, int64_t tile, int worker, float beta, float* c,
             float* results) {
  using T = typename Operands::Term;
  const int64_t row = tile % plan.row_tiles * plan.rows;
  const int64_t first_column = tile / plan.row_tiles * plan.columns;
  const int64_t end_column = std::min(shape.n, first_column + plan.columns);
  PanelProduct<T> product{};
  product.row = operands.row() + row;
  product.rows = std::min(plan.rows, shape.m - row);
  product.offset = operands.offset();
  product.panel_stride = operands.panelStride();
  product.panel_results = kPanel<T>;
  float* const rows = c + row * shape.n;
  if (beta != 0 || plan.terms == 0) {
    scaleRows(product.rows, end_column - first_column, beta, rows + first_column, shape.n);
  }
  for (int64_t begin = 0; begin < plan.terms; begin += plan.depth) {
    product.source = operands.source(product_index, begin, worker);
    product.depth = std::min(plan.depth, plan.terms - begin);
    product.adds = beta != 0 || begin > 0;
    for (int64_t column = first_column; column < end_column;) {
      // Full panels go together.
      product.panels = std::min(panelsTogether(), (end_column - column) / kPanel<T>);
      product.panels = std::max<int64_t>(product.panels, 1);
      product.columns = std::min(kPanel<T>, end_column - column);
      product.panel = operands.panels(product_index, begin, product.depth, column, product.panels,
                                      product.columns, worker);
      addPanels(product, rows + column, shape.n, results);
      column += product.panels * kPanel<T>;
    }
  }
}

// The scratch memory of products, operands' first.
template <class Operands>
struct GemmMemory {
  GemmMemory(const GemmShape& shape, int threads, std::byte* workspace)
      : memory(workspace),
        plan(shape, Operands::kElements),
        operands(shape, plan, threads, memory),
        results(memory.takeForThreads<float>(threads, resultsSize())) {}
  int64_t resultsSize() const { return plan.rows * kPanel<float>; }

  Workspace memory;
  GemmPlan plan;
  Operands operands;
  ThreadArrays<float> results;  // [rows of a tile][kPanel], for a panel that is not full
};

template <class Operands>
void runProducts(const GemmShape& shape, const GemmMatrices& matrices, float beta, float* c,
                 std::byte* workspace, ThreadPool& pool) {
  if (shape.m == 0 || shape.n == 0) return;
  GemmMemory<Operands> m(shape, pool.threads(), workspace);
  m.operands.prepare(matrices, pool);
  const int64_t tiles = m.plan.row_tiles * m.plan.column_tiles;
  const int64_t together = m.operands.runsWholeProducts() ? tiles : 1;
  pool.run(shape.count * tiles / together, [&](int64_t index, int worker) {
    const int64_t first = index * together;
    const int64_t i = first / tiles;
    m.operands.beginProduct(i, worker);
    for (int64_t tile = first; tile < first + together; ++tile) {
      runTile(shape, m.plan, m.operands, i, tile % tiles, worker, beta, c + i * shape.m * shape.n,
              m.results.of(worker));
    }
  });
}

void run(Operands operands, const GemmShape& shape, const GemmMatrices& matrices, float beta,
         float* c, std::byte* workspace, ThreadPool& pool) {
  if (operands == Operands::kFloat) {
    runProducts<FloatOperands>(shape, matrices, beta, c, workspace, pool);
  } else {
    runProducts<PairOperands>(shape, matrices, beta, c, workspace, pool);
  }
}

size_t workspaceOf(Operands operands, const GemmShape& shape, int threads) {
  return operands == Operands::kFloat
             ? GemmMemory<FloatOperands>(shape, threads, nullptr).memory.used()
             : GemmMemory<PairOperands>(shape, threads, nullptr).memory.used();
}

}  // namespace

size_t gemmWorkspace(Operands operands, int64_t m, int64_t n, int64_t k, int threads) {
  return workspaceOf(operands, {1, m, n, k, false, false, 1.0f}, threads);
}

void gemm(Operands operands, bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k,
          float alpha, const float* a, const float* b, float beta, float* c, std::byte* workspace,
          ThreadPool& pool) {
  const auto offsets = [](const void*, int64_t) { return GemmOffsets{0, 0}; };
  run(operands, {1, m, n, k, trans_a, trans_b, alpha}, {a, b, offsets, nullptr}, beta, c, workspace,
      pool);
}

size_t gemmsWorkspace(Operands operands, int64_t count, int64_t m, int64_t n, int64_t k,
                      int threads) {
  return workspaceOf(operands, {count, m, n, k, false, false, 1.0f}, threads);
}

void gemms(Operands operands, int64_t count, int64_t m, int64_t n, int64_t k, const float* a,
           const float* b, GemmOffsets (*offsets)(const void* context, int64_t i),
           const void* context, float* c, std::byte* workspace, ThreadPool& pool) {
  run(operands, {count, m, n, k, false, false, 1.0f}, {a, b, offsets, context}, 0.0f, c, workspace,
      pool);
}

}  // namespace simaqat::kernels
