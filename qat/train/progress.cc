#include "qat/train/progress.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "qat/base/log.h"

namespace simaqat {
namespace {

constexpr double kBarSeconds = 0.1;
constexpr double kLineSeconds = 10;
constexpr int kBarWidth = 24;

std::string duration(double seconds) {
  const auto total = static_cast<int64_t>(seconds);
  return total >= 3600 ? fmt::format("{}:{:02}:{:02}", total / 3600, total / 60 % 60, total % 60)
                       : fmt::format("{}:{:02}", total / 60, total % 60);
}

}  // namespace

Progress::Progress(bool bar, int64_t total_steps, int64_t first_step, int64_t batch_size)
    : bar_(bar),
      total_(total_steps),
      first_(first_step),
      batch_size_(batch_size),
      start_(Clock::now()),
      shown_(start_) {}

void Progress::step(int64_t epoch, int64_t step, double loss, double learning_rate) {
  const auto now = Clock::now();
  const bool last = step + 1 == total_;
  const double since = std::chrono::duration<double>(now - shown_).count();
  if (!last && since < (bar_ ? kBarSeconds : kLineSeconds)) return;
  shown_ = now;
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const auto done = static_cast<double>(step + 1 - first_);
  const double left = elapsed / done * static_cast<double>(total_ - step - 1);
  const std::string figures = fmt::format(
      "epoch {} step {}/{} loss {:.4f} lr {:.3g} {:.0f} images/s {} left", epoch, step + 1, total_,
      loss, learning_rate, done * static_cast<double>(batch_size_) / elapsed, duration(left));
  if (!bar_) {
    logInfo("{}", figures);
    return;
  }
  const auto filled = static_cast<int>(kBarWidth * (step + 1) / std::max<int64_t>(1, total_));
  const std::string text =
      fmt::format("\r[{:=<{}}{: <{}}] {}\033[K", "", filled, "", kBarWidth - filled, figures);
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
  open_line_ = true;
}

void Progress::endLine() {
  if (open_line_) std::fputs("\n", stderr);
  open_line_ = false;
}

}  // namespace simaqat
