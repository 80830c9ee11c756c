#include "qat/data/batch_loader.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "qat/base/random.h"

namespace simaqat {
namespace {

int64_t checkedBatchesPerEpoch(const Dataset& dataset, const LoaderOptions& options) {
  const int64_t batches =
      BatchLoader::batchesPerEpoch(dataset.size(), options.batch_size, options.drop_last);
  if (batches == 0) {
    throw inputError("a batch of {} samples cannot be filled from a dataset of {}",
                     options.batch_size, dataset.size());
  }
  return batches;
}

// The number of the batch at that place, batches being numbered through all epochs.
int64_t batchNumber(int64_t epoch, int64_t batch, int64_t per_epoch) {
  int64_t number = 0;
  SIMAQAT_CHECK(epoch >= 0 && batch >= 0 && !__builtin_mul_overflow(epoch, per_epoch, &number) &&
                !__builtin_add_overflow(number, batch, &number));
  return number;
}

}  // namespace

int64_t BatchLoader::batchesPerEpoch(int64_t samples, int64_t batch_size, bool drop_last) {
  if (batch_size < 1) throw inputError("a batch of {} samples is not possible", batch_size);
  return samples / batch_size + (drop_last || samples % batch_size == 0 ? 0 : 1);
}

BatchLoader::BatchLoader(std::shared_ptr<const Dataset> dataset, const LoaderOptions& options)
    : dataset_(std::move(dataset)),
      options_(options),
      per_epoch_(checkedBatchesPerEpoch(*dataset_, options)),
      end_(options.epochs < 0 ? std::numeric_limits<int64_t>::max()
                              : batchNumber(options.epochs, 0, per_epoch_)),
      claimed_(batchNumber(options.start_epoch, options.start_batch, per_epoch_)),
      given_(claimed_) {
  SIMAQAT_CHECK(options.threads >= 1);
  // One with the caller, one ready, and one for each thread to work on.
  slots_.resize(static_cast<size_t>(options.threads) + 2);
  try {
    for (int i = 0; i < options.threads; ++i) workers_.emplace_back([this] { work(); });
  } catch (...) {
    // The system has no more threads: those that run end before the members that they use.
    stop();
    throw;
  }
}

BatchLoader::~BatchLoader() { stop(); }

void BatchLoader::stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  slot_free_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

const Batch* BatchLoader::next() {
  std::unique_lock<std::mutex> lock(mutex_);
  if (holding_) {
    slotOf(given_ - 1).made = nullptr;
    holding_ = false;
    slot_free_.notify_one();
  }
  if (given_ >= end_) return nullptr;
  Slot& slot = slotOf(given_);
  batch_made_.wait(lock, [&] { return slot.made != nullptr || slot.error; });
  if (slot.error) std::rethrow_exception(slot.error);
  ++given_;
  holding_ = true;
  return slot.made;
}

void BatchLoader::work() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    slot_free_.wait(lock, [&] {
      const int64_t free_before = given_ - (holding_ ? 1 : 0) + static_cast<int64_t>(slots_.size());
      return stop_ || claimed_ >= end_ || claimed_ < free_before;
    });
    if (stop_ || claimed_ >= end_) return;
    const int64_t number = claimed_++;
    Slot& slot = slotOf(number);
    try {
      const int64_t epoch = number / per_epoch_;
      if (epoch != order_epoch_) {
        order_ = orderOf(epoch);
        order_epoch_ = epoch;
      }
      const std::shared_ptr<const Order> order = order_;
      lock.unlock();
      Batch* made = make(number, *order, slot);
      lock.lock();
      slot.made = made;
    } catch (...) {
      if (!lock.owns_lock()) lock.lock();
      slot.error = std::current_exception();
    }
    batch_made_.notify_one();
  }
}

std::shared_ptr<const BatchLoader::Order> BatchLoader::orderOf(int64_t epoch) const {
  auto order = std::make_shared<Order>(static_cast<size_t>(dataset_->size()));
  std::iota(order->begin(), order->end(), uint32_t{0});
  if (options_.shuffle) {
    const RandomStream random(options_.seed, randomPurpose("shuffle"),
                              static_cast<uint64_t>(epoch));
    for (size_t left = order->size(); left > 1; --left) {
      const size_t chosen = random.below(left, static_cast<uint32_t>(left));
      std::swap((*order)[left - 1], (*order)[chosen]);
    }
  }
  return order;
}

Batch* BatchLoader::make(int64_t number, const Order& order, Slot& slot) const {
  const int64_t index = number % per_epoch_;
  const int64_t begin = index * options_.batch_size;
  const int64_t samples = std::min(options_.batch_size, dataset_->size() - begin);
  Batch& batch = samples == options_.batch_size ? slot.full : slot.rest;
  batch.epoch = number / per_epoch_;
  batch.index = index;
  batch.samples = samples;
  if (batch.fields.empty()) {
    for (size_t field = 0; field < dataset_->fieldCount(); ++field) {
      std::vector<int64_t> dims = dataset_->sampleDims(field);
      dims.insert(dims.begin(), samples);
      batch.fields.emplace_back(dataset_->fieldType(field), std::move(dims));
    }
  }
  for (size_t field = 0; field < dataset_->fieldCount(); ++field) {
    const size_t sample_bytes = batch.fields[field].bytes() / static_cast<size_t>(samples);
    std::byte* row = batch.fields[field].mutableRawData();
    for (int64_t i = 0; i < samples; ++i, row += sample_bytes) {
      dataset_->readSample(field, order[static_cast<size_t>(begin + i)], row,
                           options_.random_transforms, options_.seed, batch.epoch);
    }
  }
  return &batch;
}

}  // namespace simaqat
