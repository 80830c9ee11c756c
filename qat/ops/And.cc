#include "qat/ops/shared/logic.h"

#include <functional>

namespace simaqat::ops {

OpDefinition defineAnd() { return logicDefinition<std::logical_and<>>("And"); }

}  // namespace simaqat::ops
