#include "qat/data/dataset.h"

#include <cstring>
#include <numeric>
#include <set>

#include "tests/catch.h"
#include "tests/data/files.h"

using namespace simaqat;
using Catch::Matchers::ContainsSubstring;

namespace {

Transform normalize(float scale, std::vector<float> mean, std::vector<float> std) {
  Transform transform;
  transform.kind = Transform::kNormalize;
  transform.scale = scale;
  transform.mean = std::move(mean);
  transform.std = std::move(std);
  return transform;
}

Transform padCrop(int64_t padding) {
  Transform transform;
  transform.kind = Transform::kPadCrop;
  transform.padding = padding;
  return transform;
}

Transform horizontalFlip() {
  Transform transform;
  transform.kind = Transform::kHorizontalFlip;
  return transform;
}

// A manifest with one split, "train".
Manifest manifestOf(const std::map<std::string, Tensor>& arrays,
                    const std::vector<Transform>& transforms = {}) {
  Manifest manifest;
  manifest.path = "data.json";
  for (const auto& [name, array] : arrays) {
    Field& field = manifest.splits["train"].fields[name];
    field.array = writeTestFile(name + ".npy", npyBytes(array));
    field.transforms = transforms;
  }
  return manifest;
}

std::shared_ptr<const Dataset> openOne(const Tensor& array, const FieldSpec& spec,
                                       const std::vector<Transform>& transforms = {}) {
  return Dataset::open(manifestOf({{spec.name, array}}, transforms), "train", {spec});
}

std::string errorOf(const Tensor& array, const FieldSpec& spec,
                    const std::vector<Transform>& transforms = {}) {
  const std::string message = inputErrorOf([&] { openOne(array, spec, transforms); });
  CHECK_THAT(message, ContainsSubstring("data.json: split 'train', field 'x': "));
  CHECK_THAT(message, ContainsSubstring("x.npy"));
  return message;
}

template <class T>
std::vector<T> sampleOf(const Dataset& dataset, int64_t sample, bool random = false,
                        uint64_t seed = 0, int64_t epoch = 0, size_t field = 0) {
  REQUIRE(dataset.fieldType(field) == ElementTypeOf<T>::value);
  std::vector<T> values(static_cast<size_t>(elementCount(dataset.sampleDims(field))));
  dataset.readSample(field, sample, reinterpret_cast<std::byte*>(values.data()), random, seed,
                     epoch);
  return values;
}

template <class T>
Tensor countUp(std::vector<int64_t> dims, T first = 1) {
  Tensor tensor(ElementTypeOf<T>::value, std::move(dims));
  std::iota(tensor.mutableData<T>(), tensor.mutableData<T>() + tensor.size(), first);
  return tensor;
}

using Dims = std::vector<int64_t>;

}  // namespace

TEST_CASE("A field missing its channel axis gets one") {
  const Tensor images = countUp<uint8_t>({3, 2, 2});
  CHECK(openOne(images, {"x", ElementType::kFloat, {1, 2, 2}})->sampleDims(0) == Dims{1, 2, 2});
  CHECK(openOne(images, {"x", ElementType::kFloat, {-1, -1, -1}})->sampleDims(0) == Dims{1, 2, 2});
  CHECK(openOne(images, {"x", ElementType::kFloat, {-1, 2}})->sampleDims(0) == Dims{2, 2});
  CHECK(openOne(images, {"x", ElementType::kFloat, {}, false})->sampleDims(0) == Dims{2, 2});
  CHECK_THAT(errorOf(images, {"x", ElementType::kFloat, {3, 2, 2}}),
             ContainsSubstring("expected samples of shape [3, 2, 2], got [2, 2]"));
  CHECK_THAT(errorOf(images, {"x", ElementType::kFloat, {-1, 2, 5}}),
             ContainsSubstring("expected samples of shape [?, 2, 5], got [2, 2]"));
  CHECK_THAT(errorOf(images, {"x", ElementType::kFloat, {}}),
             ContainsSubstring("expected samples of shape [], got [2, 2]"));
}

TEST_CASE("Types are converted where nothing is lost") {
  const auto wanted = [](ElementType type) { return FieldSpec{"x", type, {}}; };
  const Tensor bytes = Tensor::of<uint8_t>({2}, {3, 255});
  CHECK(sampleOf<float>(*openOne(bytes, wanted(ElementType::kFloat)), 1)[0] == 255);
  CHECK(sampleOf<int64_t>(*openOne(bytes, wanted(ElementType::kInt64)), 1)[0] == 255);
  CHECK(sampleOf<uint8_t>(*openOne(bytes, wanted(ElementType::kUint8)), 1)[0] == 255);
  const Tensor longs = Tensor::of<int64_t>({2}, {-7, 1 << 30});
  CHECK(sampleOf<int32_t>(*openOne(longs, wanted(ElementType::kInt32)), 0)[0] == -7);
  const Tensor doubles = Tensor::of<double>({2}, {0.5, -3});
  CHECK(sampleOf<float>(*openOne(doubles, wanted(ElementType::kFloat)), 0)[0] == 0.5f);
}

