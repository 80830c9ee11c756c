#include "kernels/gemm.h"

#include <algorithm>
#include <type_traits>

#include "kernels/bfloat16.h"
#include "kernels/panel_product.h"
#include "kernels/transpose.h"
#include "kernels/workspace.h"

// Rows of A are the rows of a panel product; a tile of C packs its columns of B as panels, a block
// of k at a time. A of floats is read in place. Of bfloat16 numbers, terms are pairs along k, and A
// is packed, too. T is a term.

namespace simaqat::kernels {
namespace {

int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <class T>
constexpr int64_t kOfTerm = 1;  // elements along k
template <>
constexpr int64_t kOfTerm<Bfloat16Pair> = 2;

// Tiles of C, cut by shape alone, of one of `count` products.
template <class T>
struct GemmPlan {
  static constexpr int64_t kTiles = 16;

  GemmPlan(int64_t count, int64_t m, int64_t n, int64_t k)
      : rows(256), columns(256), depth(std::min(ceilDiv(k, kOfTerm<T>), kPanelDepth)) {
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
  int64_t depth;          // of a packed block, terms
  int64_t row_tiles, column_tiles;
};

template <class T>
struct GemmMemory {
  GemmMemory(const GemmPlan<T>& plan, int64_t m, int threads, std::byte* workspace)
      : memory(workspace) {
    row = memory.take<int64_t>(m);
    offset = memory.take<int64_t>(plan.depth);
    panels = memory.take<T>(threads * kPanelsTogether * plan.depth * kPanel<T>);
    results = memory.take<float>(threads * plan.rows * kPanel<T>);
    block_size = std::is_same_v<T, float> ? 0 : plan.rows * plan.depth;
    blocks = memory.take<T>(threads * block_size);
  }
  Workspace memory;
  int64_t* row;     // [m], where rows of op(A) begin
  int64_t* offset;  // [depth], where terms lie in a row
  T* panels;        // [thread][kPanelsTogether][depth][kPanel]
  float* results;   // [thread][rows of a tile][kPanel], for a panel that is not full
  int64_t block_size;
  T* blocks;  // [thread][rows of a tile][depth], of A's pairs
};

// B, of which a panel is packed.
struct RightOperand {
  bool transposed;
  int64_t n, k;
  float alpha;
  const float* b;

  // panel[l][j] = alpha * op(B)[begin + l][column + j], zero behind `columns`, for l in [0, depth).
  void pack(int64_t begin, int64_t depth, int64_t column, int64_t columns, float* panel) const {
    if (transposed) {
      transpose(b + column * k + begin, k, depth, columns, panel, kPanel<float>);
    }
    for (int64_t l = 0; l < depth; ++l) {
      float* to = panel + l * kPanel<float>;
      const float* from = transposed ? to : b + (begin + l) * n + column;
      for (int64_t j = 0; j < columns; ++j) to[j] = alpha * from[j];
      for (int64_t j = columns; j < kPanel<float>; ++j) to[j] = 0;
    }
  }
  // The same in pairs: (2 l, 2 l + 1) is at panel[l][j], for 2 l < depth.
  void pack(int64_t begin, int64_t depth, int64_t column, int64_t columns,
            Bfloat16Pair* panel) const {
    constexpr int64_t kRows = 32;
    float rows[kRows * kPanel<float>];
    for (int64_t l = 0; l < depth; l += kRows) {
      const int64_t some = std::min(kRows, depth - l);
      pack(begin + l, some, column, columns, rows);
      if (some % 2 == 1) std::fill_n(rows + some * kPanel<float>, kPanel<float>, 0.0f);
      for (int64_t i = 0; i < some; i += 2, panel += kPanel<float>) {
        const float* first = rows + i * kPanel<float>;
        makePairs(first, first + kPanel<float>, kPanel<float>, panel);
      }
    }
  }
};

// A, of which rows [row, row + rows) and terms of [begin, begin + depth) of k are a product's
// source.
struct LeftOperand {
  bool transposed;
  int64_t m, k;
  const float* a;

