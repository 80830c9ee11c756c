// Samples from tar files.
#include <cstring>

#include "qat/data/batch_loader.h"
#include "qat/data/dataset.h"
#include "tests/catch.h"
#include "tests/data/files.h"

using namespace simaqat;
using Catch::Matchers::ContainsSubstring;

namespace {

using Members = std::vector<std::pair<std::string, std::string>>;
using Color = std::vector<uint8_t>;

// 8 x 8 pixels of one colour.
std::string plainImage(const Color& color, int64_t width = 8) {
  Tensor pixels(ElementType::kUint8, {8, width, static_cast<int64_t>(color.size())});
  for (int64_t i = 0; i < pixels.size(); ++i) {
    pixels.mutableData<uint8_t>()[i] = color[static_cast<size_t>(i) % color.size()];
  }
  return jpegBytes(pixels);
}

const Color kRed = {200, 30, 20};
const Color kBlue = {10, 40, 190};
const Color kGray = {90};

Manifest manifestOf(const std::string& pattern, const std::string& image = "jpg") {
  Manifest manifest;
  manifest.path = "data.json";
  Split& split = manifest.splits["train"];
  split.fields["image"] = {"", pattern, image, {}};
  split.fields["label"] = {"", pattern, "cls", {}};
  return manifest;
}

std::string inTestFolder(const std::string& pattern) {
  const std::string path = writeTestFile("some", "");
  return path.substr(0, path.size() - 4) + pattern;
}

FieldSpec images(int64_t channels = 3) { return {"image", ElementType::kUint8, {channels, 8, 8}}; }
const FieldSpec kLabels{"label", ElementType::kInt64, {}};

template <class T>
std::vector<T> sampleOf(const Dataset& dataset, size_t field, int64_t sample) {
  REQUIRE(dataset.fieldType(field) == ElementTypeOf<T>::value);
  std::vector<T> values(static_cast<size_t>(elementCount(dataset.sampleDims(field))));
  dataset.readSample(field, sample, reinterpret_cast<std::byte*>(values.data()), false, 0, 0);
  return values;
}

void checkColor(const Dataset& dataset, int64_t sample, const Color& expected) {
  const std::vector<uint8_t> planes = sampleOf<uint8_t>(dataset, 0, sample);
  REQUIRE(planes.size() == expected.size() * 64);
  for (size_t i = 0; i < planes.size(); ++i) {
    // What JPEG's own rounding of colours costs.
    CHECK(std::abs(planes[i] - expected[i / 64]) <= 2);
  }
}

std::string errorOf(const Members& members, const std::vector<FieldSpec>& wanted = {images(),
                                                                                    kLabels}) {
  const std::string path = writeTestFile("bad.tar", tarBytes(members));
  const std::string message =
      inputErrorOf([&] { Dataset::open(manifestOf(path), "train", wanted); });
  CHECK_THAT(message, ContainsSubstring("data.json: split 'train'"));
  CHECK_THAT(message, ContainsSubstring("bad.tar"));
  return message;
}

}  // namespace

TEST_CASE("Shards are read by name, samples in the order of each file") {
  // Members that nobody wants are passed over, and what stands behind the first dot names one.
  writeTestFile("part-1.tar", tarBytes({{"a/2.jpg", plainImage(kBlue)}, {"a/2.cls", "0"}}));
  writeTestFile("part-0.tar", tarBytes({{"README.md", "words"},
                                        {"a/9.jpg", plainImage(kRed)},
                                        {"a/9.json", "{}"},
                                        {"a/9.cls", "12\n"},
                                        {"a/9.seg.jpg", "no image"},
                                        {"b/9.cls", " 7"},
                                        {"b/9.jpg", plainImage(kGray)}}));
  const Manifest manifest = manifestOf(inTestFolder("part-*.tar"));
  // Blanks in front of a number are none of WebDataset's.
  CHECK_THAT(inputErrorOf([&] { Dataset::open(manifest, "train", {images(), kLabels}); }),
             ContainsSubstring("part-0.tar: b/9.cls: is not the index of a class"));
  writeTestFile("part-0.tar", tarBytes({{"README.md", "words"},
                                        {"a/9.jpg", plainImage(kRed)},
                                        {"a/9.json", "{}"},
                                        {"a/9.cls", "12\n"},
                                        {"a/9.seg.jpg", "no image"},
                                        {"b/9.cls", "7"},
                                        {"b/9.jpg", plainImage(kGray)}}));
  const auto dataset = Dataset::open(manifest, "train", {images(), kLabels});
  REQUIRE(dataset->size() == 3);
  checkColor(*dataset, 0, kRed);
  checkColor(*dataset, 1, {90, 90, 90});
  checkColor(*dataset, 2, kBlue);
  CHECK(sampleOf<int64_t>(*dataset, 1, 0) == std::vector<int64_t>{12});
  CHECK(sampleOf<int64_t>(*dataset, 1, 1) == std::vector<int64_t>{7});
  CHECK(sampleOf<int64_t>(*dataset, 1, 2) == std::vector<int64_t>{0});
  const auto gray = Dataset::open(manifest, "train", {images(1)});
  checkColor(*gray, 1, kGray);
}

