// Changes of element type that lose nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "qat/base/tensor.h"

namespace simaqat {

// Why `array` cannot become `type`; nothing where every element can, unchanged in value. A number
// with a fraction's type never becomes an integer, nor does a number become a bool.
std::optional<std::string> conversionLoss(const Tensor& array, ElementType type);

// Converts elements that passed conversionLoss.
void convertElements(const std::byte* from, ElementType from_type, std::byte* to,
                     ElementType to_type, int64_t count);

}  // namespace simaqat
