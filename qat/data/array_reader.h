// Arrays from files: .npy, .npz#key and IDX, each gzipped or not.
#pragma once

#include <string>

#include "qat/base/tensor.h"

namespace simaqat {

// The kind is told by the content, not by the name; "file.npz#key" takes key.npy out of file.npz.
// Memory grows with the bytes that are there, never with what a header claims. An Error that names
// `path` where the file is damaged or holds what a tensor cannot.
Tensor readArray(const std::string& path);

}  // namespace simaqat