TEST_CASE("A conversion that loses something is an error") {
  const auto wanted = [](ElementType type) { return FieldSpec{"x", type, {}}; };
  CHECK_THAT(errorOf(Tensor::of<int64_t>({2}, {1, 3000000000}), wanted(ElementType::kInt32)),
             ContainsSubstring("holds int64, expected int32, which element 1 (3000000000)"));
  CHECK_THAT(errorOf(Tensor::of<int64_t>({1}, {-1}), wanted(ElementType::kUint64)),
             ContainsSubstring("element 0 (-1)"));
  CHECK_THAT(errorOf(Tensor::of<double>({2}, {1, 0.1}), wanted(ElementType::kFloat)),
             ContainsSubstring("holds double, expected float, which element 1 (0.1)"));
  CHECK_THAT(errorOf(Tensor::of<int64_t>({1}, {INT64_MAX}), wanted(ElementType::kFloat)),
             ContainsSubstring("expected float"));
  CHECK_THAT(errorOf(Tensor::of<float>({2}, {1, 2}), wanted(ElementType::kInt64)),
             ContainsSubstring("holds float, expected int64"));
  CHECK_THAT(errorOf(Tensor::of<uint8_t>({2}, {1, 0}), wanted(ElementType::kBool)),
             ContainsSubstring("holds uint8, expected bool"));
}

TEST_CASE("normalize is (x / scale - mean) / std, for all channels or for each") {
  const Tensor images = Tensor::of<uint8_t>({1, 2, 1, 2}, {0, 255, 51, 102});
  const FieldSpec spec{"x", ElementType::kFloat, {2, 1, 2}};
  CHECK(sampleOf<float>(*openOne(images, spec, {normalize(255, {0.5f}, {0.25f})}), 0) ==
        std::vector<float>{-2, 2, (0.2f - 0.5f) / 0.25f, (0.4f - 0.5f) / 0.25f});
  CHECK(sampleOf<float>(*openOne(images, spec, {normalize(1, {1, 2}, {2, 4})}), 0) ==
        std::vector<float>{-0.5f, 127, 12.25f, 25});
  CHECK(sampleOf<double>(*openOne(images, {"x", ElementType::kDouble, {2, 1, 2}},
                                  {normalize(1, {1, 2}, {2, 4})}),
                         0) == std::vector<double>{-0.5, 127, 12.25, 25});
  // One after the other, the second on what the first left.
  CHECK(sampleOf<float>(*openOne(images, spec, {normalize(1, {1}, {1}), normalize(1, {0}, {2})}),
                        0) == std::vector<float>{-0.5f, 127, 25, 50.5f});
  CHECK_THAT(errorOf(images, spec, {normalize(1, {1, 2, 3}, {1})}),
             ContainsSubstring("expected 1 or 2 values of mean"));
  CHECK_THAT(errorOf(images, {"x", ElementType::kInt64, {2, 1, 2}}, {normalize(1, {0}, {1})}),
             ContainsSubstring("normalize makes float of it, expected int64"));
}

TEST_CASE("horizontal_flip mirrors about half of the images, rows staying rows") {
  const auto dataset = openOne(countUp<int32_t>({200, 2, 3}), {"x", ElementType::kInt32, {2, 3}},
                               {horizontalFlip()});
  int flipped = 0;
  for (int32_t sample = 0; sample < 200; ++sample) {
    const int32_t a = 6 * sample + 1;
    const std::vector<int32_t> plain{a, a + 1, a + 2, a + 3, a + 4, a + 5};
    const std::vector<int32_t> mirrored{a + 2, a + 1, a, a + 5, a + 4, a + 3};
    CHECK(sampleOf<int32_t>(*dataset, sample) == plain);
    const std::vector<int32_t> got = sampleOf<int32_t>(*dataset, sample, true);
    CHECK((got == plain || got == mirrored));
    flipped += got == mirrored;
  }
  CHECK(flipped > 70);
  CHECK(flipped < 130);
}

TEST_CASE("pad_crop shows every place, with zeros beyond the border") {
  const Tensor image = countUp<uint8_t>({1, 2, 3, 3});
  const auto dataset = openOne(image, {"x", ElementType::kUint8, {2, 3, 3}}, {padCrop(2)});
  std::set<std::vector<uint8_t>> possible;
  for (int dy = -2; dy <= 2; ++dy) {
    for (int dx = -2; dx <= 2; ++dx) {
      std::vector<uint8_t> shifted;
      for (int plane = 0; plane < 2; ++plane) {
        for (int y = dy; y < dy + 3; ++y) {
          for (int x = dx; x < dx + 3; ++x) {
            const bool inside = y >= 0 && y < 3 && x >= 0 && x < 3;
            shifted.push_back(inside ? static_cast<uint8_t>(1 + plane * 9 + y * 3 + x) : 0);
          }
        }
      }
      possible.insert(shifted);
    }
  }
  std::set<std::vector<uint8_t>> seen;
  for (int64_t epoch = 0; epoch < 400; ++epoch) {
    seen.insert(sampleOf<uint8_t>(*dataset, 0, true, 7, epoch));
  }
  CHECK(seen == possible);
}

