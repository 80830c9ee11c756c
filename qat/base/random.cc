#include "qat/base/random.h"

#include <cmath>

#include "qat/base/hash.h"

namespace simaqat {

std::array<uint32_t, 4> philox(const std::array<uint32_t, 4>& counter,
                               const std::array<uint32_t, 2>& key) {
  std::array<uint32_t, 4> c = counter;
  std::array<uint32_t, 2> k = key;
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = 0xD2511F53ull * c[0];
    const uint64_t b = 0xCD9E8D57ull * c[2];
    c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(b),
         static_cast<uint32_t>(a >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(a)};
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  return c;
}

float RandomStream::normal(uint64_t element) const {
  // 1 - uniform is never 0, so that the logarithm is finite.
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform(2 * element)));
  const double angle = 6.283185307179586 * uniform(2 * element + 1);
  return static_cast<float>(radius * std::cos(angle));
}

uint64_t randomPurpose(std::string_view name) { return hash64(name.data(), name.size()); }

}  // namespace simaqat
