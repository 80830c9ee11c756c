// What DepthToSpace and SpaceToDepth share: images cut into blocks of blocksize x blocksize pixels.
#pragma once

#include "qat/ops/shared/strided_copy.h"

namespace simaqat::ops {

// Copies between an image [N, C, H * b, W * b] and its channels [N, b * b * C, H, W], where b is
// the blocksize. A pixel's place in its block counts before the channel (DCR), or behind it (CRD).
enum class BlockOrder { kDepthFirst, kColumnFirst };
void copyBlocks(const EvalContext& c, int64_t blocksize, BlockOrder order, bool to_image);

// The shape rule of both; fails naming the node where the blocks do not divide what they are of.
void inferBlocks(InferContext& c, int64_t blocksize, bool to_image);

}  // namespace simaqat::ops
