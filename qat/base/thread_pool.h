// The one pool of threads that kernels share.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace simaqat {

// Runs tiles of work on a fixed number of threads, the caller's among them.
//
// Each thread begins with tiles of its own, the same part of all of them in every run, so that what
// it wrote for one kernel is in its caches for the next; one that is done goes on with the others'.
// So which thread runs which tile is left to chance; for results not to depend on it, callers cut
// work into tiles by shape alone, let each tile write its own memory, and reduce partial results in
// the order of the tiles.
class ThreadPool {
 public:
  // `threads` counts the calling thread: 1 starts none.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(tile, worker) for each tile in [0, tiles), worker in [0, threads()). Allocates
  // nothing. Not to be nested. The first exception of a tile is thrown again here.
  template <class Body>
  void run(int64_t tiles, Body&& body) {
    using Plain = std::remove_reference_t<Body>;
    runTiles(
        tiles,
        [](void* context, int64_t tile, int worker) {
          (*static_cast<Plain*>(context))(tile, worker);
        },
        const_cast<void*>(static_cast<const void*>(&body)));
  }

  // Calls body(begin, end) for pieces of [0, count) of `grain` elements each (the last may be
  // shorter).
  template <class Body>
  void runRanges(int64_t count, int64_t grain, Body&& body) {
    run((count + grain - 1) / grain, [&](int64_t tile, int) {
      const int64_t begin = tile * grain;
      body(begin, begin + grain < count ? begin + grain : count);
    });
  }

 private:
  using TileFunction = void (*)(void* context, int64_t tile, int worker);
  void runTiles(int64_t tiles, TileFunction function, void* context);
  void workerLoop(int worker);
  void drain(int worker);
  void drainPart(size_t part, int worker);

  // The tiles that a thread begins with. On cache lines of its own, for the thread alone while it
  // is not done.
  struct alignas(64) Part {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> running_{0};
  std::vector<Part> parts_;  // one for each thread
  bool stop_ = false;
  TileFunction function_ = nullptr;
  void* context_ = nullptr;
  std::exception_ptr error_;
};

// The number of processors this process may use.
int availableProcessors();

}  // namespace simaqat
