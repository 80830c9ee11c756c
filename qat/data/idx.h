// The IDX format of MNIST and its kin.
#pragma once

#include <string_view>

#include "qat/base/tensor.h"
#include "qat/data/byte_stream.h"

namespace simaqat {

// Whether a file that begins so can be IDX.
bool looksLikeIdx(std::string_view beginning);
Tensor readIdx(ByteStream& stream);

}  // namespace simaqat
