#include "kernels/quantized_gemm.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/code_product.h"
#include "kernels/isa.h"
#include "kernels/window_sum.h"
#include "kernels/workspace.h"

// Columns of w are the lanes of code_product.h, and rows of x its channels: there words of x need
// no turning round. That makes w the operand whose codes are 0..255, and x the one with -128..127,
// so that both are packed moved by 128:
//   sum of (x - z) * w = sum of (x - 128) * (w + 128) - 128 * sum of x + 2^14 * k + (128 - z) * sum
//   of w

namespace simaqat::kernels {
namespace {

constexpr int32_t kMove = 128;
constexpr int64_t kRows = kCodeChannels;
constexpr int64_t kColumns = kCodeVectors * kCodeLanes;
// Blocks of rows that are worth handing out.
constexpr int64_t kBlocks = 16;

struct Memory {
  Memory(const QuantizedGemmShape& shape, std::byte* workspace)
      : words(ceilDiv(shape.k, kCodesOfWord)),
        row_blocks(ceilDiv(shape.m, kRows)),
        column_blocks(ceilDiv(shape.n, kColumns)),
        memory(workspace) {
    offset = memory.take<int64_t>(words);
    x = memory.take<uint32_t>(row_blocks * words * kRows);
    w = memory.take<uint32_t>(column_blocks * words * kColumns);
    of_row = memory.take<int32_t>(row_blocks * kRows);
    of_column = memory.take<int32_t>(column_blocks * kColumns);
    factor = memory.take<float>(column_blocks * kColumns);
    bias = memory.take<float>(column_blocks * kColumns);
  }
  int64_t words, row_blocks, column_blocks;
  Workspace memory;
  int64_t* offset;     // of each word of the depth, in a block of w
  uint32_t* x;         // [row block][words][kRows]
  uint32_t* w;         // [column block][words][kColumns]
  int32_t* of_row;     // what a row's part of the formula adds to its sums
  int32_t* of_column;  // and a column's
  float* factor;       // of each column
  float* bias;
};

// What is added may leave 32 bits on the way, and comes back.
int32_t wrapped(int64_t v) { return static_cast<int32_t>(static_cast<uint32_t>(v)); }

void packRows(const QuantizedGemmShape& shape, const uint8_t* codes, int64_t block,
              const Memory& m) {
  uint32_t* packed = m.x + block * m.words * kRows;
  std::fill_n(packed, m.words * kRows, 0u);
  for (int64_t r = 0; r < kRows; ++r) {
    int64_t total = 0;
    const int64_t row = block * kRows + r;
    const uint8_t* from = codes + row * shape.k;
    for (int64_t l = 0; l < shape.k && row < shape.m; l += kCodesOfWord) {
      const int64_t count = std::min(kCodesOfWord, shape.k - l);
      uint32_t word = 0;
      std::memcpy(&word, from + l, static_cast<size_t>(count));
      for (int64_t e = 0; e < count; ++e) total += from[l + e];
      // Behind the last one there is a zero.
      const uint32_t moved = 0x80808080u >> (8 * (kCodesOfWord - count));
      packed[l / kCodesOfWord * kRows + r] = word ^ moved;
    }
    m.of_row[row] = wrapped(int64_t{kMove} * kMove * shape.k - kMove * total);
  }
}

// A block of columns. Without trans_w its columns are neighbours.
template <bool kTransposed>
void packColumns(const QuantizedGemmShape& shape, const float* w, const float* w_scale,
                 int64_t block, int32_t zero_point, const Memory& m) {
  const int64_t first = block * kColumns, columns = std::min(kColumns, shape.n - first);
  const int64_t row_step = kTransposed ? 1 : shape.n, column_step = kTransposed ? shape.k : 1;
  int32_t total[kColumns] = {}, has_no_code[kColumns] = {};
  for (int64_t word = 0; word < m.words; ++word) {
    // Lanes behind the last column are computed, and dropped.
    uint32_t codes[kColumns] = {};
    const int64_t count = std::min(kCodesOfWord, shape.k - word * kCodesOfWord);
    for (int64_t e = 0; e < count; ++e) {
      const float* row = w + (word * kCodesOfWord + e) * row_step + first * column_step;
      for (int64_t j = 0; j < columns; ++j) {
        const float code = std::nearbyint(row[j * column_step] / w_scale[first + j]);
        const bool is_code = code >= -128.0f && code <= 127.0f;
        const auto integer = static_cast<int32_t>(is_code ? code : 0.0f);
        has_no_code[j] |= is_code ? 0 : 1;
        total[j] += integer;
        codes[j] |= (static_cast<uint32_t>(integer + kMove) & 0xffu) << (8 * e);
      }
    }
    std::copy(codes, codes + kColumns, m.w + (block * m.words + word) * kColumns);
  }
  for (int64_t j = 0; j < columns; ++j) {
    m.of_column[first + j] = wrapped(int64_t{kMove - zero_point} * total[j]);
    // A weight that no code tells makes its column NaN.
    if (has_no_code[j] != 0) m.factor[first + j] = std::numeric_limits<float>::quiet_NaN();
  }
}

// y of one block of rows and of columns.
void multiplyBlock(const QuantizedGemmShape& shape, const Memory& m, int64_t row_block,
                   int64_t column_block, float* y) {
  const int64_t first = column_block * kColumns;
  const int64_t columns = std::min(kColumns, shape.n - first);
  CodeProduct product{};
  product.source = m.w + column_block * m.words * kColumns;
  product.offset = m.offset;
  product.taps = m.words;
  product.weights = m.x + row_block * m.words * kRows;
  product.vectors = ceilDiv(columns, kCodeLanes);
  for (int64_t v = 0; v < kCodeVectors; ++v) product.start[v] = v * kCodeLanes;
  CodeSums sums;
  kernels().multiplyCodes(product, sums);
  for (int64_t r = 0; r < kRows && row_block * kRows + r < shape.m; ++r) {
    const int64_t row = row_block * kRows + r;
    const auto of_row = static_cast<uint32_t>(m.of_row[row]);
    float results[kColumns];
    for (int64_t j = 0; j < columns; ++j) {
      const uint32_t sum = static_cast<uint32_t>(sums[r][j / kCodeLanes][j % kCodeLanes]) + of_row +
                           static_cast<uint32_t>(m.of_column[first + j]);
      results[j] =
          static_cast<float>(static_cast<int32_t>(sum)) * m.factor[first + j] + m.bias[first + j];
    }
    std::memcpy(y + row * shape.n + first, results, static_cast<size_t>(columns) * sizeof(float));
  }
}

}  // namespace

bool quantizedGemmFits(const QuantizedGemmShape& shape) {
  return shape.k < std::numeric_limits<int32_t>::max() / (2 * 255 * 128);
}

size_t quantizedGemmWorkspace(const QuantizedGemmShape& shape) {
  return Memory(shape, nullptr).memory.used();
}

void quantizedGemm(const QuantizedGemmShape& shape, const Codes& x, const float* w,
                   const float* w_scale, const float* bias, float* y, std::byte* workspace,
                   ThreadPool& pool) {
  if (shape.m == 0 || shape.n == 0) return;
  const Memory m(shape, workspace);
  const auto zero_point = std::isfinite(x.zero_point) ? static_cast<int32_t>(x.zero_point) : 0;
  for (int64_t word = 0; word < m.words; ++word) m.offset[word] = word * kColumns;
  for (int64_t j = 0; j < shape.n; ++j) {
    m.factor[j] = x.scale * w_scale[j];
    m.bias[j] = bias == nullptr ? 0.0f : bias[j];
  }
  const auto pack = shape.trans_w ? packColumns<true> : packColumns<false>;
  pool.run(m.column_blocks,
           [&](int64_t block, int) { pack(shape, w, w_scale, block, zero_point, m); });
  pool.runRanges(m.row_blocks, ceilDiv(1 << 14, shape.k + 1), [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) packRows(shape, x.codes, block, m);
  });
  // A block of columns stays in the cache while rows go by.
  const int64_t pieces = ceilDiv(m.row_blocks, kBlocks);
  pool.run(pieces * m.column_blocks, [&](int64_t piece, int) {
    const int64_t end = std::min(m.row_blocks, (piece % pieces + 1) * kBlocks);
    for (int64_t block = piece % pieces * kBlocks; block < end; ++block) {
      multiplyBlock(shape, m, block, piece / pieces, y);
    }
  });
}

}  // namespace simaqat::kernels
