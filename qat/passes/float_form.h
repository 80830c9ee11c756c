// A model before finalize as an FP32 network for inference.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// Takes out the scaffolding and approximations, and specializes to evaluation. Outputs keep their
// names.
void floatForm(Graph& graph);

}  // namespace simaqat
