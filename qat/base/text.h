// Text of messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace simaqat {

// "a, b, c". fmt::join does as much, and takes half a second to compile in each file.
std::string joined(const std::vector<std::string>& parts, std::string_view separator = ", ");

// Those of `names` that are most like `name`, the likest first, at most `count`: by how many letters
// to change, and those that hold it, or that it holds, before others.
std::vector<std::string> nearestNames(const std::string& name, std::vector<std::string> names,
                                      size_t count);

// "512.0 MiB", "17 B"
std::string readableBytes(int64_t bytes);

}  // namespace simaqat
