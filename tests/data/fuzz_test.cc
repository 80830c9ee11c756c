// Damaged files end in an Error, or in an array that is valid all the same; never in a crash.
#include <algorithm>
#include <numeric>

#include "qat/base/file.h"
#include "qat/base/random.h"
#include "qat/data/array_reader.h"
#include "qat/data/dataset.h"
#include "qat/data/manifest.h"
#include "tests/catch.h"
#include "tests/data/files.h"

using namespace simaqat;

namespace {

// Calls `use` with the path of each damaged copy of `bytes`.
template <class Use>
void forEachDamage(const std::string& bytes, Use&& use) {
  const auto tryBytes = [&](const std::string& damaged) {
    try {
      use(writeTestFile("fuzzed", damaged));
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::kInput);
      CHECK(std::string(error.what()).find("fuzzed") != std::string::npos);
    }
  };
  for (size_t length = 0; length < bytes.size(); ++length) tryBytes(bytes.substr(0, length));
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const unsigned mask : {0x01u, 0x80u, 0xffu}) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(static_cast<unsigned char>(damaged[i]) ^ mask);
      tryBytes(damaged);
    }
  }
  const RandomStream random(1, randomPurpose("fuzz"), 0);
  for (uint64_t round = 0; round < 200; ++round) {
    std::string damaged = bytes;
    for (uint64_t flip = 0; flip < 4; ++flip) {
      const uint64_t draw = round * 8 + flip * 2;
      damaged[random.below(draw, static_cast<uint32_t>(bytes.size()))] =
          static_cast<char>(random.below(draw + 1, 256));
    }
    tryBytes(damaged);
  }
}

void readWhole(const std::string& path) {
  const Tensor tensor = readArray(path);
  // Far more than any content here can stand for.
  CHECK(tensor.bytes() < 100000);
  const std::byte* bytes = tensor.rawData();
  std::accumulate(bytes, bytes + tensor.bytes(), 0u,
                  [](unsigned sum, std::byte byte) { return sum + static_cast<unsigned>(byte); });
}

void readSamples(const Dataset& dataset) {
  for (size_t field = 0; field < dataset.fieldCount(); ++field) {
    const int64_t elements = elementCount(dataset.sampleDims(field));
    // What a damaged header may claim of an image.
    if (elements > 1000000) continue;
    std::vector<std::byte> sample(static_cast<size_t>(elements) *
                                  elementSize(dataset.fieldType(field)));
    for (int64_t i = 0; i < dataset.size(); ++i) {
      dataset.readSample(field, i, sample.data(), false, 0, 0);
    }
  }
}

Tensor someTensor() { return Tensor::of<int16_t>({2, 2, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2}); }

}  // namespace

TEST_CASE("Damaged .npy") { forEachDamage(npyBytes(someTensor()), readWhole); }
TEST_CASE("Damaged .npy of bools") {
  forEachDamage(npyBytes(Tensor::of<bool>({4}, {true, false, true, true})), readWhole);
}
TEST_CASE("Damaged IDX") { forEachDamage(idxBytes(someTensor()), readWhole); }
TEST_CASE("Damaged gzipped .npy") { forEachDamage(gzipped(npyBytes(someTensor())), readWhole); }
TEST_CASE("Damaged gzipped IDX") { forEachDamage(gzipped(idxBytes(someTensor())), readWhole); }
TEST_CASE("Damaged .npz") {
  const std::map<std::string, std::string> members = {{"a.npy", npyBytes(someTensor())},
                                                      {"b.npy", npyBytes(someTensor())}};
  for (const bool deflated : {false, true}) {
    forEachDamage(npzBytes(members, deflated),
                  [](const std::string& path) { readWhole(path + "#b"); });
  }
}
TEST_CASE("Damaged shards") {
  const Tensor pixels = Tensor::of<uint8_t>({1, 2, 3}, {250, 10, 10, 10, 250, 10});
  // JPEG's own damage is looked at below.
  const std::string bytes = tarBytes({{"000.jpg", jpegBytes(pixels)}, {"000.cls", "3"}});
  Manifest manifest;
  manifest.path = "data.json";
  const auto read = [&](const std::string& path) {
    manifest.splits["train"].fields["image"] = {"", path, "jpg", {}};
    manifest.splits["train"].fields["label"] = {"", path, "cls", {}};
    const auto dataset = Dataset::open(
        manifest, "train",
        {{"image", ElementType::kUint8, {3, -1, -1}}, {"label", ElementType::kInt64, {}}});
    readSamples(*dataset);
  };
  forEachDamage(bytes, read);
}
TEST_CASE("Damaged JPEG") {
  Tensor pixels(ElementType::kUint8, {9, 10, 3});
  for (int64_t i = 0; i < pixels.size(); ++i) {
    pixels.mutableData<uint8_t>()[i] = static_cast<uint8_t>(i * 37);
  }
  Manifest manifest;
  manifest.path = "data.json";
  forEachDamage(jpegBytes(pixels), [&](const std::string& path) {
    const std::string tar = path + ".tar";
    writeTestFile("fuzzed.tar", tarBytes({{"000.jpg", readFile(path)}}));
    manifest.splits["train"].fields["image"] = {"", tar, "jpg", {}};
    readSamples(*Dataset::open(manifest, "train", {{"image", ElementType::kUint8, {3, -1, -1}}}));
  });
}
TEST_CASE("Damaged manifest") {
  forEachDamage(R"({"splits": {"train": {"fields": {"input": {"array": "a", "transforms": [
      {"pad_crop": {"padding": 2}}, {"normalize": {"scale": 255, "mean": [0.5], "std": [1]}}
      ]}}}}})",
                [](const std::string& path) { loadManifest(path); });
  forEachDamage(R"({"splits": {"train": {"shards": "a-*.tar", "fields": {
      "input": {"member": "jpg"}, "labels": {"member": "cls"}}}}})",
                [](const std::string& path) { loadManifest(path); });
}