  // Where row i begins, and where a term lies in a row.
  void fillTables(int64_t* row, int64_t* offset, const GemmPlan<float>& plan) const {
    for (int64_t i = 0; i < m; ++i) row[i] = i * (transposed ? 1 : k);
    for (int64_t l = 0; l < plan.depth; ++l) offset[l] = l * (transposed ? m : 1);
  }
  void fillTables(int64_t* row, int64_t* offset, const GemmPlan<Bfloat16Pair>& plan) const {
    for (int64_t i = 0; i < m; ++i) row[i] = i % plan.rows * plan.depth;
    for (int64_t l = 0; l < plan.depth; ++l) offset[l] = l;
  }

  const float* source(int64_t /*row*/, int64_t /*rows*/, int64_t begin, int64_t /*depth*/,
                      int64_t /*stride*/, float* /*block*/) const {
    return a + begin * (transposed ? m : 1);
  }
  // Packed into block[rows][stride].
  const Bfloat16Pair* source(int64_t row, int64_t rows, int64_t begin, int64_t depth,
                             int64_t stride, Bfloat16Pair* block) const {
    if (transposed) {
      packTransposed(a + begin * m + row, rows, depth, stride, block);
    } else {
      for (int64_t i = 0; i < rows; ++i) {
        packLine(a + (row + i) * k + begin, depth, block + i * stride);
      }
    }
    return block;
  }

