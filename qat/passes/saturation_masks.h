// Where the gradients of quantizers pass, kept as bits.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// A FakeQuantizeGradient of what simaqat::Quantize turns into codes becomes simaqat::MaskGradient,
// by a mask that Quantize writes beside the codes, where nothing but such gradients needs x behind
// forward: one bit an element lives from forward to backward in place of a float, or of computing x
// again. A code at the end of the range does not tell whether the gradient passes.
//
// A weight whose scale follows its own channels' greatest magnitudes is never out of range: its
// gradient passes as it is. That of a NaN does, too, and not as 0: but then nothing is finite.
void keepSaturationMasks(Graph& graph);

}  // namespace simaqat
