// The inner loop of integer convolution in Winograd's tiles: dot products of two 16-bit integers at
// a time.
//
// An element of either operand is a pair of integers in one 32-bit word, the first in the lower
// half.
#pragma once

#include <cstdint>

#include "kernels/packet.h"

namespace simaqat::kernels {

constexpr int64_t kIntegersOfPair = 2;
constexpr int64_t kPairChannels = 4;  // target channels of a block
constexpr int64_t kPairVectors = 2;   // neighbouring vectors of a call

// sums[c][i] = sum over k in [0, depth) of dot(weights[k][c], source[k * stride + i]), modulo 2^32,
// for all channels c of a block and lanes i of one or kPairVectors vectors.
struct PairProduct {
  const uint32_t* source;
  int64_t stride;
  const uint32_t* weights;
  int64_t depth;
};
using PairSums = int32_t[kPairChannels][kPairVectors * kLanes];
void multiplyPairs(const PairProduct& product, int64_t vectors, PairSums& sums);

}  // namespace simaqat::kernels
