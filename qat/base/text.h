// Text of messages.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace simaqat {

// "a, b, c". fmt::join does as much, and takes half a second to compile in each file.
std::string joined(const std::vector<std::string>& parts, std::string_view separator = ", ");

}  // namespace simaqat
