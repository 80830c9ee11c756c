// What a model's parameters take, as FP32 and as they ship.
#pragma once

#include <cstdint>

#include "qat/ir/graph.h"

namespace simaqat {

struct Sizes {
  int64_t parameters = 0;
  int64_t float_bytes = 0;  // 4 for every parameter
  int64_t quantized_bytes = 0;
};

// Of every weight and constant of more than one element.
Sizes sizesOf(const Graph& graph);

// Codes of four bits are two to a byte in files.
int64_t bytesOf(int64_t elements, ElementType type);

}  // namespace simaqat
