// Scratch memory that the caller owns, cut into arrays.
#pragma once

#include <cstddef>
#include <cstdint>

namespace simaqat::kernels {

// Hands out aligned arrays from a workspace, one behind the other. Started from null it adds up
// how many bytes there must be, so that a kernel's size and its layout come from one function.
class Workspace {
 public:
  explicit Workspace(std::byte* begin) : begin_(begin) {}

  template <class T>
  T* take(int64_t count) {
    constexpr size_t kAlignment = 64;
    const size_t offset = used_;
    used_ += (static_cast<size_t>(count) * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    return begin_ == nullptr ? nullptr : reinterpret_cast<T*>(begin_ + offset);
  }
  size_t used() const { return used_; }

 private:
  std::byte* begin_;
  size_t used_ = 0;
};

}  // namespace simaqat::kernels
