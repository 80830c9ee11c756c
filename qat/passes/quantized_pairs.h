// Files' own form of quantization as the scaffolding's, for which passes have integer kernels.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// A QuantizeLinear to 8 bits with the DequantizeLinear behind it becomes a FakeQuantize, and so does
// a DequantizeLinear of stored weights with a scale for each output channel: with the same values,
// bit for bit. A pair whose input lies on that very grid goes.
void pairsToFakeQuantize(Graph& graph);

}  // namespace simaqat
