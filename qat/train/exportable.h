// Whether a model will be exported once it is trained.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// An Error names what would stop `export`, of the FP32 form of a model before finalize: what is
// found late otherwise. Quantization adds QuantizeLinear and DequantizeLinear, which every opset
// has.
void requireExportable(const Graph& graph);

}  // namespace simaqat
