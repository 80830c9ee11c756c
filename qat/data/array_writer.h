// Arrays written as NumPy reads them, a few rows of each at a time: into a .npz, or as .npy files.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "qat/base/tensor.h"

namespace simaqat {

struct ArrayHeader {
  std::string name;
  ElementType type = ElementType::kFloat;
  std::vector<int64_t> dims;
};

// The bytes of each array come in order, those of several arrays in any. What was there before
// stays until finish().
class ArrayWriter {
 public:
  virtual ~ArrayWriter() = default;
  virtual void append(size_t array, const std::byte* bytes, size_t count) = 0;
  // Every array must be complete.
  virtual void finish() = 0;
};

// A path that ends in '/', or is a folder: NAME.npy in it, with '/', '%' and NUL of a name written
// as in a URL. Else one .npz, uncompressed, as numpy.savez writes it.
std::unique_ptr<ArrayWriter> openArrayWriter(const std::string& path,
                                             const std::vector<ArrayHeader>& arrays);

}  // namespace simaqat
