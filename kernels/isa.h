// Which instruction set the kernels use, and the table of those that exist in several versions.
//
// The program is compiled for the baseline (AVX2 with FMA, or Arm's NEON). The best that the CPU
// has beyond it is chosen once; SIMAQAT_ISA forces a lower choice, for tests. Versions of one
// kernel in this table agree bit for bit. From "avx512" on depthwise convolutions run in masked
// vectors (masked_plane.h), whose weight gradients have other bits. With "amx" convolutions of
// quantized values and their gradients run on other kernels (matrix_conv.h), whose gradients have
// other bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/code_product.h"
#include "kernels/fake_quantize.h"

namespace simaqat::kernels {

struct Bfloat16Pair;
struct GradientLine;
struct PartialMoments;
struct PassedValues;
template <class T>
struct PanelProduct;
class WideSum;
struct WinogradTransforms;

// In ascending order; each includes those of its architecture before it.
enum class Isa {
  kBaseline,    // "avx2" on x86-64, "neon" on Arm
  kDotProduct,  // Arm's "dotprod": dot products of bytes
  kAvx512,      // "avx512": F, BW, DQ and VL
  kAvx512Vnni,  // "avx512vnni"
  kAvx512Bf16,  // "avx512bf16": dot products of bfloat16, too
  kAmx,         // "amx": matrix tiles of 8-bit codes and of bfloat16, matrix_tiles.h
};
#if defined(__aarch64__)
constexpr Isa kAllIsas[] = {Isa::kBaseline, Isa::kDotProduct};
#else
constexpr Isa kAllIsas[] = {Isa::kBaseline, Isa::kAvx512, Isa::kAvx512Vnni, Isa::kAvx512Bf16,
                            Isa::kAmx};
#endif
const char* isaName(Isa isa);

// What the CPU can do.
Isa detectedIsa();
// What to use where `forced` (null or empty: not forced) is asked for and the CPU has `detected`.
// Throws an Error where that is unknown or more than the CPU has.
Isa chosenIsa(const char* forced, Isa detected);

// Whether what is chosen has an instruction for products of bfloat16 numbers.
bool hasBfloat16Products();

// Serial loops over contiguous elements; fake_quantize.h has their formulas.
struct KernelTable {
  Isa isa;
  void (*fakeQuantize)(const float* x, int64_t n, float scale, float zero_point, float qmin,
                       float qmax, float* y);
  void (*fakeQuantizeGrad)(const float* x, const float* dy, int64_t n, float scale,
                           float zero_point, float qmin, float qmax, float* dx);
  void (*quantizeUint8)(const float* x, int64_t n, float scale, float zero_point, float qmin,
                        float qmax, uint8_t* codes);
  void (*quantizeInt8)(const float* x, int64_t n, float scale, float zero_point, float qmin,
                       float qmax, int8_t* codes);
  // Whether there was a NaN, which has no code.
  bool (*quantizeLine)(const float* x, int64_t n, const LineToCodes& line, uint8_t* codes);
  // Both NaN where any x is; infinity and minus infinity where n is 0. A zero is +0.
  void (*minMax)(const float* x, int64_t n, float* lo, float* hi);
  // code_product.h
  void (*multiplyCodes)(const CodeProduct& product, CodeSums& sums);
  // panel_product.h
  void (*multiplyPanel)(const PanelProduct<float>& product);
  void (*multiplyPanelInDouble)(const PanelProduct<double>& product);
  void (*multiplyPanelOfPairs)(const PanelProduct<Bfloat16Pair>& product);
  // channel_loops.h
  void (*addMoments)(const float* values, int64_t n, PartialMoments& moments);
  void (*addGradients)(const float* dy, const float* x, int64_t n, int64_t ahead,
                       const PassedValues& passed, double mean, WideSum& first, WideSum& second);
  void (*lineGradient)(const float* dy, const float* x, int64_t n, const PassedValues& passed,
                       const GradientLine& line, float* dx);
  // winograd_panels.h
  const WinogradTransforms* winograd_by_two;
  const WinogradTransforms* winograd_by_four;
};

// The table of one instruction set, for tests; the CPU must have it.
const KernelTable& kernelsOf(Isa isa);
// The table to use: chosen at the first call from the CPU and SIMAQAT_ISA.
const KernelTable& kernels();
// Makes it that of another instruction set, which the CPU must have. For tests: no kernel may be
// running, and a workspace is of the instruction set that it was measured for.
void setKernels(Isa isa);

}  // namespace simaqat::kernels
