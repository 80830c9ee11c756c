// ../shared/cases: sequences, Loop and If that are resolved when a model is read.
#include "tests/cases/cases.h"
#include "tests/catch.h"

namespace simaqat::cases {
namespace {

TEST_CASE("sequences, loops and conditions that follow from shapes") {
  if (!present()) QAT_SKIP("../shared is not here");
  for (const char* folder : {"split_to_sequence", "adaptive_pool_loop", "if_of_shapes"}) {
    const Case c(folder);
    onEveryIsa([&] {
      checkStep(c);
      checkFlow(c, 0.3, {});
    });
  }
}

}  // namespace
}  // namespace simaqat::cases
