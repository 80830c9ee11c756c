#include "qat/ir/op.h"

namespace simaqat::ops {

OpDefinition defineScatterElements();

// The name that ScatterElements had in opsets 9 and 10; import gives it the newer one.
OpDefinition defineScatter() {
  OpDefinition op = defineScatterElements();
  op.name = "Scatter";
  op.first_opset = 9;
  op.last_opset = 10;
  op.upgrade = [](PortableNode& node, int) { node.op_type = "ScatterElements"; };
  op.downgrade = nullptr;
  return op;
}

}  // namespace simaqat::ops