TEST_CASE("Transforms apply in the order in which they are listed") {
  const Tensor image = countUp<uint8_t>({1, 1, 3, 3});
  const FieldSpec spec{"x", ElementType::kFloat, {1, 3, 3}};
  const Transform minus_ten = normalize(1, {10}, {1});
  const auto before = openOne(image, spec, {padCrop(2), minus_ten});
  const auto after = openOne(image, spec, {minus_ten, padCrop(2)});
  int bordered = 0;
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    const std::vector<float> first = sampleOf<float>(*before, 0, true, 1, epoch);
    std::vector<float> second = sampleOf<float>(*after, 0, true, 1, epoch);
    // The same crop, but zeros stay zeros where they come after normalize.
    for (float& value : second) {
      if (value == 0) {
        value = -10;
        ++bordered;
      }
    }
    CHECK(first == second);
  }
  CHECK(bordered > 0);
}

TEST_CASE("Random transforms move the fields of a sample together, by seed and epoch alone") {
  const Tensor images = countUp<int32_t>({40, 6, 6});
  const Manifest manifest =
      manifestOf({{"a", images}, {"b", images}}, {padCrop(2), horizontalFlip(), padCrop(1)});
  const auto dataset =
      Dataset::open(manifest, "train",
                    {{"a", ElementType::kInt32, {6, 6}}, {"b", ElementType::kInt64, {1, 6, 6}}});
  int differ_by_seed = 0, differ_by_epoch = 0;
  for (int64_t sample = 0; sample < 40; ++sample) {
    const std::vector<int32_t> a = sampleOf<int32_t>(*dataset, sample, true, 5, 3);
    const std::vector<int64_t> b = sampleOf<int64_t>(*dataset, sample, true, 5, 3, 1);
    CHECK(std::vector<int64_t>(a.begin(), a.end()) == b);
    CHECK(a == sampleOf<int32_t>(*dataset, sample, true, 5, 3));
    differ_by_seed += a != sampleOf<int32_t>(*dataset, sample, true, 6, 3);
    differ_by_epoch += a != sampleOf<int32_t>(*dataset, sample, true, 5, 4);
  }
  CHECK(differ_by_seed > 20);
  CHECK(differ_by_epoch > 20);
}

TEST_CASE("Transforms of images need images") {
  CHECK_THAT(errorOf(countUp<float>({4, 3}), {"x", ElementType::kFloat, {3}}, {horizontalFlip()}),
             ContainsSubstring("transforms[0]: horizontal_flip wants images"));
  CHECK_THAT(
      errorOf(countUp<float>({4, 3, 3}), {"x", ElementType::kFloat, {3, 3}}, {padCrop(3)}),
      ContainsSubstring("pad_crop: a padding of 3 leaves nothing of samples of shape [3, 3]"));
}

TEST_CASE("Splits and fields that do not fit are named") {
  const Manifest manifest =
      manifestOf({{"x", countUp<float>({4, 3})}, {"y", countUp<float>({5, 3})}});
  const FieldSpec x{"x", ElementType::kFloat, {3}};
  const FieldSpec y{"y", ElementType::kFloat, {3}};
  CHECK(Dataset::open(manifest, "train", {x})->size() == 4);
  CHECK(inputErrorOf([&] { Dataset::open(manifest, "test", {x}); }) ==
        "data.json: has no split 'test'; it has train");
  CHECK(inputErrorOf([&] {
          Dataset::open(manifest, "train", {x, {"z", ElementType::kFloat, {}}});
        }) == "data.json: split 'train' has no field 'z'; it has x, y");
  CHECK(inputErrorOf([&] {
          Dataset::open(manifest, "train", {x, y});
        }) == "data.json: split 'train': field 'x' has 4 samples, field 'y' has 5");
  CHECK_THAT(errorOf(Tensor::scalar(1.0f), x), ContainsSubstring("holds one number"));
  CHECK_THAT(errorOf(Tensor(ElementType::kFloat, {0, 3}), x), ContainsSubstring("is empty"));
  CHECK_THAT(errorOf(Tensor(ElementType::kFloat, {1 << 30, 0}), x), ContainsSubstring("is empty"));

  Manifest missing = manifest;
  missing.splits["train"].fields["x"].array = "/no/such.npy";
  CHECK_THAT(inputErrorOf([&] { Dataset::open(missing, "train", {x}); }),
             ContainsSubstring("data.json: split 'train', field 'x': /no/such.npy: cannot be "
                               "opened"));
}
