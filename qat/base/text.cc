#include "qat/base/text.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

namespace simaqat {
namespace {

// How many letters to insert, remove or change (Levenshtein).
size_t lettersApart(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({row[j] + 1, row[j + 1] + 1, changed}));
    }
  }
  return row.back();
}

bool isPartOf(const std::string& part, const std::string& whole) {
  return whole.find(part) != std::string::npos;
}

}  // namespace

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += separator;
    text += parts[i];
  }
  return text;
}

std::vector<std::string> nearestNames(const std::string& name, std::vector<std::string> names,
                                      size_t count) {
  const auto distance = [&](const std::string& other) {
    const bool is_part = isPartOf(name, other) || isPartOf(other, name);
    return std::pair(!is_part, lettersApart(name, other));
  };
  std::vector<std::pair<decltype(distance(name)), std::string>> ranked;
  for (std::string& other : names) ranked.emplace_back(distance(other), std::move(other));
  const size_t most = std::min(count, ranked.size());
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(most),
                    ranked.end());
  std::vector<std::string> nearest;
  for (size_t i = 0; i < most; ++i) nearest.push_back(std::move(ranked[i].second));
  return nearest;
}

std::string readableBytes(int64_t bytes) {
  const char* const kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace simaqat
