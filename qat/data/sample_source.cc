#include "qat/data/sample_source.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <string_view>
#include <utility>

#include "qat/base/hash.h"
#include "qat/data/array_reader.h"
#include "qat/data/convert.h"
#include "qat/data/jpeg.h"

namespace simaqat {
namespace {

class ArraySource : public SampleSource {
 public:
  ArraySource(std::string name, Tensor array) : name_(std::move(name)), array_(std::move(array)) {
    if (array_.dims().empty()) {
      throw inputError("{}: holds one number, expected an array whose first axis counts samples",
                       name_);
    }
    if (array_.size() == 0) {
      throw inputError("{}: is empty, of shape {}", name_, dimsToString(array_.dims()));
    }
    sample_bytes_ = array_.bytes() / static_cast<size_t>(array_.dims()[0]);
  }

  const std::string& name() const override { return name_; }
  ElementType type() const override { return array_.type(); }
  int64_t samples() const override { return array_.dims()[0]; }
  std::vector<int64_t> sampleDims() const override {
    return {array_.dims().begin() + 1, array_.dims().end()};
  }
  std::optional<std::string> conversionLoss(ElementType type) const override {
    return simaqat::conversionLoss(array_, type);
  }
  void requireFinite() const override {
    if (array_.size() > 0 && isFloatingPoint(array_.type())) {
      visitElementType(array_.type(), [&](auto tag) { requireFiniteElements<decltype(tag)>(); });
    }
  }
  std::string contentHash() const override {
    Hasher hasher;
    hasher.update(fmt::format("{}{}", elementTypeName(array_.type()), dimsToString(array_.dims())));
    hasher.update(array_.rawData(), array_.bytes());
    return hasher.hex();
  }
  const std::byte* read(int64_t sample, std::vector<std::byte>&) const override {
    return array_.rawData() + static_cast<size_t>(sample) * sample_bytes_;
  }

 private:
  template <class T>
  void requireFiniteElements() const {
    const T* data = array_.data<T>();
    const T* end = data + array_.size();
    const T* found =
        std::find_if_not(data, end, [](T x) { return std::isfinite(static_cast<double>(x)); });
    if (found == end) return;
    const int64_t per_sample = array_.size() / array_.dims()[0];
    throw inputError("{}: sample {} has {} (element {}), expected finite numbers", name_,
                     (found - data) / per_sample, static_cast<double>(*found),
                     (found - data) % per_sample);
  }

  std::string name_;
  Tensor array_;
  size_t sample_bytes_ = 0;
};

// Images of one size, decoded as they are read.
class JpegSource : public SampleSource {
 public:
  JpegSource(std::string name, std::string member, std::shared_ptr<const Shards> shards,
             int64_t channels)
      : name_(std::move(name)),
        member_(std::move(member)),
        shards_(std::move(shards)),
        channels_(channels),
        size_(sizeOf(0)) {
    for (int64_t sample = 1; sample < samples(); ++sample) {
      const ImageSize size = sizeOf(sample);
      if (size.height == size_.height && size.width == size_.width) continue;
      throw inputError("{}: has height {} and width {}, {} has {} and {}",
                       shards_->place(sample, member_), size.height, size.width,
                       shards_->place(0, member_), size_.height, size_.width);
    }
  }

  const std::string& name() const override { return name_; }
  ElementType type() const override { return ElementType::kUint8; }
  int64_t samples() const override { return shards_->samples(); }
  std::vector<int64_t> sampleDims() const override {
    return {channels_, size_.height, size_.width};
  }
  std::optional<std::string> conversionLoss(ElementType type) const override {
    Tensor any(ElementType::kUint8, {256});
    std::iota(any.mutableData<uint8_t>(), any.mutableData<uint8_t>() + 256, uint8_t{0});
    return simaqat::conversionLoss(any, type);
  }
  void requireFinite() const override {}  // of bytes
  // Of the files, not of their pixels.
  std::string contentHash() const override {
    Hasher hasher;
    for (int64_t sample = 0; sample < samples(); ++sample) {
      const Span<const std::byte> file = shards_->bytes(sample, member_);
      hasher.update(fmt::format("{}:", file.size()));
      hasher.update(file.data(), file.size());
    }
    return hasher.hex();
  }
  const std::byte* read(int64_t sample, std::vector<std::byte>& scratch) const override {
    scratch.resize(static_cast<size_t>(channels_ * size_.height * size_.width));
    named(sample, [&](Span<const std::byte> file) {
      decodeJpeg(file, size_, channels_, reinterpret_cast<uint8_t*>(scratch.data()));
    });
    return scratch.data();
  }

 private:
  ImageSize sizeOf(int64_t sample) const {
    ImageSize size;
    named(sample, [&](Span<const std::byte> file) { size = jpegSize(file); });
    return size;
  }

  template <class Function>
  void named(int64_t sample, const Function& function) const {
    try {
      function(shards_->bytes(sample, member_));
    } catch (const Error& error) {
      throw inputError("{}: {}", shards_->place(sample, member_), error.what());
    }
  }

  std::string name_;
  std::string member_;
  std::shared_ptr<const Shards> shards_;
  int64_t channels_;
  ImageSize size_;
};

int64_t parseClass(const Shards& shards, int64_t sample, const std::string& member) {
  const Span<const std::byte> file = shards.bytes(sample, member);
  std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  constexpr char kBlanks[] = " \t\r\n";
  const size_t end = text.find_last_not_of(kBlanks);
  text = text.substr(0, end == std::string_view::npos ? 0 : end + 1);
  int64_t value = 0;
  const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || stop != text.data() + text.size()) {
    throw inputError("{}: is not the index of a class in digits", shards.place(sample, member));
  }
  return value;
}

Tensor readClasses(const Shards& shards, const std::string& member) {
  Tensor classes(ElementType::kInt64, {shards.samples()});
  int64_t* to = classes.mutableData<int64_t>();
  for (int64_t sample = 0; sample < shards.samples(); ++sample) {
    to[sample] = parseClass(shards, sample, member);
  }
  return classes;
}

}  // namespace

std::unique_ptr<SampleSource> openSource(const Field& field, const FieldSpec& spec,
                                         const std::shared_ptr<const Shards>& shards) {
  if (field.member.empty()) {
    return std::make_unique<ArraySource>(field.array, readArray(field.array));
  }
  const std::string place = field.place();
  if (shards->samples() == 0) throw inputError("{}: no sample has that member", place);
  const std::string kind = field.member.substr(field.member.rfind('.') + 1);
  if (kind == "cls") {
    return std::make_unique<ArraySource>(place, readClasses(*shards, field.member));
  }
  if (kind == "jpg" || kind == "jpeg") {
    const bool wants_gray = spec.ranked && spec.dims.size() == 3 && spec.dims[0] == 1;
    return std::make_unique<JpegSource>(place, field.member, shards, wants_gray ? 1 : 3);
  }
  throw inputError("{}: members are read that end in jpg, jpeg or cls", place);
}

}  // namespace simaqat
