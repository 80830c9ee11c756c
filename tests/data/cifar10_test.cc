// The tar shards of ../shared/data/cifar10, real files of another program.
#include "qat/data/dataset.h"
#include "tests/catch.h"
#include "tests/data/files.h"
#include "tests/zoo/zoo.h"

using namespace simaqat;

TEST_CASE("CIFAR-10's shards hold what their README says") {
  if (zoo::sharedFolder().empty()) QAT_SKIP("../shared is not here");
  const std::string folder = zoo::sharedFolder() + "/data/cifar10/";
  const std::string json = R"({"splits": {
      "train": {"shards": ")" + folder + R"(cifar10-train-*.tar",
                "fields": {"input": {"member": "jpg"}, "labels": {"member": "cls"}}},
      "test": {"shards": ")" + folder + R"(cifar10-test-*.tar",
               "fields": {"input": {"member": "jpg"}, "labels": {"member": "cls"}}}}})";
  const Manifest manifest = loadManifest(writeTestFile("cifar10.json", json));
  // What the means of all of CIFAR-10's pixels are; this is a part of it.
  for (const auto& [split, samples, mean] :
       {std::tuple("train", 20000, 0.4734), std::tuple("test", 5000, 0.4766)}) {
    const auto dataset = Dataset::open(
        manifest, split,
        {{"input", ElementType::kUint8, {3, 32, 32}}, {"labels", ElementType::kInt64, {}}});
    REQUIRE(dataset->size() == samples);
    std::vector<int64_t> of_class(10, 0);
    double sum = 0;
    for (int64_t i = 0; i < samples; ++i) {
      int64_t label = 0;
      dataset->readSample(1, i, reinterpret_cast<std::byte*>(&label), false, 0, 0);
      ++of_class.at(static_cast<size_t>(label));
      std::vector<uint8_t> image(3 * 32 * 32);
      dataset->readSample(0, i, reinterpret_cast<std::byte*>(image.data()), false, 0, 0);
      for (uint8_t pixel : image) sum += pixel;
    }
    CHECK(of_class == std::vector<int64_t>(10, samples / 10));
    CHECK(sum / (samples * 3072.0 * 255) == Catch::Approx(mean).margin(0.005));
  }
}
