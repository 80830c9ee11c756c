// NumPy's .npz format: a zip of .npy files.
#pragma once

#include <string>
#include <vector>

#include "qat/base/tensor.h"

namespace simaqat {

// The array `key`; an Error that lists the keys where it is not among them.
Tensor readNpz(const std::string& path, const std::string& key);

// The names of its arrays, in the file's order.
std::vector<std::string> npzKeys(const std::string& path);

}  // namespace simaqat
