// The samples of one split, as the model wants them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "qat/base/element_type.h"
#include "qat/data/manifest.h"

namespace simaqat {

class DatasetField;

// What the model or the loss wants of a field.
struct FieldSpec {
  std::string name;
  ElementType type = ElementType::kFloat;
  std::vector<int64_t> dims;  // of one sample; -1 where unknown
  bool ranked = true;         // whether `dims` is known at all
};

// Immutable after `open`, and so shared by threads.
class Dataset {
 public:
  // Reads the wanted fields, no others, and checks that they can become what is wanted. An Error
  // that begins with the manifest's path where they cannot, or where nothing is wanted.
  static std::shared_ptr<const Dataset> open(const Manifest& manifest, const std::string& split,
                                             const std::vector<FieldSpec>& wanted);
  ~Dataset();

  int64_t size() const { return size_; }
  // In the order in which they were wanted.
  size_t fieldCount() const { return fields_.size(); }
  const std::string& fieldName(size_t field) const;
  ElementType fieldType(size_t field) const;
  const std::vector<int64_t>& sampleDims(size_t field) const;

  // Of the field as its files hold it: an array's type, shape and every number, the bytes of every
  // image. Hashing them takes a tenth of a second a gigabyte, where they are in memory.
  std::string contentHash(size_t field) const;

  // An Error that names the file and the first sample with an element that `complaint` has words about:
  // "" for one that is right. Of an integer field, without random transforms.
  void requireIntegers(size_t field,
                       const std::function<std::string(int64_t)>& complaint) const;

  // Writes one sample of one field, converted and transformed; random transforms depend on
  // (seed, epoch, sample) alone, so the fields of a sample move together. An Error that names the
  // file where an image's data is damaged, which its header does not tell.
  void readSample(size_t field, int64_t sample, std::byte* destination, bool random_transforms,
                  uint64_t seed, int64_t epoch) const;

 private:
  Dataset();

  std::vector<std::unique_ptr<DatasetField>> fields_;
  int64_t size_ = 0;
  std::string place_;  // "manifest.json: split 'train'"
};

}  // namespace simaqat
