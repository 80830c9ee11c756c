#include <functional>

#include "qat/ops/shared/comparison.h"

namespace simaqat::ops {

OpDefinition defineLess() { return comparisonDefinition<std::less<>>("Less", 7); }

}  // namespace simaqat::ops
