// How opset 6 broadcasts: where that is other than since opset 7.
#pragma once

#include "qat/ir/op.h"

namespace simaqat {

// Before opset 7 an operator's input 1 was broadcast over input 0 from attribute `axis` on, or over
// the channels for PRelu. Gives it the axes of size 1 with which it is aligned as NumPy has it, and
// takes the attributes `broadcast` and `axis` away. Does nothing to other operators.
void alignBroadcast(PortableNode& node, const Graph& graph);

}  // namespace simaqat
