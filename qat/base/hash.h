// Content hashes for provenance, checkpoints and file names (XXH3; not cryptographic).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace simaqat {

uint64_t hash64(const void* data, size_t bytes);
// 32 hexadecimal digits.
std::string hashHex(std::string_view bytes);

// The same hash of data that comes in pieces.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  void update(const void* data, size_t bytes);
  void update(std::string_view text) { update(text.data(), text.size()); }
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace simaqat
