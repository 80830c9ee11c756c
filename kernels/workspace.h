// Scratch memory that the caller owns, cut into arrays.
#pragma once

#include <cstddef>
#include <cstdint>

namespace simaqat::kernels {

// An array of each thread's own.
template <class T>
class ThreadArrays {
 public:
  ThreadArrays() = default;
  ThreadArrays(T* first, size_t stride)
      : first_(reinterpret_cast<std::byte*>(first)), stride_(stride) {}
  T* of(int worker) const {
    return reinterpret_cast<T*>(first_ + static_cast<size_t>(worker) * stride_);
  }

 private:
  std::byte* first_ = nullptr;
  size_t stride_ = 0;  // bytes
};

// Hands out aligned arrays from a workspace, one behind the other. Started from null it adds up
// how many bytes there must be, so that a kernel's size and its layout come from one function.
class Workspace {
 public:
  explicit Workspace(std::byte* begin) : begin_(begin) {}

  template <class T>
  T* take(int64_t count) {
    const size_t offset = used_;
    used_ += sizeOf<T>(count);
    return begin_ == nullptr ? nullptr : reinterpret_cast<T*>(begin_ + offset);
  }

  // An array for each of so many threads. They are apart: a processor that asks for memory in
  // advance reads lines behind the end of what a thread works with, and takes them away from the
  // thread that writes them.
  template <class T>
  ThreadArrays<T> takeForThreads(int threads, int64_t count) {
    constexpr size_t kApart = 4096;
    if (count == 0) return {};
    const size_t stride = sizeOf<T>(count) + kApart;
    T* first = reinterpret_cast<T*>(take<std::byte>(static_cast<int64_t>(stride) * threads));
    return {first, stride};
  }
  size_t used() const { return used_; }

 private:
  template <class T>
  static size_t sizeOf(int64_t count) {
    constexpr size_t kAlignment = 64;
    return (static_cast<size_t>(count) * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
  }

  std::byte* begin_;
  size_t used_ = 0;
};

}  // namespace simaqat::kernels
