#include "tools/command.h"

#include <algorithm>

#include "qat/base/log.h"

namespace simaqat {

BatchNormPolicy parseBatchNormPolicy(const std::string& text) {
  if (text == "auto") return BatchNormPolicy::kAuto;
  if (text == "train") return BatchNormPolicy::kTrain;
  if (text == "frozen") return BatchNormPolicy::kFrozen;
  throw usageError("--bn {}: expected auto, train or frozen", text);
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) line += fmt::format("{:<{}}  ", row[c], widths[c]);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

void printWarnings(const Model& model) {
  for (const std::string& warning : model.warnings) logWarning("{}", warning);
}

}  // namespace simaqat
