// Errors a user can cause, and checks for bugs of ours.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace simaqat {

// What a command line ends with; see exitStatus.
enum class ErrorKind {
  kInput,    // a bad model, loss, manifest, recipe or data file
  kUsage,    // a bad command line
  kRuntime,  // anything else: a full disk, a diverged training
};

// The one type for a mistake that the user can mend. The message is one line that names the culprit.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

template <class... Args>
Error inputError(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ErrorKind::kInput, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
Error usageError(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ErrorKind::kUsage, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
Error runtimeError(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ErrorKind::kRuntime, fmt::format(format, std::forward<Args>(args)...));
}

// 3 for input, 2 for usage, 1 for the rest.
int exitStatus(ErrorKind kind);

// A message of another library, which may show the place of an error on lines of their own, as one
// line.
std::string onOneLine(std::string_view text);

// A broken invariant: a bug of ours, never the user's fault.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] void checkFailed(const char* file, int line, const char* condition,
                              const std::string& message);

}  // namespace simaqat

#define SIMAQAT_CHECK(condition, ...)                                                       \
  do {                                                                                      \
    if (!(condition)) {                                                                     \
      ::simaqat::checkFailed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
    }                                                                                       \
  } while (false)
