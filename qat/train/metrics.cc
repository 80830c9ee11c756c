#include "qat/train/metrics.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "qat/base/error.h"
#include "qat/base/file.h"

namespace simaqat {
namespace {

using Json = nlohmann::ordered_json;

// JSON has no infinity and no NaN.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json evaluationJson(const EvalResult& result) {
  Json json;
  json["split"] = result.split;
  json["samples"] = result.samples;
  for (const auto& [name, value] : result.losses) json[name] = number(value);
  if (result.top1) json["top1"] = *result.top1;
  return json;
}

// The lines of the steps before `first_step`.
std::string linesBefore(const std::string& path, int64_t first_step) {
  std::ifstream stream(path);
  std::string kept;
  for (std::string line; std::getline(stream, line);) {
    const Json json = Json::parse(line, nullptr, false);
    if (json.is_discarded() || !json.is_object()) break;
    const Json& entry = json.contains("eval")     ? json["eval"]
                        : json.contains("ranges") ? json["ranges"]
                                                  : json;
    if (!entry.contains("step") || entry["step"].get<int64_t>() >= first_step) break;
    kept += line + "\n";
  }
  return kept;
}

}  // namespace

std::vector<std::string> lossNames(const Graph& loss) {
  const std::set<std::string> own = {"loss", "step",   "epoch", "lr",      "gradient_norm",
                                     "eval", "ranges", "split", "samples", "top1"};
  std::set<std::string> taken = own;
  for (const GraphOutput& output : loss.outputs) taken.insert(output.name);
  std::vector<std::string> names = {"loss"};
  for (size_t k = 1; k < loss.outputs.size(); ++k) {
    std::string name = loss.outputs[k].name;
    if (own.count(name) != 0) {
      while (!taken.insert(name).second) name = "loss/" + name;
    }
    names.push_back(std::move(name));
  }
  return names;
}

std::string toJson(const EvalResult& result) { return evaluationJson(result).dump(); }

MetricsFile::MetricsFile(const std::string& path, int64_t first_step) : path_(path) {
  if (path.empty()) return;
  if (isSpecialFile(path)) {
    open("w");
    return;
  }
  const std::string kept = first_step > 0 ? linesBefore(path, first_step) : "";
  writeFileAtomically(path, kept);
  open("a");
}

void MetricsFile::open(const char* mode) {
  file_ = std::fopen(path_.c_str(), mode);
  if (file_ == nullptr) {
    throw runtimeError("{}: cannot be written: {}", path_, std::strerror(errno));
  }
}

MetricsFile::~MetricsFile() {
  if (file_ != nullptr) std::fclose(file_);
}

void MetricsFile::line(const std::string& text) {
  if (std::fprintf(file_, "%s\n", text.c_str()) < 0 || std::fflush(file_) != 0) {
    throw runtimeError("{}: cannot be written: {}", path_, std::strerror(errno));
  }
}

void MetricsFile::step(int64_t step, int64_t epoch,
                       const std::vector<std::pair<std::string, double>>& values) {
  if (file_ == nullptr) return;
  Json json;
  json["step"] = step;
  json["epoch"] = epoch;
  for (const auto& [name, value] : values) json[name] = number(value);
  line(json.dump());
}

void MetricsFile::evaluation(int64_t step, int64_t epoch, const EvalResult& result) {
  if (file_ == nullptr) return;
  Json entry = evaluationJson(result);
  entry["step"] = step;
  entry["epoch"] = epoch;
  line(Json{{"eval", entry}}.dump());
}

void MetricsFile::ranges(
    int64_t step, int64_t epoch,
    const std::vector<std::pair<std::string, std::pair<float, float>>>& ranges) {
  if (file_ == nullptr) return;
  Json values;
  for (const auto& [name, range] : ranges) {
    values[name] = Json::array({number(range.first), number(range.second)});
  }
  line(Json{{"ranges", {{"step", step}, {"epoch", epoch}, {"values", values}}}}.dump());
}

}  // namespace simaqat
