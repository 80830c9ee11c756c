#include "tests/agreement/difference.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace simaqat {
namespace {

std::vector<size_t> classes(const Tensor& logits) {
  const std::vector<float> values = logits.toVector<float>();
  const auto width = static_cast<size_t>(logits.dims()[1]);
  std::vector<size_t> result;
  for (size_t i = 0; i < values.size(); i += width) {
    const auto row = values.begin() + static_cast<std::ptrdiff_t>(i);
    result.push_back(
        static_cast<size_t>(std::max_element(row, row + static_cast<std::ptrdiff_t>(width)) - row));
  }
  return result;
}

}  // namespace

void Difference::add(const Tensor& a, const Tensor& b, double scale) {
  const std::vector<double> x = a.toVector<double>();
  const std::vector<double> y = b.toVector<double>();
  if (x.size() != y.size()) throw std::runtime_error("tensors of different sizes");
  for (size_t i = 0; i < x.size(); ++i) {
    const double steps = std::fabs((x[i] - y[i]) / scale);
    constexpr double kMost = 1e9;  // of what is not finite too
    const auto whole = static_cast<int64_t>(steps < kMost ? std::nearbyint(steps) : kMost);
    ++elements;
    differing += whole > 0;
    beyond_one += whole > 1;
    largest = std::max(largest, whole);
  }
}

void Difference::merge(const Difference& other) {
  elements += other.elements;
  differing += other.differing;
  beyond_one += other.beyond_one;
  largest = std::max(largest, other.largest);
}

double Difference::withinOne() const {
  return 1.0 - static_cast<double>(beyond_one) / static_cast<double>(elements);
}

double Difference::shareDiffering() const {
  return static_cast<double>(differing) / static_cast<double>(elements);
}

double classAgreement(const Tensor& a, const Tensor& b) {
  const std::vector<size_t> x = classes(a);
  const std::vector<size_t> y = classes(b);
  int64_t same = 0;
  for (size_t i = 0; i < x.size(); ++i) same += x[i] == y[i];
  return static_cast<double>(same) / static_cast<double>(x.size());
}

}  // namespace simaqat
