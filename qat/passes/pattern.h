// Name patterns, as in a shell.
#pragma once

#include <string>

namespace simaqat {

// * stands for any characters, ? for one.
bool matchesPattern(const std::string& name, const std::string& pattern);

}  // namespace simaqat