TEST_CASE("Images of shards take transforms and other types") {
  const std::string path =
      writeTestFile("one.tar", tarBytes({{"0.jpg", plainImage(kRed)}, {"0.cls", "1"}}));
  Manifest manifest = manifestOf(path);
  Transform normalize;
  normalize.kind = Transform::kNormalize;
  normalize.scale = 255;
  normalize.mean = {0.5f, 0.25f, 0};
  normalize.std = {0.5f};
  manifest.splits["train"].fields["image"].transforms = {normalize};
  const auto dataset =
      Dataset::open(manifest, "train", {{"image", ElementType::kFloat, {3, 8, 8}}});
  const std::vector<float> planes = sampleOf<float>(*dataset, 0, 0);
  CHECK(planes[0] == Catch::Approx((200 / 255.0 - 0.5) / 0.5).margin(0.02));
  CHECK(planes[64] == Catch::Approx((30 / 255.0 - 0.25) / 0.5).margin(0.02));
  CHECK(planes[128] == Catch::Approx(20 / 255.0 / 0.5).margin(0.02));
  CHECK_THAT(inputErrorOf([&] {
               Dataset::open(manifestOf(path), "train", {{"image", ElementType::kInt8, {3, 8, 8}}});
             }),
             ContainsSubstring("field 'image': " + path + ": member 'jpg': holds uint8, expected "
                                                          "int8"));
}

TEST_CASE("Batches from shards depend on the seed alone") {
  Members members;
  for (int i = 0; i < 20; ++i) {
    const auto level = static_cast<uint8_t>(i * 12);
    members.emplace_back(std::to_string(i) + ".jpg", plainImage({level, 99, level}));
    members.emplace_back(std::to_string(i) + ".cls", std::to_string(i));
  }
  const std::string path = writeTestFile("twenty.tar", tarBytes(members));
  const std::shared_ptr<const Dataset> dataset =
      Dataset::open(manifestOf(path), "train", {images(), kLabels});
  const auto epoch = [&](uint64_t seed, int threads) {
    LoaderOptions options;
    options.batch_size = 4;
    options.seed = seed;
    options.shuffle = true;
    options.threads = threads;
    BatchLoader loader(dataset, options);
    std::vector<int64_t> labels;
    while (const Batch* batch = loader.next()) {
      for (int64_t i = 0; i < 4; ++i) {
        const int64_t label = batch->fields[1].data<int64_t>()[i];
        labels.push_back(label);
        // The image is the label's.
        CHECK(std::abs(batch->fields[0].data<uint8_t>()[i * 192] - label * 12) <= 2);
      }
    }
    return labels;
  };
  CHECK(epoch(1, 1).size() == 20);
  CHECK(epoch(1, 1) == epoch(1, 3));
  CHECK(epoch(1, 2) != epoch(2, 2));
}

