// Real images for networks of any input size: Fashion-MNIST, from Debian's dataset-fashion-mnist.
#pragma once

#include <cstdint>
#include <string>

#include "qat/base/tensor.h"

namespace simaqat {

struct Images {
  Tensor pixels;  // float [count, 3, side, side], normalized
  Tensor labels;  // int64 [count]
};

bool hasImages();

// The first `count` of a split, "train" or "t10k", enlarged to side x side (nearest pixel) and
// repeated over three channels.
Images readImages(const std::string& split, int64_t count, int64_t side);

// Rows [from, from + count) of the first axis.
Tensor rows(const Tensor& tensor, int64_t from, int64_t count);

}  // namespace simaqat
