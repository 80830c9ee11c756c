// Messages to the user, on standard error; standard output belongs to results.
#pragma once

#include <string>
#include <utility>

#include "qat/base/error.h"

namespace simaqat {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Plain lines "warning: ..." without time stamps; `verbose` shows debug messages too.
void setUpLogging(bool verbose, bool quiet);

// spdlog writes it. Its own header is seen in log.cc alone: it takes seconds to compile.
void logLine(LogLevel level, const std::string& text);

template <class... Args>
void logDebug(fmt::format_string<Args...> format, Args&&... args) {
  logLine(LogLevel::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void logInfo(fmt::format_string<Args...> format, Args&&... args) {
  logLine(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void logWarning(fmt::format_string<Args...> format, Args&&... args) {
  logLine(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void logError(fmt::format_string<Args...> format, Args&&... args) {
  logLine(LogLevel::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace simaqat
