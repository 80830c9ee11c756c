#include "qat/base/thread_pool.h"

#include <sched.h>

#include <algorithm>

#include "qat/base/error.h"

namespace simaqat {
namespace {

// How often a waiting thread looks before it sleeps: kernels follow one another within
// microseconds, so that a sleep and a wake-up would cost more than the wait.
constexpr int kSpins = 4000;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

int availableProcessors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
  const unsigned count = std::thread::hardware_concurrency();
  return count == 0 ? 1 : static_cast<int>(count);
}

ThreadPool::ThreadPool(int threads) : parts_(static_cast<size_t>(std::max(threads, 1))) {
  SIMAQAT_CHECK(threads >= 1);
  for (int worker = 1; worker < threads; ++worker) {
    workers_.emplace_back([this, worker] { workerLoop(worker); });
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
    generation_.fetch_add(1);
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::drain(int worker) {
  const auto own = static_cast<size_t>(worker);
  for (size_t i = 0; i < parts_.size(); ++i) drainPart((own + i) % parts_.size(), worker);
}

void ThreadPool::drainPart(size_t part, int worker) {
  Part& tiles = parts_[part];
  for (;;) {
    const int64_t tile = tiles.next.fetch_add(1);
    if (tile >= tiles.end) return;
    try {
      function_(context_, tile, worker);
    } catch (...) {
      std::lock_guard<std::mutex> lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
  }
}

void ThreadPool::workerLoop(int worker) {
  uint64_t seen = 0;
  for (;;) {
    for (int spin = 0; spin < kSpins && generation_.load() == seen; ++spin) pause();
    if (generation_.load() == seen) {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [&] { return generation_.load() != seen; });
    }
    seen = generation_.load();
    if (stop_) return;
    drain(worker);
    if (running_.fetch_sub(1) == 1) {
      std::lock_guard<std::mutex> lock(mutex_);
      done_.notify_one();
    }
  }
}

void ThreadPool::runTiles(int64_t tiles, TileFunction function, void* context) {
  if (tiles <= 0) return;
  function_ = function;
  context_ = context;
  const auto count = static_cast<int64_t>(parts_.size());
  for (int64_t i = 0; i < count; ++i) {
    Part& part = parts_[static_cast<size_t>(i)];
    part.end = tiles * (i + 1) / count;
    part.next.store(tiles * i / count);
  }
  if (tiles > 1 && !workers_.empty()) {
    running_.store(static_cast<int>(workers_.size()));
    {
      std::lock_guard<std::mutex> lock(mutex_);
      generation_.fetch_add(1);
    }
    wake_.notify_all();
    drain(0);
    for (int spin = 0; spin < kSpins && running_.load() != 0; ++spin) pause();
    if (running_.load() != 0) {
      std::unique_lock<std::mutex> lock(mutex_);
      done_.wait(lock, [&] { return running_.load() == 0; });
    }
  } else {
    drain(0);
  }
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

}  // namespace simaqat
