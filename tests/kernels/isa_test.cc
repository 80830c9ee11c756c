#include "kernels/isa.h"

#include "qat/base/error.h"
#include "tests/catch.h"

namespace simaqat::kernels {

TEST_CASE("an instruction set is forced by name") {
  const char* const baseline = isaName(Isa::kBaseline);
  CHECK(chosenIsa(nullptr, Isa::kAvx512) == Isa::kAvx512);
  CHECK(chosenIsa("", Isa::kAvx512Vnni) == Isa::kAvx512Vnni);
  CHECK(chosenIsa(baseline, Isa::kAvx512Vnni) == Isa::kBaseline);
  CHECK(chosenIsa("avx512", Isa::kAvx512Vnni) == Isa::kAvx512);
  CHECK(chosenIsa("avx512vnni", Isa::kAmx) == Isa::kAvx512Vnni);
  CHECK(chosenIsa("avx512bf16", Isa::kAmx) == Isa::kAvx512Bf16);
  CHECK_THROWS_AS(chosenIsa("avx512bf16", Isa::kAvx512Vnni), Error);
  CHECK(chosenIsa(nullptr, Isa::kAmx) == Isa::kAmx);
  CHECK_THROWS_AS(chosenIsa("avx512", Isa::kBaseline), Error);
  CHECK_THROWS_AS(chosenIsa("avx512vnni", Isa::kAvx512), Error);
  CHECK_THROWS_AS(chosenIsa("amx", Isa::kAvx512Vnni), Error);
  CHECK_THROWS_WITH(chosenIsa("sse9", Isa::kAvx512), Catch::Matchers::ContainsSubstring("sse9"));
}

TEST_CASE("the table is that of the CPU or lower") {
  CHECK(kernels().isa <= detectedIsa());
  CHECK(kernelsOf(Isa::kBaseline).isa == Isa::kBaseline);
}

}  // namespace simaqat::kernels
