// Catch2, of either version: 2.x (Debian 12) or 3.x (Debian 13).
#ifndef TESTS_CATCH_H_
#define TESTS_CATCH_H_

#include <string>

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>

// Under the names that version 3 gave them.
namespace Catch {
using Detail::Approx;
}
namespace Catch::Matchers {
inline auto ContainsSubstring(const std::string& text) { return Contains(text); }
}  // namespace Catch::Matchers
#endif

// Leaves the test case, with a word, where something it needs is not on this machine.
// Version 2 has no SKIP: the test case counts as passed in both.
#define QAT_SKIP(message) \
  do {                    \
    WARN(message);        \
    return;               \
  } while (false)

#endif  // TESTS_CATCH_H_
