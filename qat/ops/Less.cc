#include "qat/ops/shared/comparison.h"

#include <functional>

namespace simaqat::ops {

OpDefinition defineLess() { return comparisonDefinition<std::less<>>("Less", 7); }

}  // namespace simaqat::ops
