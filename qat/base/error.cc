#include "qat/base/error.h"

namespace simaqat {

int exitStatus(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInput:
      return 3;
    case ErrorKind::kUsage:
      return 2;
    case ErrorKind::kRuntime:
      break;
  }
  return 1;
}

void checkFailed(const char* file, int line, const char* condition, const std::string& message) {
  throw InternalError(fmt::format("{}:{}: check failed: {}{}{}", file, line, condition,
                                  message.empty() ? "" : ": ", message));
}

}  // namespace simaqat
