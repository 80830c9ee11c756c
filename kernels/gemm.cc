#include "kernels/gemm.h"

#include <algorithm>

#include "kernels/packet.h"
#include "kernels/tile_product.h"
#include "kernels/workspace.h"

// Columns of C are the positions of a tile product and rows its channels: rows of A are packed as
// weights, once; each tile packs its columns of B, a block of k at a time.

namespace simaqat::kernels {
namespace {

int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Tiles of C, cut by shape alone.
struct GemmPlan {
  static constexpr int64_t kTiles = 16;

  GemmPlan(int64_t m, int64_t n, int64_t k)
      : block(channelBlock(m)),
        rows(256),
        columns(256),
        depth(std::min(k, kTapBlock)),
        row_blocks(channelBlocks(m)) {
    while (ceilDiv(m, rows) * ceilDiv(n, columns) < kTiles && rows * columns > 32 * 64) {
      if (columns >= rows && columns > 64) {
        columns /= 2;
      } else {
        rows /= 2;
      }
    }
    row_tiles = ceilDiv(m, rows);
    column_tiles = ceilDiv(n, columns);
  }
  int64_t block;          // rows that are packed together; divides `rows`
  int64_t rows, columns;  // of a tile
  int64_t depth;          // of a packed block of B
  int64_t row_blocks, row_tiles, column_tiles;
};

struct GemmMemory {
  GemmMemory(const GemmPlan& plan, int64_t k, int threads, std::byte* workspace)
      : memory(workspace) {
    a = memory.take<float>(plan.row_blocks * plan.block * k);
    tap_offset = memory.take<int64_t>(plan.depth);
    b = memory.take<float>(threads * plan.depth * plan.columns);
    vectors = memory.take<PositionVector>(threads * plan.columns / kLanes);
  }
  Workspace memory;
  float* a;
  int64_t* tap_offset;
  float* b;                 // [thread][depth][columns]
  PositionVector* vectors;  // [thread][columns / kLanes]
};

// out[i * out_stride + j] = in[j * in_stride + i], kLanes x kLanes at a time.
void transpose(const float* in, int64_t in_stride, int64_t rows, int64_t columns, float* out,
               int64_t out_stride) {
  int64_t j = 0;
  for (; j + kLanes <= columns; j += kLanes) {
    int64_t i = 0;
    for (; i + kLanes <= rows; i += kLanes) {
      PacketSquare block;
      for (int r = 0; r < kLanes; ++r) block.packet[r] = load(in + (j + r) * in_stride + i);
      Eigen::internal::ptranspose(block);
      for (int r = 0; r < kLanes; ++r) store(out + (i + r) * out_stride + j, block.packet[r]);
    }
    for (; i < rows; ++i) {
      for (int64_t r = j; r < j + kLanes; ++r) out[i * out_stride + r] = in[r * in_stride + i];
    }
  }
  for (; j < columns; ++j) {
    for (int64_t i = 0; i < rows; ++i) out[i * out_stride + j] = in[j * in_stride + i];
  }
}

void packRows(bool trans, int64_t m, int64_t k, int64_t block, int64_t first, float alpha,
              const float* a, float* packed) {
  const int64_t row_stride = trans ? 1 : k;
  const int64_t depth_stride = trans ? m : 1;
  for (int64_t l = 0; l < k; ++l) {
    for (int64_t r = 0; r < block; ++r) {
      const int64_t row = first + r;
      *packed++ = row < m ? alpha * a[row * row_stride + l * depth_stride] : 0.0f;
    }
  }
}

}  // namespace

size_t gemmWorkspace(int64_t m, int64_t n, int64_t k, int threads) {
  return GemmMemory(GemmPlan(m, n, k), k, threads, nullptr).memory.used();
}

void gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, float alpha, const float* a,
          const float* b, float beta, float* c, std::byte* workspace, ThreadPool& pool) {
  if (m == 0 || n == 0) return;
  const GemmPlan plan(m, n, k);
  const GemmMemory memory(plan, k, pool.threads(), workspace);
  for (int64_t l = 0; l < plan.depth; ++l) memory.tap_offset[l] = l * plan.columns;
  pool.runRanges(plan.row_blocks, ceilDiv(1 << 14, plan.block * k + 1),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) {
                     packRows(trans_a, m, k, plan.block, i * plan.block, alpha, a,
                              memory.a + i * plan.block * k);
                   }
                 });

  pool.run(plan.row_tiles * plan.column_tiles, [&](int64_t tile, int worker) {
    const int64_t row = tile % plan.row_tiles * plan.rows;
    const int64_t column = tile / plan.row_tiles * plan.columns;
    const int64_t columns = std::min(plan.columns, n - column);
    float* packed = memory.b + worker * plan.depth * plan.columns;
    PositionVector* vectors = memory.vectors + worker * plan.columns / kLanes;
    int64_t count = 0;
    for (int64_t j = 0; j < columns; j += kLanes) {
      vectors[count++] = {j, column + j, std::min<int64_t>(kLanes, columns - j)};
    }
    int64_t begin = 0;
    do {
      const int64_t depth = std::min(plan.depth, k - begin);
      if (trans_b) transpose(b + column * k + begin, k, depth, columns, packed, plan.columns);
      for (int64_t l = 0; l < depth; ++l) {
        float* to = packed + l * plan.columns;
        if (!trans_b) std::copy_n(b + (begin + l) * n + column, columns, to);
        std::fill(to + columns, to + count * kLanes, 0.0f);
      }
      TileProduct<float> product{};
      product.source = packed;
      product.tap_offset = memory.tap_offset;
      product.taps = depth;
      product.weights = memory.a + (row / plan.block * k + begin) * plan.block;
      product.channel_block = plan.block;
      product.weight_block_stride = plan.block * k;
      product.channels = std::min(plan.rows, m - row);
      product.vectors = vectors;
      product.vector_count = count;
      product.target = c + row * n;
      product.channel_stride = n;
      product.target_step = 1;
      product.beta = begin == 0 ? beta : 1.0f;
      multiplyTile(product);
      begin += plan.depth;
    } while (begin < k);
  });
}

}  // namespace simaqat::kernels
