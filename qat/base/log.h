// Messages to the user, on standard error; standard output belongs to results.
#pragma once

#include <spdlog/spdlog.h>

namespace simaqat {

// Plain lines "warning: ..." without time stamps; `verbose` shows debug messages too.
void setUpLogging(bool verbose, bool quiet);

}  // namespace simaqat
