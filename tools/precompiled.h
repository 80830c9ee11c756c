// What the subcommands include, to be read once: the library of JSON is large. Files include what
// they use all the same.
#include <nlohmann/json.hpp>

#include "qat/ir/op.h"
