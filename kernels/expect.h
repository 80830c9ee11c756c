// Asking for memory in advance, where the processor does not foresee what is read or written: short
// pieces of many planes, or two planes at a time. Behind the end of a plane that asks in vain.
#pragma once

#include <cstdint>

namespace simaqat::kernels {

// A cache line so many floats behind what is read or written now. Always inline: files for several
// instruction sets use these, too.
__attribute__((always_inline)) inline void expectToRead(const float* p, int64_t ahead) {
  __builtin_prefetch(p + ahead);
}
__attribute__((always_inline)) inline void expectToWrite(float* p, int64_t ahead) {
  __builtin_prefetch(p + ahead, 1);
}

// In loops along two planes.
constexpr int64_t kAhead = 512;

}  // namespace simaqat::kernels
