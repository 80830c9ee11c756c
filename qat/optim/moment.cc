#include "qat/optim/moment.h"

#include <charconv>
#include <limits>

namespace simaqat {

Moment Moment::never() { return {std::numeric_limits<int64_t>::max(), false}; }

std::optional<Moment> Moment::parse(const std::string& text) {
  Moment moment;
  moment.in_epochs = !text.empty() && text.back() == 'e';
  const char* const end = text.data() + text.size() - (moment.in_epochs ? 1 : 0);
  const auto [rest, error] = std::from_chars(text.data(), end, moment.count);
  if (error != std::errc() || rest != end || moment.count < 0) return std::nullopt;
  return moment;
}

std::string Moment::toString() const { return std::to_string(count) + (in_epochs ? "e" : ""); }

std::optional<int64_t> Moment::firstStep(int64_t steps_per_epoch) const {
  int64_t step = count;
  const bool never = in_epochs && __builtin_mul_overflow(count, steps_per_epoch, &step);
  if (never || step == std::numeric_limits<int64_t>::max()) return std::nullopt;
  return step;
}

bool Moment::hasCome(int64_t step, int64_t steps_per_epoch) const {
  return (in_epochs ? step / steps_per_epoch : step) >= count;
}

}  // namespace simaqat
