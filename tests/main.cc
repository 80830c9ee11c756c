// The main function of every test: Catch2's own, and a last line that tools/test.sh adds up.
#define CATCH_CONFIG_RUNNER
#include "tests/catch.h"

#include <cstdio>

namespace {

#if __has_include(<catch2/catch_all.hpp>)
using Listener = Catch::EventListenerBase;
#else
using Listener = Catch::TestEventListenerBase;
#endif

class Summary : public Listener {
 public:
  using Listener::Listener;

  // Not printed when the process dies on the way: then the whole test counts as failed.
  void testRunEnded(const Catch::TestRunStats& stats) override {
    const auto& cases = stats.totals.testCases;
    // A case that may fail, or should, and does, is as good as passed.
    std::printf("test cases: %llu passed, %llu failed\n",
                static_cast<unsigned long long>(cases.passed + cases.failedButOk),
                static_cast<unsigned long long>(cases.failed));
    std::fflush(stdout);
  }
};

}  // namespace

CATCH_REGISTER_LISTENER(Summary)

int main(int argc, char** argv) { return Catch::Session().run(argc, argv); }
