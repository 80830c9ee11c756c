// ../shared/cases: gradients on every instruction set.
#include "tests/cases/cases.h"
#include "tests/catch.h"

namespace simaqat::cases {
namespace {

TEST_CASE("depthwise convolutions with stride 2 and planes that no row fits") {
  if (!present()) QAT_SKIP("../shared is not here");
  for (const char* name : {"pad_then_valid_8", "pad_then_valid_24", "pad_1_0"}) {
    const Case c("depthwise_stride2", name);
    onEveryIsa([&] {
      checkStep(c);
      checkFlow(c);
    });
  }
}

}  // namespace
}  // namespace simaqat::cases
