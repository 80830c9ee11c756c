// The report of `inspect --data` as a page that needs nothing else.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace simaqat {

// `description` is what `inspect --json` prints, its report among it; `metrics` the text of a run's
// metrics file, null for none, whose ranges are drawn.
std::string reportPage(const std::string& title, const nlohmann::ordered_json& description,
                       const std::string* metrics);

}  // namespace simaqat
