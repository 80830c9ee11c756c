#include "qat/base/thread_pool.h"

#include <stdexcept>

#include "tests/catch.h"

namespace simaqat {
namespace {

TEST_CASE("every tile runs once, on a worker of the pool") {
  for (int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    CHECK(pool.threads() == threads);
    for (int64_t tiles : {0, 1, 2, 3, 100, 20000}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(tiles));
      std::atomic<bool> known{true};
      pool.run(tiles, [&](int64_t tile, int worker) {
        ++runs[static_cast<size_t>(tile)];
        if (worker < 0 || worker >= threads) known = false;
      });
      int64_t once = 0;
      for (const auto& count : runs) once += count == 1;
      CHECK(once == tiles);
      CHECK(known);
    }
  }
}

TEST_CASE("many short runs follow one another") {
  ThreadPool pool(3);
  std::atomic<int64_t> total{0};
  for (int run = 0; run < 5000; ++run) pool.run(4, [&](int64_t tile, int) { total += tile; });
  CHECK(total == 5000 * 6);
}

TEST_CASE("ranges cover the whole and end with the shorter piece") {
  ThreadPool pool(2);
  std::vector<int> seen(103);
  pool.runRanges(103, 10, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
  });
  CHECK(seen == std::vector<int>(103, 1));
}

TEST_CASE("an exception of a tile arrives at the caller, and the pool goes on") {
  for (int threads : {1, 4}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 50; ++round) {
      std::atomic<int> others{0};
      CHECK_THROWS_AS(pool.run(64,
                               [&](int64_t tile, int) {
                                 if (tile % 7 == 3) throw std::runtime_error("tile");
                                 ++others;
                               }),
                      std::runtime_error);
      CHECK(others == 64 - 9);
      std::atomic<int> after{0};
      pool.run(64, [&](int64_t, int) { ++after; });
      CHECK(after == 64);
    }
  }
}

TEST_CASE("there is a processor to run on") { CHECK(availableProcessors() >= 1); }

}  // namespace
}  // namespace simaqat
