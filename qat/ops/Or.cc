#include "qat/ops/shared/logic.h"

#include <functional>

namespace simaqat::ops {

OpDefinition defineOr() { return logicDefinition<std::logical_or<>>("Or"); }

}  // namespace simaqat::ops
