// Data files for the tests, as the bytes that go into them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "qat/base/tensor.h"

namespace simaqat {

// Writes `bytes` into the test's own folder; returns the file's path.
std::string writeTestFile(const std::string& name, const std::string& bytes);

std::string npyBytes(const Tensor& tensor, int version = 1);
// A .npy of version 1 with that header, whatever it says.
std::string npyWithHeader(const std::string& header, const std::string& data);
std::string idxBytes(const Tensor& tensor);
std::string npzBytes(const std::map<std::string, std::string>& members, bool deflated = true);
std::string gzipped(const std::string& bytes);
// Members in the order given.
std::string tarBytes(const std::vector<std::pair<std::string, std::string>>& members);
// Of pixels [height, width, 3], red, green and blue, nearly as they are; or of [height, width, 1].
std::string jpegBytes(const Tensor& pixels);

// The message of the input Error that `function` throws; fails the test where it throws none.
std::string inputErrorOf(const std::function<void()>& function);

}  // namespace simaqat
