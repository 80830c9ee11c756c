// Products of matrix tiles by AMX, the matrix unit of x86-64 server processors: 16 x 16 sums in one
// register, of 8-bit codes or of bfloat16 numbers.
//
// Sums of codes are exact. A float32 operand of a gradient is the sum of three bfloat16 numbers,
// which between them have all of its 24 bits (Henry, Tang and Heinecke 2019, "Leveraging the bfloat16
// AI datatype for higher-precision computations"); the other operand is a code, which bfloat16 holds
// exactly. So three products with sums in float32 are what float32 arithmetic gives.
#pragma once

#include <cstddef>
#include <cstdint>

namespace simaqat::kernels {

// Whether the processor has AMX for both types and the operating system lets this process use it.
bool hasMatrixTiles();

constexpr int64_t kTileRows = 16;     // of sums, and columns
constexpr int64_t kTileBytes = 1024;  // of an operand: 16 rows of 64 bytes
constexpr int64_t kTileSums = 256;    // of 4 bytes
constexpr int64_t kPlanes = 3;        // bfloat16 numbers of a float32 one

// sums[i][j] = sum over k of left[i][k] * right[j][k], for i < rows and j < columns, at most two
// each. A left tile has 16 rows of 64 bytes: 64 codes (s8) or 32 bfloat16 numbers along the depth. A
// right tile's 16 rows are words of four codes (u8), or two bfloat16 numbers, along the depth, for
// 16 columns.
struct MatrixProduct {
  const std::byte* left;      // tile k of row block i at i * left_stride + k * kTileBytes
  int64_t left_stride;        // bytes
  const std::byte* right[2];  // what right_offset is added to
  const int64_t* right_offset;  // of tile k, bytes
  int64_t right_row_stride;   // from a row of a right tile to the next, bytes
  int64_t plane_stride;       // from a plane of the right operand to the next, bytes
  int64_t depth;              // tiles
  int rows, columns;
  void* sums;  // [rows][columns][kTileSums], int32 or float
};
void multiplyCodeTiles(const MatrixProduct& product);
// With kPlanes planes of the right operand, whose products are added up.
void multiplySplitTiles(const MatrixProduct& product);

// sums[i][j] += sum over k of left[i][k] * (right planes)[j][k] in bfloat16, where left tile k of
// block i starts at left + i * left_block_stride + left_offset[k], its rows left_row_stride apart.
// right tile k of block j, plane p: right + ((j * depth + k) * kPlanes + p) * kTileBytes.
struct MatrixCorrelation {
  const std::byte* left;
  int64_t left_block_stride, left_row_stride;
  const int64_t* left_offset;
  const std::byte* right;
  int64_t depth;
  int rows, columns;
  float* sums;  // block (i, j) at i * sums_row_stride + j * kTileSums
  int64_t sums_row_stride;
};
void correlateSplitTiles(const MatrixCorrelation& correlation);

// Sets up the calling thread's tiles, and gives them back.
class MatrixTiles {
 public:
  MatrixTiles();
  ~MatrixTiles();
  MatrixTiles(const MatrixTiles&) = delete;
  MatrixTiles& operator=(const MatrixTiles&) = delete;
};

}  // namespace simaqat::kernels
