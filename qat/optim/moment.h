// A point in a run, counted in steps or in epochs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace simaqat {

struct Moment {
  int64_t count = 0;
  bool in_epochs = false;

  static Moment never();
  // "500" steps, "2e" epochs; nothing where the text is neither.
  static std::optional<Moment> parse(const std::string& text);
  std::string toString() const;

  // The first step before which it has come; nothing where that is never.
  std::optional<int64_t> firstStep(int64_t steps_per_epoch) const;
  // Whether it has come before step `step` is taken.
  bool hasCome(int64_t step, int64_t steps_per_epoch) const;
};

}  // namespace simaqat
