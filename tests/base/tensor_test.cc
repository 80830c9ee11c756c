#include "qat/base/tensor.h"

#include <algorithm>
#include <limits>
#include <new>

#include "tests/catch.h"

namespace simaqat {
namespace {

TEST_CASE("copies share their data until one is written") {
  const Tensor a = Tensor::of<float>({2, 2}, {1, 2, 3, 4});
  Tensor b = a;
  CHECK(b.rawData() == a.rawData());
  b.mutableData<float>()[0] = 9;
  CHECK(b.rawData() != a.rawData());
  CHECK(a.toVector<float>() == std::vector<float>{1, 2, 3, 4});
  CHECK(b.toVector<float>() == std::vector<float>{9, 2, 3, 4});
  // Alone, it is written where it is.
  const std::byte* own = b.rawData();
  b.mutableData<float>()[1] = 8;
  CHECK(b.rawData() == own);
}

TEST_CASE("a reshaped tensor shares until it is written") {
  const Tensor a = Tensor::of<int64_t>({6}, {0, 1, 2, 3, 4, 5});
  Tensor b = a.reshaped({2, 3});
  CHECK(b.rawData() == a.rawData());
  b.mutableData<int64_t>()[5] = 7;
  CHECK(a.data<int64_t>()[5] == 5);
  CHECK_THROWS_AS(a.reshaped({4}), InternalError);
}

TEST_CASE("data is aligned and zero") {
  // The last two begin and fill large pages.
  for (int64_t size : {0, 1, 15, 16, 17, 1000, 1 << 19, (3 << 19) + 5}) {
    const Tensor tensor(ElementType::kFloat, {size});
    CHECK(reinterpret_cast<uintptr_t>(tensor.rawData()) % 64 == 0);
    const std::vector<float> values = tensor.toVector<float>();
    CHECK(std::count(values.begin(), values.end(), 0.0f) == size);
  }
}

TEST_CASE("element counts that overflow are errors") {
  constexpr int64_t kHuge = int64_t{1} << 32;
  const auto count = [](std::vector<int64_t> dims) { return elementCount(dims); };
  CHECK(count({}) == 1);
  CHECK(count({3, 0, 5}) == 0);
  CHECK(count({kHuge, kHuge / 4}) == int64_t{1} << 62);
  CHECK_THROWS_AS(count({kHuge, kHuge}), Error);
  CHECK_THROWS_AS(count({std::numeric_limits<int64_t>::max(), 2}), Error);
  CHECK_THROWS_AS(count({2, -1}), Error);
  // The elements can be counted, their bytes cannot.
  CHECK_THROWS_AS(Tensor(ElementType::kDouble, {kHuge, kHuge / 4}), Error);
  CHECK_THROWS_AS(Tensor(ElementType::kUndefined, {1}), Error);
  // They can be, and nobody has them.
  CHECK_THROWS_AS(Tensor(ElementType::kDouble, {(int64_t{1} << 61) - 1}), std::bad_alloc);
  CHECK_THROWS_AS(Tensor(ElementType::kUint8, {int64_t{1} << 60}), std::bad_alloc);
}

TEST_CASE("tensors convert and compare") {
  const Tensor a = Tensor::of<float>({3}, {-1.5f, 0, 2.75f});
  CHECK(a.converted(ElementType::kInt32).toVector<int>() == std::vector<int>{-1, 0, 2});
  CHECK(a.converted(ElementType::kFloat).rawData() == a.rawData());
  CHECK(a.identical(Tensor::of<float>({3}, {-1.5f, 0, 2.75f})));
  CHECK(!a.identical(Tensor::of<float>({3}, {-1.5f, -0.0f, 2.75f})));
  CHECK(!a.identical(a.reshaped({1, 3})));
  CHECK_THROWS_AS(a.data<double>(), InternalError);
}

}  // namespace
}  // namespace simaqat
