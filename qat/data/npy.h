// NumPy's .npy format, versions 1 to 3: little-endian, C order.
#pragma once

#include "qat/base/tensor.h"
#include "qat/data/byte_stream.h"

namespace simaqat {

Tensor readNpy(ByteStream& stream);

}  // namespace simaqat
