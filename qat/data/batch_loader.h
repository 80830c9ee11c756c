// Batches of a dataset, made ahead of the step on threads of their own.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "qat/base/tensor.h"
#include "qat/data/dataset.h"

namespace simaqat {

struct LoaderOptions {
  int64_t batch_size = 1;
  uint64_t seed = 0;
  bool shuffle = false;
  bool random_transforms = false;
  bool drop_last = false;  // leaves out an epoch's last batch where it is not full
  int threads = 1;
  // Where to begin, as a run from the start would go on from there.
  int64_t start_epoch = 0;
  int64_t start_batch = 0;
  int64_t epochs = 1;  // the number of the epoch to stop before; -1: endless
};

struct Batch {
  int64_t epoch = 0;
  int64_t index = 0;  // within the epoch
  int64_t samples = 0;
  std::vector<Tensor> fields;  // in the dataset's order, samples along the first axis
};

// The batches depend on the options and the dataset, not on the number of threads.
class BatchLoader {
 public:
  BatchLoader(std::shared_ptr<const Dataset> dataset, const LoaderOptions& options);
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  // The next batch, valid until the next call; null at the end. Its tensors are reused: whoever
  // keeps one beyond that copies its bytes.
  const Batch* next();

  static int64_t batchesPerEpoch(int64_t samples, int64_t batch_size, bool drop_last);

 private:
  // A place in the ring: tensors of a full batch and of an epoch's shorter last one, both reused.
  struct Slot {
    Batch full;
    Batch rest;
    Batch* made = nullptr;  // one of the two, once it is there
    std::exception_ptr error;
  };
  using Order = std::vector<uint32_t>;

  void work();
  void stop();  // and waits until the threads have ended
  Batch* make(int64_t number, const Order& order, Slot& slot) const;
  std::shared_ptr<const Order> orderOf(int64_t epoch) const;
  Slot& slotOf(int64_t number) { return slots_[static_cast<size_t>(number) % slots_.size()]; }

  const std::shared_ptr<const Dataset> dataset_;
  const LoaderOptions options_;
  const int64_t per_epoch_;

  // Batches are numbered through all epochs; batch `number` is made in slotOf(number).
  std::mutex mutex_;
  std::condition_variable slot_free_;
  std::condition_variable batch_made_;
  std::vector<Slot> slots_;
  int64_t end_;           // the number to stop before
  int64_t claimed_;       // the next number to be made
  int64_t given_;         // the next number to be given out
  bool holding_ = false;  // whether the caller still has the batch before that
  bool stop_ = false;
  int64_t order_epoch_ = -1;
  std::shared_ptr<const Order> order_;  // of order_epoch_
  std::vector<std::thread> workers_;
};

}  // namespace simaqat