  static void packLine(const float* line, int64_t depth, Bfloat16Pair* pairs) {
    int64_t l = 0;
    for (; l + 2 * kLanes <= depth; l += 2 * kLanes, pairs += kLanes) {
      store(pairs, loadPairs(line + l));
    }
    for (; l < depth; l += 2) *pairs++ = pairOf(line[l], l + 1 < depth ? line[l + 1] : 0.0f);
  }
  // Squares of kLanes rows and as many pairs.
  void packTransposed(const float* from, int64_t rows, int64_t depth, int64_t stride,
                      Bfloat16Pair* block) const {
    const auto second = [&](int64_t l, int64_t i) {
      return l + 1 < depth ? from[(l + 1) * m + i] : 0.0f;
    };
    for (int64_t l = 0; l < depth; l += 2 * kLanes) {
      const bool is_whole = l + 2 * kLanes <= depth;
      int64_t i = 0;
      for (; is_whole && i + kLanes <= rows; i += kLanes) {
        PacketSquare square;
        for (int64_t r = 0; r < kLanes; ++r) {
          const float* line = from + (l + 2 * r) * m + i;
          square.packet[r] = pairsOf(load(line), load(line + m));
        }
        Eigen::internal::ptranspose(square);
        for (int64_t r = 0; r < kLanes; ++r) {
          store(block + (i + r) * stride + l / 2, square.packet[r]);
        }
      }
      for (int64_t p = l; p < std::min(depth, l + 2 * kLanes); p += 2) {
        for (int64_t r = i; r < rows; ++r) {
          block[r * stride + p / 2] = pairOf(from[p * m + r], second(p, r));
        }
      }
    }
  }
};

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

// One tile of C = left * right + beta * C.
template <class T>
void runTile(const GemmPlan<T>& plan, const GemmMemory<T>& memory, int64_t tile, int worker,
             const LeftOperand& left, const RightOperand& right, float beta, float* c) {
  const int64_t row = tile % plan.row_tiles * plan.rows;
  const int64_t first_column = tile / plan.row_tiles * plan.columns;
  const int64_t n = right.n, k = right.k;
  const int64_t end_column = std::min(n, first_column + plan.columns);
  const int64_t panel_size = plan.depth * kPanel<T>;
  T* panel = memory.panels + worker * kPanelsTogether * panel_size;
  PanelProduct<T> product{};
  product.row = memory.row + row;
  product.rows = std::min(plan.rows, left.m - row);
  product.offset = memory.offset;
  product.panel = panel;
  product.panel_stride = panel_size;
  product.panel_results = kPanel<T>;
  if (beta != 0 || k == 0) {
    scaleRows(product.rows, end_column - first_column, beta, c + row * n + first_column, n);
  }
  const int64_t step = plan.depth * kOfTerm<T>;
  for (int64_t begin = 0; begin < k; begin += step) {
    const int64_t depth = std::min(step, k - begin);
    product.source = left.source(row, product.rows, begin, depth, plan.depth,
                                 memory.blocks + worker * memory.block_size);
    product.depth = ceilDiv(depth, kOfTerm<T>);
    product.adds = beta != 0 || begin > 0;
    for (int64_t column = first_column; column < end_column;) {
      // Full panels go together.
      product.panels = std::min(panelsTogether(), (end_column - column) / kPanel<T>);
      product.panels = std::max<int64_t>(product.panels, 1);
      product.columns = std::min(kPanel<T>, end_column - column);
      for (int64_t i = 0; i < product.panels; ++i) {
        right.pack(begin, depth, column + i * kPanel<T>, product.columns, panel + i * panel_size);
      }
      addPanels(product, c + row * n + column, n, memory.results + worker * plan.rows * kPanel<T>);
      column += product.panels * kPanel<T>;
    }
  }
}

// The products of operands, at(i) and C[i].
template <class T, class At>
void runProducts(int64_t count, const LeftOperand& left, const RightOperand& right, const At& at,
                 float beta, float* c, std::byte* workspace, ThreadPool& pool) {
  const int64_t m = left.m, n = right.n;
  if (m == 0 || n == 0) return;
  const GemmPlan<T> plan(count, m, n, right.k);
  const GemmMemory<T> memory(plan, m, pool.threads(), workspace);
  left.fillTables(memory.row, memory.offset, plan);
  const int64_t tiles = plan.row_tiles * plan.column_tiles;
  pool.run(count * tiles, [&](int64_t index, int worker) {
    const int64_t i = index / tiles;
    const GemmOffsets offsets = at(i);
    LeftOperand a = left;
    RightOperand b = right;
    a.a += offsets.a;
    b.b += offsets.b;
    runTile(plan, memory, index % tiles, worker, a, b, beta, c + i * m * n);
  });
}

template <class At>
void runProducts(Operands operands, int64_t count, const LeftOperand& left,
                 const RightOperand& right, const At& at, float beta, float* c,
                 std::byte* workspace, ThreadPool& pool) {
  if (operands == Operands::kFloat) {
    runProducts<float>(count, left, right, at, beta, c, workspace, pool);
  } else {
    runProducts<Bfloat16Pair>(count, left, right, at, beta, c, workspace, pool);
  }
}

template <class T>
size_t workspaceOf(int64_t count, int64_t m, int64_t n, int64_t k, int threads) {
  return GemmMemory<T>(GemmPlan<T>(count, m, n, k), m, threads, nullptr).memory.used();
}

}  // namespace

size_t gemmWorkspace(Operands operands, int64_t m, int64_t n, int64_t k, int threads) {
  return gemmsWorkspace(operands, 1, m, n, k, threads);
}

void gemm(Operands operands, bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k,
          float alpha, const float* a, const float* b, float beta, float* c, std::byte* workspace,
          ThreadPool& pool) {
  runProducts(
      operands, 1, {trans_a, m, k, a}, {trans_b, n, k, alpha, b},
      [](int64_t) {
        return GemmOffsets{0, 0};
      },
      beta, c, workspace, pool);
}

size_t gemmsWorkspace(Operands operands, int64_t count, int64_t m, int64_t n, int64_t k,
                      int threads) {
  return operands == Operands::kFloat ? workspaceOf<float>(count, m, n, k, threads)
                                      : workspaceOf<Bfloat16Pair>(count, m, n, k, threads);
}

void gemms(Operands operands, int64_t count, int64_t m, int64_t n, int64_t k, const float* a,
           const float* b, GemmOffsets (*offsets)(const void* context, int64_t i),
           const void* context, float* c, std::byte* workspace, ThreadPool& pool) {
  runProducts(
      operands, count, {false, m, k, a}, {false, n, k, 1.0f, b},
      [&](int64_t i) { return offsets(context, i); }, 0.0f, c, workspace, pool);
}

}  // namespace simaqat::kernels
