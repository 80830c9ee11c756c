#include <functional>

#include "qat/ops/shared/logic.h"

namespace simaqat::ops {

OpDefinition defineOr() { return logicDefinition<std::logical_or<>>("Or"); }

}  // namespace simaqat::ops
