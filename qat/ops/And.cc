#include <functional>

#include "qat/ops/shared/logic.h"

namespace simaqat::ops {

OpDefinition defineAnd() { return logicDefinition<std::logical_and<>>("And"); }

}  // namespace simaqat::ops
