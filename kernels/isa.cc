#include "kernels/isa.h"

#include <cstdlib>
#include <cstring>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "kernels/channel_loops.h"
#include "kernels/elementwise.h"
#include "kernels/matrix_tiles.h"
#include "kernels/panel_product.h"
#include "kernels/winograd_panels.h"
#include "qat/base/error.h"

namespace simaqat::kernels {

const char* isaName(Isa isa) {
  switch (isa) {
    case Isa::kDotProduct:
      return "dotprod";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAvx512Vnni:
      return "avx512vnni";
    case Isa::kAvx512Bf16:
      return "avx512bf16";
    case Isa::kAmx:
      return "amx";
    case Isa::kBaseline:
      break;
  }
#if defined(__x86_64__)
  return "avx2";
#else
  return "neon";
#endif
}

Isa detectedIsa() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    if (!__builtin_cpu_supports("avx512vnni")) return Isa::kAvx512;
    if (!__builtin_cpu_supports("avx512bf16")) return Isa::kAvx512Vnni;
    return hasMatrixTiles() ? Isa::kAmx : Isa::kAvx512Bf16;
  }
#elif defined(__aarch64__)
  if ((getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0) return Isa::kDotProduct;
#endif
  return Isa::kBaseline;
}

Isa chosenIsa(const char* forced, Isa detected) {
  if (forced == nullptr || *forced == '\0') return detected;
  for (Isa isa : kAllIsas) {
    if (std::strcmp(forced, isaName(isa)) != 0) continue;
    if (isa > detected) {
      throw usageError("SIMAQAT_ISA: this CPU has {}, not {}", isaName(detected), forced);
    }
    return isa;
  }
  throw usageError(
      "SIMAQAT_ISA: expected avx2, avx512, avx512vnni, avx512bf16 or amx "
      "(on Arm: neon or dotprod), got '{}'",
      forced);
}

#if defined(__x86_64__)
namespace {

constexpr KernelTable withVnni(KernelTable table, Isa isa) {
  table.isa = isa;
  table.multiplyCodes = avx512vnni::multiplyCodes;
  return table;
}

constexpr KernelTable withBf16(KernelTable table, Isa isa) {
  table = withVnni(table, isa);
  table.multiplyPanelOfPairs = avx512bf16::multiplyPanel;
  return table;
}

}  // namespace
#elif defined(__aarch64__)
namespace {

constexpr KernelTable withDotProducts(KernelTable table) {
  table.isa = Isa::kDotProduct;
  table.multiplyCodes = dotprod::multiplyCodes;
  return table;
}

}  // namespace
#endif

const KernelTable& kernelsOf(Isa isa) {
  static constexpr KernelTable kBaselineTable = {
      Isa::kBaseline,
      baseline::fakeQuantize,
      baseline::fakeQuantizeGrad,
      baseline::quantizeUint8,
      baseline::quantizeInt8,
      baseline::quantizeLine,
      baseline::minMax,
      baseline::multiplyCodes,
      baseline::multiplyPanel<float>,
      baseline::multiplyPanel<double>,
      baseline::multiplyPanel<Bfloat16Pair>,
      baseline::addMoments,
      baseline::addGradients,
      baseline::lineGradient,
      &baseline::winograd_by_two,
      &baseline::winograd_by_four,
  };
#if defined(__x86_64__)
  static constexpr KernelTable kAvx512Table = {
      Isa::kAvx512,
      avx512::fakeQuantize,
      avx512::fakeQuantizeGrad,
      avx512::quantizeUint8,
      avx512::quantizeInt8,
      avx512::quantizeLine,
      avx512::minMax,
      baseline::multiplyCodes,
      avx512::multiplyPanel<float>,
      avx512::multiplyPanel<double>,
      baseline::multiplyPanel<Bfloat16Pair>,
      avx512::addMoments,
      avx512::addGradients,
      avx512::lineGradient,
      &avx512::winograd_by_two,
      &avx512::winograd_by_four,
  };
  // Of these kernels, those of floats have no use for VNNI.
  static constexpr KernelTable kAvx512VnniTable = withVnni(kAvx512Table, Isa::kAvx512Vnni);
  static constexpr KernelTable kAvx512Bf16Table = withBf16(kAvx512Table, Isa::kAvx512Bf16);
  static constexpr KernelTable kAmxTable = withBf16(kAvx512Table, Isa::kAmx);
  if (isa == Isa::kAmx) return kAmxTable;
  if (isa == Isa::kAvx512Bf16) return kAvx512Bf16Table;
  if (isa == Isa::kAvx512Vnni) return kAvx512VnniTable;
  if (isa == Isa::kAvx512) return kAvx512Table;
#elif defined(__aarch64__)
  static constexpr KernelTable kDotProductTable = withDotProducts(kBaselineTable);
  if (isa == Isa::kDotProduct) return kDotProductTable;
#endif
  SIMAQAT_CHECK(isa == Isa::kBaseline);
  return kBaselineTable;
}

bool hasBfloat16Products() { return kernels().isa >= Isa::kAvx512Bf16; }

namespace {

const KernelTable*& chosenKernels() {
  static const KernelTable* table =
      &kernelsOf(chosenIsa(std::getenv("SIMAQAT_ISA"), detectedIsa()));
  return table;
}

}  // namespace

const KernelTable& kernels() { return *chosenKernels(); }

void setKernels(Isa isa) {
  SIMAQAT_CHECK(isa <= detectedIsa());
  chosenKernels() = &kernelsOf(isa);
}

}  // namespace simaqat::kernels
