// A tensor in host memory: element type, dimensions, dense row-major data.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "qat/base/element_type.h"
#include "qat/base/span.h"

namespace simaqat {

// The product of the dimensions; an Error where it overflows or one is negative.
int64_t elementCount(Span<const int64_t> dims);
// "[2, 3, 32, 32]"
std::string dimsToString(Span<const int64_t> dims);

// Copies share their data until one of them asks for `mutableData`.
class Tensor {
 public:
  Tensor();
  // Zero-filled. Data is aligned to 64 bytes.
  Tensor(ElementType type, std::vector<int64_t> dims);
  // Not inline, as in qat/ir/op.h: hundreds of files would compile them again.
  Tensor(const Tensor&);
  Tensor(Tensor&&) noexcept;
  Tensor& operator=(const Tensor&);
  Tensor& operator=(Tensor&&) noexcept;
  ~Tensor();

  template <class T>
  static Tensor of(std::vector<int64_t> dims, const std::vector<T>& values) {
    Tensor tensor(ElementTypeOf<T>::value, std::move(dims));
    SIMAQAT_CHECK(tensor.size() == static_cast<int64_t>(values.size()));
    std::copy(values.begin(), values.end(), tensor.mutableData<T>());
    return tensor;
  }
  template <class T>
  static Tensor scalar(T value) {
    return of<T>({}, {value});
  }

  ElementType type() const { return type_; }
  const std::vector<int64_t>& dims() const { return dims_; }
  int64_t size() const { return size_; }
  size_t bytes() const { return static_cast<size_t>(size_) * elementSize(type_); }
  bool defined() const { return type_ != ElementType::kUndefined; }

  template <class T>
  const T* data() const {
    SIMAQAT_CHECK(ElementTypeOf<T>::value == storageType(type_), "tensor holds {}", elementTypeName(type_));
    return reinterpret_cast<const T*>(data_.get());
  }
  template <class T>
  T* mutableData() {
    SIMAQAT_CHECK(ElementTypeOf<T>::value == storageType(type_), "tensor holds {}", elementTypeName(type_));
    return reinterpret_cast<T*>(mutableRawData());
  }
  const std::byte* rawData() const { return data_.get(); }
  std::byte* mutableRawData();

  // The same data with other dimensions of the same product.
  Tensor reshaped(std::vector<int64_t> dims) const;
  // Every element as T by static_cast.
  template <class T>
  std::vector<T> toVector() const {
    std::vector<T> values(static_cast<size_t>(size_));
    visitElementType(type_, [&](auto tag) {
      using From = decltype(tag);
      const From* from = data<From>();
      for (int64_t i = 0; i < size_; ++i) values[static_cast<size_t>(i)] = static_cast<T>(from[i]);
    });
    return values;
  }
  // Converted element by element with static_cast.
  Tensor converted(ElementType type) const;

  // Same type, dimensions and bits.
  bool identical(const Tensor& other) const;

 private:
  ElementType type_ = ElementType::kUndefined;
  std::vector<int64_t> dims_;
  int64_t size_ = 0;
  std::shared_ptr<std::byte> data_;
};

}  // namespace simaqat
