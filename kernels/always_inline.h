// What a caller compiled for another instruction set gets its own copy of.
#pragma once

#define SIMAQAT_INLINE inline __attribute__((always_inline))
