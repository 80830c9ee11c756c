#include "tests/agreement/images.h"

#include <filesystem>

#include "qat/data/array_reader.h"

namespace simaqat {
namespace {

constexpr char kFolder[] = "/usr/share/datasets/fashion-mnist/";
// Of the training set's pixels in [0, 1].
constexpr float kMean = 0.2860f;
constexpr float kDeviation = 0.3530f;

std::string pathOf(const std::string& split, const std::string& what) {
  return kFolder + split + "-" + what + "-ubyte.gz";
}

}  // namespace

bool hasImages() { return std::filesystem::exists(pathOf("train", "images-idx3")); }

Images readImages(const std::string& split, int64_t count, int64_t side) {
  const Tensor source = readArray(pathOf(split, "images-idx3"));
  const int64_t height = source.dims()[1];
  const int64_t width = source.dims()[2];
  Images images{Tensor(ElementType::kFloat, {count, 3, side, side}),
                rows(readArray(pathOf(split, "labels-idx1")), 0, count).converted(ElementType::kInt64)};
  float* out = images.pixels.mutableData<float>();
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t* image = source.data<uint8_t>() + i * height * width;
    for (int64_t c = 0; c < 3; ++c) {
      for (int64_t y = 0; y < side; ++y) {
        for (int64_t x = 0; x < side; ++x) {
          const uint8_t pixel = image[y * height / side * width + x * width / side];
          *out++ = (static_cast<float>(pixel) / 255.0f - kMean) / kDeviation;
        }
      }
    }
  }
  return images;
}

Tensor rows(const Tensor& tensor, int64_t from, int64_t count) {
  std::vector<int64_t> dims = tensor.dims();
  const size_t row = tensor.bytes() / static_cast<size_t>(dims[0]);
  dims[0] = count;
  Tensor result(tensor.type(), dims);
  std::copy_n(tensor.rawData() + static_cast<size_t>(from) * row, result.bytes(),
              result.mutableRawData());
  return result;
}

}  // namespace simaqat
