// The data manifest: which file each field of each split comes from, and what is done to it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace simaqat {

struct Transform {
  enum Kind { kNormalize, kPadCrop, kHorizontalFlip };

  Kind kind = kNormalize;
  // kNormalize: (x / scale - mean) / std, with one mean and std for all channels or one for each.
  float scale = 1;
  std::vector<float> mean;
  std::vector<float> std;
  // kPadCrop: the zeros on each side.
  int64_t padding = 0;
};

// Paths are relative to the process, not to the manifest.
struct Field {
  // Where the array is, as readArray takes it; "" where the field is a member of shards.
  std::string array;
  // A pattern of tar files, and what stands behind the first dot of the files in them.
  std::string shards;
  std::string member;
  // Applied in this order.
  std::vector<Transform> transforms;

  // What errors call the source: "x.npy", "train-*.tar: member 'jpg'".
  std::string place() const;
};

struct Split {
  std::map<std::string, Field> fields;
};

struct Manifest {
  std::string path;
  std::string folder;
  std::string hash;  // of the file's bytes
  std::map<std::string, Split> splits;
};

// An Error that begins with the manifest's path where it does not fit the schema.
Manifest loadManifest(const std::string& path);

}  // namespace simaqat
