// The inner loop of integer convolution: dot products of four codes at a time.
//
// An element of the source is four codes 0..255 of as many channels in one 32-bit word, the first
// in the lowest byte; an element of the weights is four codes -128..127 likewise.
#pragma once

#include <cstdint>

namespace simaqat::kernels {

constexpr int64_t kCodesOfWord = 4;
constexpr int64_t kCodeLanes = 8;     // neighbouring positions of a vector
constexpr int64_t kCodeChannels = 4;  // target channels of a block
constexpr int64_t kCodeVectors = 6;   // vectors of a call

// sums[c][v][i] = sum over k in [0, taps) of dot(weights[k][c], source[start[v] + offset[k] + i])
// for all channels c of a block, v in [0, vectors) and lanes i; `vectors` is 1 to kCodeVectors, and
// all of `start` can be read from. Other sums are left undefined. Sums are exact as long as they fit into 32 bits.
struct CodeProduct {
  const uint32_t* source;
  const int64_t* offset;
  int64_t taps;
  const uint32_t* weights;
  int64_t start[kCodeVectors];
  int64_t vectors;
};
using CodeSums = int32_t[kCodeChannels][kCodeVectors][kCodeLanes];

namespace baseline {
void multiplyCodes(const CodeProduct& product, CodeSums& sums);
}
#if defined(__x86_64__)
namespace avx512vnni {
void multiplyCodes(const CodeProduct& product, CodeSums& sums);
}
#elif defined(__aarch64__)
namespace dotprod {
void multiplyCodes(const CodeProduct& product, CodeSums& sums);
}
#endif

}  // namespace simaqat::kernels
