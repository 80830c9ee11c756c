// Where a field's samples come from, before anything is done to them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "qat/base/element_type.h"
#include "qat/data/dataset.h"
#include "qat/data/manifest.h"
#include "qat/data/shards.h"

namespace simaqat {

// Immutable, and so shared by threads.
class SampleSource {
 public:
  virtual ~SampleSource() = default;

  // What errors call it.
  virtual const std::string& name() const = 0;
  virtual ElementType type() const = 0;
  virtual int64_t samples() const = 0;
  virtual std::vector<int64_t> sampleDims() const = 0;
  // Why its elements cannot become `type`; nothing where every one can, unchanged in value.
  virtual std::optional<std::string> conversionLoss(ElementType type) const = 0;
  // An Error that names the first sample with an infinity or a NaN.
  virtual void requireFinite() const = 0;
  virtual std::string contentHash() const = 0;
  // The sample's elements: in the source itself, or written to `scratch`.
  virtual const std::byte* read(int64_t sample, std::vector<std::byte>& scratch) const = 0;
};

// The field's array, or its member of the shards (which may be null for an array). An Error that
// begins with the file where it holds no samples; spec says whether an image is one of colours.
std::unique_ptr<SampleSource> openSource(const Field& field, const FieldSpec& spec,
                                         const std::shared_ptr<const Shards>& shards);

}  // namespace simaqat
