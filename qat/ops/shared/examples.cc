#include "qat/ops/shared/examples.h"

#include <numeric>

#include "qat/base/random.h"

namespace simaqat::ops {

Tensor exampleTensor(std::vector<int64_t> dims, uint64_t seed, double lo, double hi) {
  Tensor tensor(ElementType::kDouble, std::move(dims));
  const int64_t count = tensor.size();
  // A shuffled grid, each point moved by up to a quarter of a cell, keeps values apart.
  std::vector<int64_t> cells(static_cast<size_t>(count));
  std::iota(cells.begin(), cells.end(), int64_t{0});
  const RandomStream order(seed, 1, 0);
  for (int64_t i = count - 1; i > 0; --i) {
    const uint32_t j = order.below(static_cast<uint64_t>(i), static_cast<uint32_t>(i + 1));
    std::swap(cells[static_cast<size_t>(i)], cells[j]);
  }
  const RandomStream shift(seed, 2, 0);
  double* data = tensor.mutableData<double>();
  for (int64_t i = 0; i < count; ++i) {
    const double cell = static_cast<double>(cells[static_cast<size_t>(i)]) + 0.5 +
                        0.5 * (shift.uniform(static_cast<uint64_t>(i)) - 0.5);
    data[i] = lo + (hi - lo) * cell / static_cast<double>(count);
  }
  return tensor;
}

Tensor exampleIntegers(std::vector<int64_t> dims, int64_t lo, int64_t hi, uint64_t seed) {
  Tensor tensor(ElementType::kInt64, std::move(dims));
  const RandomStream stream(seed, 3, 0);
  int64_t* data = tensor.mutableData<int64_t>();
  for (int64_t i = 0; i < tensor.size(); ++i) {
    data[i] = lo + stream.below(static_cast<uint64_t>(i), static_cast<uint32_t>(hi - lo));
  }
  return tensor;
}

}  // namespace simaqat::ops
