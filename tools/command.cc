#include "tools/command.h"

#include <algorithm>
#include <charconv>

#include "qat/base/log.h"

namespace simaqat {

BatchNormPolicy parseBatchNormPolicy(const std::string& text) {
  if (text == "auto") return BatchNormPolicy::kAuto;
  if (text == "train") return BatchNormPolicy::kTrain;
  if (text == "frozen") return BatchNormPolicy::kFrozen;
  throw usageError("--bn {}: expected auto, train or frozen", text);
}

CLI::Validator numberIn(double least, double most) {
  const auto check = [=](const std::string& text) -> std::string {
    double number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    const bool whole = error == std::errc() && rest == end;
    // NaN compares false.
    if (whole && number >= least && number <= most) return "";
    return fmt::format("{}: expected a number from {} to {}", text, least, most);
  };
  return CLI::Validator(check, "");
}

CLI::Option* addCount(CLI::App& app, const char* name, int64_t& count, const char* help,
                      int64_t least) {
  // The product of two is far from overflow.
  constexpr double kMost = 1e9;
  return app.add_option(name, count, help)->check(numberIn(static_cast<double>(least), kMost));
}

CLI::Option* addMoment(CLI::App& app, const char* name, Moment& moment, const char* help) {
  const auto check = [](const std::string& text) -> std::string {
    if (Moment::parse(text)) return "";
    return fmt::format("{}: expected a number of steps (500), or of epochs (2e)", text);
  };
  return app
      .add_option_function<std::string>(
          name, [&moment](const std::string& text) { moment = *Moment::parse(text); }, help)
      ->type_name("N|Ne")
      ->check(CLI::Validator(check, ""));
}

void addThreadsOption(CLI::App& app, int& threads) {
  app.add_option("--threads", threads, "Default: all processors")->check(numberIn(1, 1024));
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
  for (const std::string& warning : model.warnings) spdlog::warn("{}", warning);
}

}  // namespace simaqat
