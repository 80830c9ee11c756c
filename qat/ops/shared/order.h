// The order of numbers in sorting: a NaN is larger than any of them, and equal to itself.
#pragma once

namespace simaqat::ops {

template <class T>
bool isLess(T a, T b) {
  return a < b || (a == a && b != b);
}

}  // namespace simaqat::ops
