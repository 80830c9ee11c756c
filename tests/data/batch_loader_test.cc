#include "qat/data/batch_loader.h"

#include <algorithm>
#include <numeric>

#include "tests/catch.h"
#include "tests/data/files.h"

using namespace simaqat;
using Catch::Matchers::ContainsSubstring;

namespace {

// `samples` images of 4 x 4, all of whose pixels are the sample's number plus one, and as labels
// the numbers themselves.
std::shared_ptr<const Dataset> numbered(int64_t samples) {
  Tensor images(ElementType::kInt32, {samples, 4, 4});
  Tensor labels(ElementType::kInt64, {samples});
  for (int64_t i = 0; i < samples; ++i) {
    std::fill_n(images.mutableData<int32_t>() + i * 16, 16, static_cast<int32_t>(i) + 1);
    labels.mutableData<int64_t>()[i] = i;
  }
  Transform crop;
  crop.kind = Transform::kPadCrop;
  crop.padding = 2;
  Manifest manifest;
  manifest.path = "data.json";
  auto& fields = manifest.splits["train"].fields;
  fields["input"].array = writeTestFile("images.npy", npyBytes(images));
  fields["input"].transforms = {crop};
  fields["labels"].array = writeTestFile("labels.npy", npyBytes(labels));
  return Dataset::open(
      manifest, "train",
      {{"input", ElementType::kFloat, {1, 4, 4}}, {"labels", ElementType::kInt64, {}}});
}

// All that a batch says, copied.
struct Seen {
  int64_t epoch, index, samples;
  std::vector<float> pixels;
  std::vector<int64_t> labels;
  bool operator==(const Seen& other) const {
    return epoch == other.epoch && index == other.index && samples == other.samples &&
           pixels == other.pixels && labels == other.labels;
  }
};

std::vector<Seen> run(const std::shared_ptr<const Dataset>& dataset, const LoaderOptions& options,
                      int64_t most = 1000) {
  BatchLoader loader(dataset, options);
  std::vector<Seen> seen;
  while (const Batch* batch = loader.next()) {
    CHECK(batch->fields.at(0).dims() == std::vector<int64_t>{batch->samples, 1, 4, 4});
    CHECK(batch->fields.at(1).dims() == std::vector<int64_t>{batch->samples});
    seen.push_back({batch->epoch, batch->index, batch->samples, batch->fields[0].toVector<float>(),
                    batch->fields[1].toVector<int64_t>()});
    if (static_cast<int64_t>(seen.size()) == most) break;
  }
  return seen;
}

LoaderOptions shuffled(int64_t batch_size, int64_t epochs) {
  LoaderOptions options;
  options.batch_size = batch_size;
  options.seed = 42;
  options.shuffle = true;
  options.random_transforms = true;
  options.epochs = epochs;
  return options;
}

}  // namespace

TEST_CASE("Without shuffling, batches come in the file's order, the last one short") {
  LoaderOptions options;
  options.batch_size = 4;
  const auto seen = run(numbered(10), options);
  REQUIRE(seen.size() == 3);
  CHECK(seen[0].labels == std::vector<int64_t>{0, 1, 2, 3});
  CHECK(seen[2].labels == std::vector<int64_t>{8, 9});
  CHECK(seen[2].pixels[0] == 9);
  CHECK(seen[2].pixels[16] == 10);
  options.drop_last = true;
  CHECK(run(numbered(10), options).size() == 2);
  CHECK(BatchLoader::batchesPerEpoch(10, 4, false) == 3);
  CHECK(BatchLoader::batchesPerEpoch(10, 4, true) == 2);
  CHECK(BatchLoader::batchesPerEpoch(8, 4, false) == 2);
}

TEST_CASE("A batch larger than the dataset holds all of it") {
  LoaderOptions options;
  options.batch_size = int64_t{1} << 62;
  const auto seen = run(numbered(10), options);
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].samples == 10);
  options.drop_last = true;
  CHECK_THAT(inputErrorOf([&] { run(numbered(10), options); }),
             ContainsSubstring("cannot be filled from a dataset of 10"));
  options.batch_size = 0;
  CHECK_THAT(inputErrorOf([&] { run(numbered(10), options); }),
             ContainsSubstring("a batch of 0 samples"));
}

TEST_CASE("A shuffled epoch has every sample once, each epoch in its own order") {
  const auto seen = run(numbered(50), shuffled(7, 2));
  REQUIRE(seen.size() == 16);
  std::vector<int64_t> orders[2];
  for (const Seen& batch : seen) {
    auto& order = orders[batch.epoch];
    order.insert(order.end(), batch.labels.begin(), batch.labels.end());
  }
  std::vector<int64_t> all(50);
  std::iota(all.begin(), all.end(), 0);
  CHECK(orders[0] != orders[1]);
  for (std::vector<int64_t> order : orders) {
    CHECK(order != all);
    std::sort(order.begin(), order.end());
    CHECK(order == all);
  }
  LoaderOptions other = shuffled(7, 2);
  other.seed = 43;
  CHECK_FALSE(run(numbered(50), other) == seen);
}

TEST_CASE("The number of threads changes nothing, nor does the place of the start") {
  const auto dataset = numbered(50);
  const auto whole = run(dataset, shuffled(7, 3));
  REQUIRE(whole.size() == 24);
  for (int threads : {1, 2, 5}) {
    for (size_t start = 0; start <= whole.size(); ++start) {
      CAPTURE(threads, start);
      LoaderOptions options = shuffled(7, 3);
      options.threads = threads;
      options.start_epoch = static_cast<int64_t>(start / 8);
      options.start_batch = static_cast<int64_t>(start % 8);
      const auto rest = run(dataset, options);
      CHECK(std::equal(rest.begin(), rest.end(), whole.begin() + static_cast<int64_t>(start),
                       whole.end()));
    }
  }
  // The end of an epoch is the start of the next.
  LoaderOptions options = shuffled(7, 3);
  options.start_batch = 8;
  CHECK(run(dataset, options).front() == whole[8]);
}

TEST_CASE("An endless loader goes on, and stops when it is no longer wanted") {
  const auto dataset = numbered(10);
  LoaderOptions options = shuffled(4, -1);
  options.threads = 3;
  const auto seen = run(dataset, options, 300);
  CHECK(seen.size() == 300);
  CHECK(seen.back().epoch == 99);
  for (int i = 0; i < 50; ++i) BatchLoader(dataset, options);
}

TEST_CASE("After the end, next stays null") {
  LoaderOptions options;
  options.batch_size = 10;
  BatchLoader loader(numbered(10), options);
  CHECK(loader.next() != nullptr);
  CHECK(loader.next() == nullptr);
  CHECK(loader.next() == nullptr);
}

TEST_CASE("A kept copy of a tensor outlives the batch") {
  LoaderOptions options;
  options.batch_size = 2;
  BatchLoader loader(numbered(20), options);
  const Tensor kept = loader.next()->fields[1];
  while (loader.next() != nullptr) continue;
  CHECK(kept.toVector<int64_t>() == std::vector<int64_t>{0, 1});
}
