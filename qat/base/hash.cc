#include "qat/base/hash.h"

#include <xxhash.h>

#include "qat/base/error.h"

namespace simaqat {
namespace {

std::string toHex(XXH128_hash_t hash) { return fmt::format("{:016x}{:016x}", hash.high64, hash.low64); }

}  // namespace

struct Hasher::State {
  XXH3_state_t* xxh = XXH3_createState();
  ~State() { XXH3_freeState(xxh); }
};

uint64_t hash64(const void* data, size_t bytes) { return XXH3_64bits(data, bytes); }

std::string hashHex(std::string_view bytes) { return toHex(XXH3_128bits(bytes.data(), bytes.size())); }

Hasher::Hasher() : state_(std::make_unique<State>()) { XXH3_128bits_reset(state_->xxh); }
Hasher::~Hasher() = default;
void Hasher::update(const void* data, size_t bytes) { XXH3_128bits_update(state_->xxh, data, bytes); }
std::string Hasher::hex() const { return toHex(XXH3_128bits_digest(state_->xxh)); }

}  // namespace simaqat
