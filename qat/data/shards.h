// Samples in tar files, as WebDataset writes them: `000123.jpg` and `000123.cls`, one behind the
// other, are the members jpg and cls of the sample 000123.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "qat/base/mapped_file.h"
#include "qat/base/span.h"

namespace simaqat {

// The samples of all files that a pattern matches, by name and then in the order of each file.
// Members are looked at where they lie in the files; nothing is copied.
class Shards {
 public:
  // Finds the wanted members, no others. Errors: a pattern that matches no file, a damaged file, a
  // sample that lacks a member or has it twice.
  Shards(const std::string& pattern, std::vector<std::string> members);

  int64_t samples() const { return static_cast<int64_t>(samples_.size()); }
  Span<const std::byte> bytes(int64_t sample, const std::string& member) const;
  // "train-00.tar: 000123.jpg", for errors.
  std::string place(int64_t sample, const std::string& member) const;

 private:
  struct Sample {
    std::string key;
    size_t file = 0;
    std::vector<Span<const std::byte>> members;  // as in members_
    std::vector<bool> found;
  };

  void readFile(size_t file);
  void addMember(size_t file, const std::string& name, Span<const std::byte> bytes);
  // Of the sample that was read last, where there is one.
  void checkComplete() const;
  bool isWanted(const std::string& name) const;
  size_t indexOf(const std::string& member) const;

  std::vector<std::string> members_;
  std::vector<MappedFile> files_;
  std::vector<Sample> samples_;
};

}  // namespace simaqat
