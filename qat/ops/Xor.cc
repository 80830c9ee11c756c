#include <functional>

#include "qat/ops/shared/logic.h"

namespace simaqat::ops {

OpDefinition defineXor() { return logicDefinition<std::not_equal_to<>>("Xor"); }

}  // namespace simaqat::ops
