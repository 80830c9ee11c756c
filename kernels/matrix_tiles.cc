#include "kernels/matrix_tiles.h"

#include "qat/base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace simaqat::kernels {

#if defined(__x86_64__)
#define SIMAQAT_AMX __attribute__((target("amx-tile,amx-int8,amx-bf16")))

namespace {

bool askForTiles() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  constexpr unsigned kBfloat16 = 1u << 22, kTile = 1u << 24, kInt8 = 1u << 25;
  constexpr unsigned kAll = kBfloat16 | kTile | kInt8;
  if ((edx & kAll) != kAll) return false;
  // The kernel saves tiles of those processes alone that ask for it.
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;               // XFEATURE_XTILEDATA
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

struct alignas(64) TileConfiguration {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr TileConfiguration kConfiguration;

// The compiler does not know that the instructions' macros read and write memory.
inline void memoryBarrier() { asm volatile("" ::: "memory"); }

}  // namespace

bool hasMatrixTiles() {
  static const bool has = askForTiles();
  return has;
}

// The attribute does not go with constructors.
namespace {
SIMAQAT_AMX void loadConfiguration() { _tile_loadconfig(&kConfiguration); }
SIMAQAT_AMX void release() { _tile_release(); }
}  // namespace

MatrixTiles::MatrixTiles() { loadConfiguration(); }
MatrixTiles::~MatrixTiles() { release(); }

// Tile registers have numbers that instructions hold: 0 to 3 are the sums (i, j) at 2 i + j, 4 and 5
// the left operands, 6 and 7 the right ones.
namespace {

template <bool kSplit>
SIMAQAT_AMX inline void multiply(const MatrixProduct& p) {
  const bool second_row = p.rows == 2, second_column = p.columns == 2;
  const auto stride = static_cast<size_t>(p.right_row_stride);
  memoryBarrier();
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t k = 0; k < p.depth; ++k) {
    const std::byte* left = p.left + k * kTileBytes;
    _tile_loadd(4, left, 64);
    if (second_row) _tile_loadd(5, left + p.left_stride, 64);
    for (int64_t plane = 0; plane < (kSplit ? kPlanes : 1); ++plane) {
      const int64_t offset = p.right_offset[k] + plane * p.plane_stride;
      _tile_loadd(6, p.right[0] + offset, stride);
      if (kSplit) {
        _tile_dpbf16ps(0, 4, 6);
        if (second_row) _tile_dpbf16ps(2, 5, 6);
      } else {
        _tile_dpbsud(0, 4, 6);
        if (second_row) _tile_dpbsud(2, 5, 6);
      }
      if (!second_column) continue;
      _tile_loadd(7, p.right[1] + offset, stride);
      if (kSplit) {
        _tile_dpbf16ps(1, 4, 7);
        if (second_row) _tile_dpbf16ps(3, 5, 7);
      } else {
        _tile_dpbsud(1, 4, 7);
        if (second_row) _tile_dpbsud(3, 5, 7);
      }
    }
  }
  auto* sums = static_cast<int32_t*>(p.sums);
  int32_t* lower = sums + p.columns * kTileSums;
  _tile_stored(0, sums, 64);
  if (second_column) _tile_stored(1, sums + kTileSums, 64);
  if (second_row) _tile_stored(2, lower, 64);
  if (second_row && second_column) _tile_stored(3, lower + kTileSums, 64);
  memoryBarrier();
}

}  // namespace

SIMAQAT_AMX void multiplyCodeTiles(const MatrixProduct& product) { multiply<false>(product); }
SIMAQAT_AMX void multiplySplitTiles(const MatrixProduct& product) { multiply<true>(product); }

SIMAQAT_AMX void correlateSplitTiles(const MatrixCorrelation& c) {
  const bool second_row = c.rows == 2, second_column = c.columns == 2;
  const auto stride = static_cast<size_t>(c.left_row_stride);
  float* upper = c.sums;
  float* lower = c.sums + c.sums_row_stride;
  memoryBarrier();
  _tile_loadd(0, upper, 64);
  if (second_column) _tile_loadd(1, upper + kTileSums, 64);
  if (second_row) _tile_loadd(2, lower, 64);
  if (second_row && second_column) _tile_loadd(3, lower + kTileSums, 64);
  for (int64_t k = 0; k < c.depth; ++k) {
    const std::byte* left = c.left + c.left_offset[k];
    _tile_loadd(4, left, stride);
    if (second_row) _tile_loadd(5, left + c.left_block_stride, stride);
    for (int64_t plane = 0; plane < kPlanes; ++plane) {
      const std::byte* right = c.right + (k * kPlanes + plane) * kTileBytes;
      _tile_loadd(6, right, 64);
      _tile_dpbf16ps(0, 4, 6);
      if (second_row) _tile_dpbf16ps(2, 5, 6);
      if (!second_column) continue;
      _tile_loadd(7, right + c.depth * kPlanes * kTileBytes, 64);
      _tile_dpbf16ps(1, 4, 7);
      if (second_row) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, upper, 64);
  if (second_column) _tile_stored(1, upper + kTileSums, 64);
  if (second_row) _tile_stored(2, lower, 64);
  if (second_row && second_column) _tile_stored(3, lower + kTileSums, 64);
  memoryBarrier();
}

#undef SIMAQAT_AMX
#else

bool hasMatrixTiles() { return false; }
MatrixTiles::MatrixTiles() = default;
MatrixTiles::~MatrixTiles() = default;
void multiplyCodeTiles(const MatrixProduct&) { SIMAQAT_CHECK(false); }
void multiplySplitTiles(const MatrixProduct&) { SIMAQAT_CHECK(false); }
void correlateSplitTiles(const MatrixCorrelation&) { SIMAQAT_CHECK(false); }

#endif

}  // namespace simaqat::kernels
