// One field of a dataset: its source, and the way from a sample there to what the model wants.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "qat/data/dataset.h"
#include "qat/data/manifest.h"
#include "qat/data/sample_source.h"
#include "qat/data/sample_transforms.h"

namespace simaqat {

class DatasetField {
 public:
  // An Error that begins with the file where it cannot become what `spec` wants. `shards` are those
  // of the field, where it is a member.
  DatasetField(const Field& field, const FieldSpec& spec, std::shared_ptr<const Shards> shards);

  const std::string& name() const { return name_; }
  ElementType type() const { return type_; }
  const std::vector<int64_t>& sampleDims() const { return dims_; }
  std::string contentHash() const { return source_->contentHash(); }
  int64_t samples() const { return source_->samples(); }

  void requireIntegers(const std::function<std::string(int64_t)>& complaint) const;
  void readSample(int64_t sample, std::byte* destination, bool random_transforms, uint64_t seed,
                  int64_t epoch) const;

 private:
  struct Step {
    enum Kind { kNormalize, kPadCrop, kHorizontalFlip, kConvert };
    Kind kind;
    ElementType from;
    ElementType to;
    Transform transform;
    bool random = false;
    uint64_t purpose = 0;  // of its random numbers
  };

  void fitShape(const FieldSpec& spec);
  void addTransform(const Transform& transform);
  void addConversion(ElementType wanted);
  void apply(const Step& step, const std::byte* from, std::byte* to, int64_t sample, uint64_t seed,
             int64_t epoch) const;

  std::string name_;
  std::unique_ptr<SampleSource> source_;
  std::vector<int64_t> dims_;  // of one sample, the channel axis included
  ElementType type_;           // after the steps so far
  int64_t sample_elements_ = 0;
  ImageShape image_;
  int random_count_ = 0;
  std::vector<Step> steps_;        // all of them
  std::vector<Step> fixed_steps_;  // those that are not random
};

}  // namespace simaqat
