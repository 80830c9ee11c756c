#include "qat/data/manifest.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "qat/base/error.h"
#include "qat/base/file.h"
#include "qat/base/hash.h"
#include "qat/base/json_message.h"
#include "qat/data/manifest.pb.h"

namespace simaqat {
namespace {

Transform normalizeOf(const proto::Normalize& message) {
  Transform transform;
  transform.kind = Transform::kNormalize;
  transform.scale = message.has_scale() ? message.scale() : 1.0f;
  transform.mean.assign(message.mean().begin(), message.mean().end());
  transform.std.assign(message.std().begin(), message.std().end());
  if (transform.mean.empty()) transform.mean = {0.0f};
  if (transform.std.empty()) transform.std = {1.0f};

  if (!std::isfinite(transform.scale) || transform.scale == 0) {
    throw inputError("normalize: scale is {}, must be finite and not 0", transform.scale);
  }
  for (float mean : transform.mean) {
    if (!std::isfinite(mean)) throw inputError("normalize: mean has {}, must be finite", mean);
  }
  for (float std : transform.std) {
    if (!std::isfinite(std) || std <= 0) {
      throw inputError("normalize: std has {}, must be finite and above 0", std);
    }
  }
  const size_t means = transform.mean.size();
  const size_t stds = transform.std.size();
  if (means != 1 && stds != 1 && means != stds) {
    throw inputError("normalize: mean has {} values, std {}", means, stds);
  }
  return transform;
}

Transform transformOf(const proto::Transform& message) {
  Transform transform;
  switch (message.kind_case()) {
    case proto::Transform::kNormalize:
      return normalizeOf(message.normalize());
    case proto::Transform::kPadCrop:
      transform.kind = Transform::kPadCrop;
      transform.padding = message.pad_crop().padding();
      if (transform.padding < 1) {
        throw inputError("pad_crop: padding is {}, must be at least 1", transform.padding);
      }
      return transform;
    case proto::Transform::kHorizontalFlip:
      transform.kind = Transform::kHorizontalFlip;
      return transform;
    case proto::Transform::KIND_NOT_SET:
      break;
  }
  throw inputError("names no kind (normalize, pad_crop or horizontal_flip)");
}

Field fieldOf(const proto::Field& message, const std::string& shards, const std::string& folder) {
  if (message.array().empty() && message.member().empty()) {
    throw inputError("has no source (\"array\": \"file\", or \"member\": \"jpg\" of shards)");
  }
  Field field;
  if (message.has_member()) {
    if (shards.empty()) throw inputError("is a member, and the split names no \"shards\"");
    field.shards = (std::filesystem::path(folder) / shards).string();
    field.member = message.member();
  } else {
    field.array = (std::filesystem::path(folder) / message.array()).string();
  }
  for (int i = 0; i < message.transforms_size(); ++i) {
    try {
      field.transforms.push_back(transformOf(message.transforms(i)));
    } catch (const Error& error) {
      throw inputError("transforms[{}]: {}", i, error.what());
    }
  }
  return field;
}

void checkShardsAreRead(const Split& split, const std::string& shards) {
  const bool reads = std::any_of(split.fields.begin(), split.fields.end(),
                                 [](const auto& entry) { return !entry.second.member.empty(); });
  if (!shards.empty() && !reads) {
    throw inputError("has \"shards\", and no field is a \"member\" of them");
  }
}

}  // namespace

std::string Field::place() const {
  return member.empty() ? array : fmt::format("{}: member '{}'", shards, member);
}

Manifest loadManifest(const std::string& path) {
  const std::string json = readFile(path);
  proto::Manifest message;
  readJsonMessage(path, json, &message);

  Manifest manifest;
  manifest.path = path;
  manifest.folder = std::filesystem::path(path).parent_path().string();
  manifest.hash = hashHex(json);
  if (message.splits().empty()) throw inputError("{}: has no splits", path);
  for (const auto& [split_name, split] : message.splits()) {
    if (split.fields().empty()) throw inputError("{}: split '{}' has no fields", path, split_name);
    for (const auto& [field_name, field] : split.fields()) {
      try {
        manifest.splits[split_name].fields[field_name] =
            fieldOf(field, split.shards(), manifest.folder);
      } catch (const Error& error) {
        throw inputError("{}: split '{}', field '{}': {}", path, split_name, field_name,
                         error.what());
      }
    }
    try {
      checkShardsAreRead(manifest.splits.at(split_name), split.shards());
    } catch (const Error& error) {
      throw inputError("{}: split '{}' {}", path, split_name, error.what());
    }
  }
  return manifest;
}

}  // namespace simaqat