TEST_CASE("The content's hash is of every byte that is read") {
  const auto hashes = [](const Members& members) {
    const std::string path = writeTestFile("hashed.tar", tarBytes(members));
    const auto dataset = Dataset::open(manifestOf(path), "train", {images(), kLabels});
    return std::pair(dataset->contentHash(0), dataset->contentHash(1));
  };
  const auto red = hashes({{"0.jpg", plainImage(kRed)}, {"0.cls", "1"}});
  const auto renamed = hashes({{"7.jpg", plainImage(kRed)}, {"7.cls", "1"}, {"7.txt", "x"}});
  const auto blue = hashes({{"0.jpg", plainImage(kBlue)}, {"0.cls", "2"}});
  CHECK(red == renamed);
  CHECK(red.first != blue.first);
  CHECK(red.second != blue.second);
}

TEST_CASE("Bad shards name the file, the sample and what is wrong") {
  const std::string good = plainImage(kRed);
  CHECK_THAT(errorOf({{"0.jpg", good}}), ContainsSubstring("sample '0' has no member 'cls'"));
  CHECK_THAT(errorOf({{"0.jpg", good}, {"1.jpg", good}, {"0.cls", "1"}}),
             ContainsSubstring("sample '0' has no member 'cls'"));
  CHECK_THAT(errorOf({{"0.jpg", good}, {"0.jpg", good}, {"0.cls", "1"}}),
             ContainsSubstring("has 0.jpg twice"));
  CHECK_THAT(errorOf({{"0.png", good}, {"0.txt", "1"}}), ContainsSubstring("no sample has"));
  CHECK_THAT(errorOf({{"0.jpg", "JPEG?"}, {"0.cls", "1"}}),
             ContainsSubstring("field 'image'") && ContainsSubstring("0.jpg: is a damaged JPEG"));
  CHECK_THAT(errorOf({{"0.jpg", good}, {"0.cls", "cat"}}),
             ContainsSubstring("field 'label'") &&
                 ContainsSubstring("0.cls: is not the index of a class"));
  CHECK_THAT(errorOf({{"0.jpg", good}, {"0.cls", ""}}), ContainsSubstring("0.cls"));
  CHECK_THAT(errorOf({{"0.jpg", good}, {"0.cls", "99999999999999999999"}}),
             ContainsSubstring("0.cls"));
  CHECK_THAT(errorOf({{"0.jpg", good},
                      {"0.cls", "1"},
                      {"1.jpg", plainImage(kBlue, 9)},
                      {"1.cls", "1"}}),
             ContainsSubstring("1.jpg: has height 8 and width 9") &&
                 ContainsSubstring("0.jpg has 8 and 8"));
  CHECK_THAT(errorOf({{"0.jpg", plainImage(kRed, 9)}, {"0.cls", "1"}}),
             ContainsSubstring("expected samples of shape [3, 8, 8], got [3, 8, 9]"));

  CHECK_THAT(inputErrorOf([&] {
               Dataset::open(manifestOf(inTestFolder("nothing-*.tar")), "train", {images()});
             }),
             ContainsSubstring("nothing-*.tar: matches no file"));
  CHECK_THAT(inputErrorOf([&] {
               const std::string path = writeTestFile("bad.tar", "this is not a tar file");
               Dataset::open(manifestOf(path), "train", {images()});
             }),
             ContainsSubstring("bad.tar: is no sound tar file"));
  CHECK_THAT(inputErrorOf([&] {
               const std::string path = writeTestFile("bad.tar", tarBytes({{"0.webp", good}}));
               Dataset::open(manifestOf(path, "webp"), "train", {images()});
             }),
             ContainsSubstring("member 'webp': members are read that end in jpg, jpeg or cls"));
}

TEST_CASE("Damage within an image is found when it is read") {
  Tensor noise(ElementType::kUint8, {8, 8, 3});
  for (int64_t i = 0; i < noise.size(); ++i) {
    noise.mutableData<uint8_t>()[i] = static_cast<uint8_t>(i * i * 31);
  }
  std::string cut = jpegBytes(noise);
  cut.resize(cut.size() - 100);
  const std::string path = writeTestFile("cut.tar", tarBytes({{"5.jpg", cut}, {"5.cls", "1"}}));
  const auto dataset = Dataset::open(manifestOf(path), "train", {images()});
  CHECK_THAT(inputErrorOf([&] { sampleOf<uint8_t>(*dataset, 0, 0); }),
             ContainsSubstring(path + ": 5.jpg: is a damaged JPEG"));
}
