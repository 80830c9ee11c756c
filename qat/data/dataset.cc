#include "qat/data/dataset.h"

#include <map>

#include "qat/base/text.h"
#include "qat/data/dataset_field.h"

namespace simaqat {
namespace {

// "input, labels"
template <class Value>
std::string namesOf(const std::map<std::string, Value>& map) {
  std::vector<std::string> names;
  for (const auto& [name, value] : map) names.push_back(name);
  return joined(names);
}

// The shards of the wanted fields, each file read once for all of them.
std::shared_ptr<const Shards> openShards(const std::map<std::string, Field>& fields,
                                         const std::vector<FieldSpec>& wanted) {
  std::string pattern;
  std::vector<std::string> members;
  for (const FieldSpec& spec : wanted) {
    const auto field = fields.find(spec.name);
    if (field == fields.end() || field->second.member.empty()) continue;
    pattern = field->second.shards;
    members.push_back(field->second.member);
  }
  if (members.empty()) return nullptr;
  return std::make_shared<const Shards>(pattern, std::move(members));
}

}  // namespace

Dataset::Dataset() = default;
Dataset::~Dataset() = default;

std::shared_ptr<const Dataset> Dataset::open(const Manifest& manifest, const std::string& split,
                                             const std::vector<FieldSpec>& wanted) {
  const auto found_split = manifest.splits.find(split);
  if (found_split == manifest.splits.end()) {
    throw inputError("{}: has no split '{}'; it has {}", manifest.path, split,
                     namesOf(manifest.splits));
  }
  if (wanted.empty()) {
    throw inputError("{}: split '{}': the model has no input, so no field would be read",
                     manifest.path, split);
  }
  const std::map<std::string, Field>& fields = found_split->second.fields;
  std::shared_ptr<Dataset> dataset(new Dataset);
  std::shared_ptr<const Shards> shards;
  try {
    shards = openShards(fields, wanted);
  } catch (const Error& error) {
    throw inputError("{}: split '{}': {}", manifest.path, split, error.what());
  }
  for (const FieldSpec& spec : wanted) {
    const auto field = fields.find(spec.name);
    if (field == fields.end()) {
      throw inputError("{}: split '{}' has no field '{}'; it has {}", manifest.path, split,
                       spec.name, namesOf(fields));
    }
    try {
      dataset->fields_.push_back(std::make_unique<DatasetField>(field->second, spec, shards));
    } catch (const Error& error) {
      throw inputError("{}: split '{}', field '{}': {}", manifest.path, split, spec.name,
                       error.what());
    }
    const DatasetField& first = *dataset->fields_.front();
    const DatasetField& last = *dataset->fields_.back();
    if (first.samples() != last.samples()) {
      throw inputError("{}: split '{}': field '{}' has {} samples, field '{}' has {}",
                       manifest.path, split, first.name(), first.samples(), last.name(),
                       last.samples());
    }
  }
  dataset->place_ = fmt::format("{}: split '{}'", manifest.path, split);
  dataset->size_ = dataset->fields_.front()->samples();
  return dataset;
}

const std::string& Dataset::fieldName(size_t field) const { return fields_.at(field)->name(); }

ElementType Dataset::fieldType(size_t field) const { return fields_.at(field)->type(); }

const std::vector<int64_t>& Dataset::sampleDims(size_t field) const {
  return fields_.at(field)->sampleDims();
}

std::string Dataset::contentHash(size_t field) const { return fields_.at(field)->contentHash(); }

void Dataset::requireIntegers(size_t field,
                              const std::function<std::string(int64_t)>& complaint) const {
  try {
    fields_.at(field)->requireIntegers(complaint);
  } catch (const Error& error) {
    throw inputError("{}, field '{}': {}", place_, fieldName(field), error.what());
  }
}

void Dataset::readSample(size_t field, int64_t sample, std::byte* destination,
                         bool random_transforms, uint64_t seed, int64_t epoch) const {
  SIMAQAT_CHECK(sample >= 0 && sample < size_);
  fields_.at(field)->readSample(sample, destination, random_transforms, seed, epoch);
}

}  // namespace simaqat
