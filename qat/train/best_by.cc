#include "qat/train/best_by.h"

#include <algorithm>

#include "qat/base/error.h"
#include "qat/base/text.h"

namespace simaqat {

BestBy BestBy::parse(const std::string& text, const std::vector<std::string>& metrics) {
  const size_t colon = text.rfind(':');
  const std::string way = colon == std::string::npos ? "" : text.substr(colon + 1);
  if (way != "min" && way != "max") {
    throw usageError("--best-by {}: expected NAME:min or NAME:max", text);
  }
  const std::string name = text.substr(0, colon);
  if (std::find(metrics.begin(), metrics.end(), name) == metrics.end()) {
    throw usageError("--best-by {}: evaluation gives no '{}', but {}", text, name, joined(metrics));
  }
  return {name, way == "max"};
}

double BestBy::of(const EvalResult& result) const {
  if (name == "top1" && result.top1) return *result.top1;
  const auto loss = std::find_if(result.losses.begin(), result.losses.end(),
                                 [&](const auto& entry) { return entry.first == name; });
  SIMAQAT_CHECK(loss != result.losses.end(), "{}", name);
  return loss->second;
}

}  // namespace simaqat
