// What nearly every file above the IR includes, directly or not. Files include what they use all
// the same: this only saves the reading.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "qat/ir/op.h"
