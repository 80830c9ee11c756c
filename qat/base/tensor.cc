#include "qat/base/tensor.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

namespace simaqat {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kLargePage = 2 << 20;

size_t roundedUp(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

// Pages of the system, which are zero until they are touched. Large pages are asked for: rows of a
// step's planes lie in thousands of small ones. That is only advice.
std::shared_ptr<std::byte> mapPages(size_t bytes) {
  const size_t whole = roundedUp(bytes, kLargePage) + kLargePage;
  void* const begin =
      ::mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (begin == MAP_FAILED) throw std::bad_alloc();
  auto* const memory =
      reinterpret_cast<std::byte*>(roundedUp(reinterpret_cast<uintptr_t>(begin), kLargePage));
  ::madvise(memory, bytes / kLargePage * kLargePage, MADV_HUGEPAGE);
  return std::shared_ptr<std::byte>(memory, [=](std::byte*) { ::munmap(begin, whole); });
}

// Zero, in whole cache lines.
std::shared_ptr<std::byte> allocate(size_t bytes) {
  // No system has more, and what is rounded up must not wrap.
  if (bytes > std::numeric_limits<size_t>::max() / 2) throw std::bad_alloc();
  const size_t rounded = roundedUp(std::max<size_t>(bytes, 1), kAlignment);
  if (rounded >= kLargePage) return mapPages(rounded);
  void* memory = nullptr;
  if (::posix_memalign(&memory, kAlignment, rounded) != 0) throw std::bad_alloc();
  std::memset(memory, 0, rounded);
  return std::shared_ptr<std::byte>(static_cast<std::byte*>(memory), std::free);
}

}  // namespace

int64_t elementCount(Span<const int64_t> dims) {
  int64_t count = 1;
  for (int64_t dim : dims) {
    if (dim < 0 || __builtin_mul_overflow(count, dim, &count)) {
      throw inputError("tensor dimensions {} are not valid", dimsToString(dims));
    }
  }
  return count;
}

std::string dimsToString(Span<const int64_t> dims) {
  return fmt::format("[{}]", fmt::join(dims.begin(), dims.end(), ", "));
}

Tensor::Tensor() = default;
Tensor::Tensor(const Tensor&) = default;
Tensor::Tensor(Tensor&&) noexcept = default;
Tensor& Tensor::operator=(const Tensor&) = default;
Tensor& Tensor::operator=(Tensor&&) noexcept = default;
Tensor::~Tensor() = default;

Tensor::Tensor(ElementType type, std::vector<int64_t> dims)
    : type_(type), dims_(std::move(dims)), size_(elementCount(dims_)) {
  const size_t element = elementSize(type);
  size_t bytes = 0;
  if (element == 0 || __builtin_mul_overflow(static_cast<size_t>(size_), element, &bytes)) {
    throw inputError("a tensor of type {} and dimensions {} cannot be held", elementTypeName(type),
                     dimsToString(dims_));
  }
  data_ = allocate(bytes);
}

std::byte* Tensor::mutableRawData() {
  if (data_ && data_.use_count() > 1) {
    std::shared_ptr<std::byte> copy = allocate(bytes());
    std::memcpy(copy.get(), data_.get(), bytes());
    data_ = std::move(copy);
  }
  return data_.get();
}

Tensor Tensor::reshaped(std::vector<int64_t> dims) const {
  SIMAQAT_CHECK(elementCount(dims) == size_);
  Tensor result = *this;
  result.dims_ = std::move(dims);
  return result;
}

Tensor Tensor::converted(ElementType type) const {
  if (type == type_) return *this;
  Tensor result(type, dims_);
  visitElementType(type_, [&](auto from_tag) {
    visitElementType(type, [&](auto to_tag) {
      using To = decltype(to_tag);
      const auto* from = data<decltype(from_tag)>();
      To* to = result.mutableData<To>();
      for (int64_t i = 0; i < size_; ++i) to[i] = static_cast<To>(from[i]);
    });
  });
  return result;
}

bool Tensor::identical(const Tensor& other) const {
  return type_ == other.type_ && dims_ == other.dims_ &&
         (size_ == 0 || std::memcmp(data_.get(), other.data_.get(), bytes()) == 0);
}

}  // namespace simaqat
