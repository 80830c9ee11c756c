#include "tools/check.h"

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "qat/data/batch_loader.h"
#include "qat/train/check_model.h"
#include "qat/train/evaluate.h"
#include "tools/command.h"

namespace simaqat {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kDefaultBatch = 4;
constexpr int kBadInput = 3;

// The first samples of the split, or no values: noise.
CheckBatch batchOf(const Graph& graph, const CheckCommandOptions& options) {
  CheckBatch batch;
  const int64_t fixed = fixedBatch(graph);
  batch.samples = options.batch_size > 0 ? options.batch_size : fixed > 0 ? fixed : kDefaultBatch;
  if (options.manifest.empty()) return batch;
  const Manifest manifest = loadManifest(options.manifest);
  const auto data = Dataset::open(manifest, options.split, fieldSpecs(graph.inputs));
  batch.samples = std::min(batch.samples, data->size());
  LoaderOptions loading;
  loading.batch_size = batch.samples;
  BatchLoader loader(data, loading);
  const Batch* first = loader.next();
  for (size_t i = 0; i < data->fieldCount(); ++i) {
    batch.sample_dims[data->fieldName(i)] = data->sampleDims(i);
    batch.values[data->fieldName(i)] = first->fields[i];
  }
  return batch;
}

// JSON has no infinity.
Json numberOf(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

void printJson(const CheckReport& report) {
  Json json;
  json["fails"] = report.fails();
  json["findings"] = Json::array();
  for (const CheckFinding& finding : report.findings) {
    json["findings"].push_back(
        {{"fails", finding.fails}, {"subject", finding.subject}, {"text", finding.text}});
  }
  json["ranges"] = Json::array();
  for (const ValueRange& range : report.ranges) {
    json["ranges"].push_back({{"value", range.value},
                              {"operator", range.op_type},
                              {"min", numberOf(range.lowest)},
                              {"max", numberOf(range.highest)}});
  }
  std::printf("%s\n", json.dump().c_str());
}

void printTables(const CheckReport& report) {
  std::vector<std::vector<std::string>> ranges = {{"VALUE", "OPERATOR", "MIN", "MAX"}};
  for (const ValueRange& range : report.ranges) {
    ranges.push_back({range.value, range.op_type, fmt::format("{:.4g}", range.lowest),
                      fmt::format("{:.4g}", range.highest)});
  }
  std::printf("%s\n", table(ranges).c_str());
  if (report.findings.empty()) {
    std::printf("no findings\n");
    return;
  }
  std::vector<std::vector<std::string>> findings = {{"", "WHERE", "WHAT"}};
  for (const CheckFinding& finding : report.findings) {
    findings.push_back({finding.fails ? "fails" : "note", finding.subject, finding.text});
  }
  std::printf("%s", table(findings).c_str());
}

}  // namespace

int runCheck(const Model& model, const CheckCommandOptions& options) {
  ThreadPool pool(availableProcessors());
  const CheckReport report = checkModel(model, batchOf(model.graph, options), pool);
  if (options.json) {
    printJson(report);
  } else {
    printTables(report);
  }
  return report.fails() ? kBadInput : 0;
}

}  // namespace simaqat
