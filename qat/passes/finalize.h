// From the trained, scaffolded graph to one of QuantizeLinear and DequantizeLinear.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// Folds BatchNormalization, drops the observers, and replaces each FakeQuantize: a weight becomes
// INT8 codes behind a DequantizeLinear with an INT32 bias, an activation a QuantizeLinear and a
// DequantizeLinear. A BatchNormalization with nothing in front to fold into becomes a depthwise
// 1x1 Conv. Activations that the quantizer behind them makes redundant go. Approximated functions become standard operators, or are
// themselves again (approximate.h). The result is inference
// only: all variables are constants. An input Error names the quantizers that have no range yet.
void finalize(Graph& graph);

}  // namespace simaqat
