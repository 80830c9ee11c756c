// The recipe file of `prepare`.
#pragma once

#include <string>

#include "qat/passes/scaffold.h"

namespace simaqat {

// Input Errors name the file and the key. `hash` gets the file's.
ScaffoldOptions loadRecipe(const std::string& path, std::string* hash);

}  // namespace simaqat
