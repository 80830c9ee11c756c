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

std::string onOneLine(std::string_view text) {
  std::string line;
  for (char c : text) {
    const bool blank = c == '\n' || c == '\r' || c == '\t' || c == ' ';
    if (!blank) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  while (!line.empty() && (line.back() == ' ' || line.back() == '^')) line.pop_back();
  return line;
}

void checkFailed(const char* file, int line, const char* condition, const std::string& message) {
  throw InternalError(fmt::format("{}:{}: check failed: {}{}{}", file, line, condition,
                                  message.empty() ? "" : ": ", message));
}

}  // namespace simaqat
