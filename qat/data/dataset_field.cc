#include "qat/data/dataset_field.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>

#include "qat/base/random.h"
#include "qat/base/text.h"
#include "qat/data/convert.h"

namespace simaqat {
namespace {

bool dimsMatch(const std::vector<int64_t>& got, const std::vector<int64_t>& wanted) {
  return std::equal(got.begin(), got.end(), wanted.begin(), wanted.end(),
                    [](int64_t g, int64_t w) { return w < 0 || g == w; });
}

// "[1, ?, 28]"
std::string wantedToString(const std::vector<int64_t>& dims) {
  std::vector<std::string> words;
  for (int64_t dim : dims) words.push_back(dim < 0 ? "?" : std::to_string(dim));
  return fmt::format("[{}]", joined(words));
}

}  // namespace

DatasetField::DatasetField(const Field& field, const FieldSpec& spec,
                           std::shared_ptr<const Shards> shards)
    : name_(spec.name),
      source_(openSource(field, spec, std::move(shards))),
      type_(source_->type()) {
  // The order of an epoch is kept in 32 bits.
  if (samples() > std::numeric_limits<uint32_t>::max()) {
    throw inputError("{}: has {} samples, more than 2^32", source_->name(), samples());
  }
  source_->requireFinite();
  fitShape(spec);
  for (size_t i = 0; i < field.transforms.size(); ++i) {
    try {
      addTransform(field.transforms[i]);
    } catch (const Error& error) {
      throw inputError("transforms[{}]: {}", i, error.what());
    }
  }
  addConversion(spec.type);
  std::copy_if(steps_.begin(), steps_.end(), std::back_inserter(fixed_steps_),
               [](const Step& step) { return !step.random; });
}

void DatasetField::fitShape(const FieldSpec& spec) {
  dims_ = source_->sampleDims();
  if (spec.ranked && !dimsMatch(dims_, spec.dims)) {
    std::vector<int64_t> with_channel = dims_;
    with_channel.insert(with_channel.begin(), 1);
    if (!dimsMatch(with_channel, spec.dims)) {
      throw inputError("{}: expected samples of shape {}, got {}", source_->name(),
                       wantedToString(spec.dims), dimsToString(dims_));
    }
    dims_ = std::move(with_channel);
  }
  sample_elements_ = elementCount(dims_);
  if (dims_.size() >= 2) {
    image_.width = dims_.back();
    image_.height = dims_[dims_.size() - 2];
    image_.planes = sample_elements_ / (image_.width * image_.height);
  }
}

void DatasetField::addTransform(const Transform& transform) {
  const std::string& file = source_->name();
  Step step{Step::kNormalize, type_, type_, transform};
  if (transform.kind == Transform::kNormalize) {
    // A step before this one may have made float of it already.
    if (type_ == source_->type()) {
      if (const auto loss = source_->conversionLoss(ElementType::kFloat)) {
        throw inputError("{}: {}", file, *loss);
      }
    }
    const int64_t channels = dims_.empty() ? 1 : dims_[0];
    for (const auto* values : {&transform.mean, &transform.std}) {
      const auto count = static_cast<int64_t>(values->size());
      if (count != 1 && count != channels) {
        throw inputError("normalize: expected 1 or {} values of {}, one a channel of {}, got {}",
                         channels, values == &transform.mean ? "mean" : "std", file, count);
      }
    }
    step.to = type_ = ElementType::kFloat;
  } else {
    const bool crops = transform.kind == Transform::kPadCrop;
    step.kind = crops ? Step::kPadCrop : Step::kHorizontalFlip;
    step.random = true;
    step.purpose = randomPurpose(fmt::format("augment {}", random_count_++));
    if (dims_.size() < 2) {
      throw inputError("{} wants images, {} has samples of shape {}",
                       crops ? "pad_crop" : "horizontal_flip", file, dimsToString(dims_));
    }
    if (crops && transform.padding >= std::min(image_.height, image_.width)) {
      throw inputError("pad_crop: a padding of {} leaves nothing of samples of shape {} in {}",
                       transform.padding, dimsToString(dims_), file);
    }
  }
  steps_.push_back(std::move(step));
}

void DatasetField::addConversion(ElementType wanted) {
  const std::string& file = source_->name();
  if (type_ == wanted) return;
  const bool normalized = std::any_of(
      steps_.begin(), steps_.end(), [](const Step& step) { return step.kind == Step::kNormalize; });
  if (normalized && wanted != ElementType::kDouble) {
    throw inputError("{}: normalize makes float of it, expected {}", file, elementTypeName(wanted));
  }
  if (!normalized) {
    if (const auto loss = source_->conversionLoss(wanted)) throw inputError("{}: {}", file, *loss);
  }
  steps_.push_back({Step::kConvert, type_, wanted, {}});
  type_ = wanted;
}

void DatasetField::apply(const Step& step, const std::byte* from, std::byte* to, int64_t sample,
                         uint64_t seed, int64_t epoch) const {
  const size_t element_bytes = elementSize(step.from);
  const RandomStream random(seed, step.purpose, static_cast<uint64_t>(epoch));
  const uint64_t draw = 2 * static_cast<uint64_t>(sample);
  switch (step.kind) {
    case Step::kNormalize: {
      const int64_t channels = dims_.empty() ? 1 : dims_[0];
      return normalizeSample(from, step.from, reinterpret_cast<float*>(to), channels,
                             sample_elements_ / channels, step.transform.scale, step.transform.mean,
                             step.transform.std);
    }
    case Step::kPadCrop: {
      const int64_t padding = step.transform.padding;
      const auto places = static_cast<uint32_t>(2 * padding + 1);
      return shiftImage(from, to, image_, element_bytes, random.below(draw, places) - padding,
                        random.below(draw + 1, places) - padding);
    }
    case Step::kHorizontalFlip:
      if (random.below(draw, 2) == 1) return mirrorImage(from, to, image_, element_bytes);
      std::memcpy(to, from, static_cast<size_t>(sample_elements_) * element_bytes);
      return;
    case Step::kConvert:
      return convertElements(from, step.from, to, step.to, sample_elements_);
  }
}

void DatasetField::requireIntegers(const std::function<std::string(int64_t)>& complaint) const {
  Tensor row(type_, {sample_elements_});
  for (int64_t sample = 0; sample < samples(); ++sample) {
    readSample(sample, row.mutableRawData(), false, 0, 0);
    for (const int64_t value : row.toVector<int64_t>()) {
      const std::string words = complaint(value);
      if (!words.empty()) {
        throw inputError("{}: sample {} has {}, and {}", source_->name(), sample, value, words);
      }
    }
  }
}

void DatasetField::readSample(int64_t sample, std::byte* destination, bool random_transforms,
                              uint64_t seed, int64_t epoch) const {
  // Of the source, and between steps; each thread makes its samples one after the other.
  thread_local std::vector<std::byte> decoded;
  thread_local std::vector<std::byte> scratch[2];

  const auto elements = static_cast<size_t>(sample_elements_);
  const std::byte* current = source_->read(sample, decoded);
  const std::vector<Step>& steps = random_transforms ? steps_ : fixed_steps_;
  if (steps.empty()) {
    std::memcpy(destination, current, elements * elementSize(source_->type()));
    return;
  }
  for (size_t i = 0; i < steps.size(); ++i) {
    std::byte* to = destination;
    if (i + 1 < steps.size()) {
      scratch[i % 2].resize(std::max(scratch[i % 2].size(), elements * elementSize(steps[i].to)));
      to = scratch[i % 2].data();
    }
    apply(steps[i], current, to, sample, seed, epoch);
    current = to;
  }
}

}  // namespace simaqat
