#include "tools/width_search.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "qat/base/file.h"
#include "qat/passes/refresh_quantizers.h"
#include "qat/passes/sizes.h"
#include "qat/train/calibrate.h"
#include "tools/command.h"

namespace simaqat {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kDefaultBatch = 32;

// As a pattern that matches this name alone.
std::string literally(const std::string& name) {
  std::string pattern;
  for (char c : name) {
    if (std::string("*?[\\").find(c) != std::string::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

// Widths are measured with ranges that are observed: there is nothing yet that learned.
ScaffoldOptions withoutLearning(ScaffoldOptions options) {
  const auto reset = [](QuantizerChoice& choice) {
    if (choice.observer == "lsq" || choice.observer == "lsq_plus") choice.observer.reset();
  };
  reset(options.activation);
  reset(options.weight);
  for (QuantizationOverride& rule : options.overrides) {
    reset(rule.activation);
    reset(rule.weight);
  }
  return options;
}

std::string lossText(double loss) { return fmt::format("{:.4f}", loss); }

}  // namespace

void WidthSearch::declare(OptionSet& set) {
  Option data = set.add("--data", manifest_, "The data manifest (JSON), to measure on");
  set.flag("--sensitivity", measures_, "Print each layer's loss with it alone quantized")
      .needs(data);
  Option budget =
      set.count("--size-budget", budget_,
                "Choose 4, 8 or 16 bits for each weight so that parameters take so many bytes", 1);
  budget.needs(data);
  set.add("--write-recipe", write_recipe_, "Where to write the recipe with these widths")
      .needs(budget);
  set.add("--split", split_, "The split to measure on").showDefault();
  set.add("--loss", loss_, "A loss graph (ONNX), or cross_entropy, or mse").showDefault();
  set.add("--bind", binds_, "LOSS_INPUT=SOURCE: where an input of the loss comes from");
  set.count("--calibrate", calibrate_, "Batches to observe ranges on", 1).showDefault();
  set.count("--samples", samples_, "Samples to measure on", 1).showDefault();
  set.threads(threads_);
}

Sensitivity WidthSearch::measure(const Graph& source, const ScaffoldOptions& options,
                                 int64_t& other_bytes) const {
  ThreadPool pool(threads_ > 0 ? threads_ : availableProcessors());
  Graph graph = source.clone();
  scaffold(graph, withoutLearning(options));
  const Manifest manifest = loadManifest(manifest_);
  const Loss loss = loadLoss(loss_, graph, fieldNames(manifest, split_));
  EvalOptions eval_options;
  eval_options.split = split_;
  eval_options.top1 = false;
  eval_options.samples = samples_;
  Evaluator evaluator(graph, &loss, binds_, manifest, eval_options, pool);

  LoaderOptions loader_options;
  loader_options.batch_size = fixedBatch(graph) > 0 ? fixedBatch(graph) : kDefaultBatch;
  loader_options.shuffle = true;
  loader_options.drop_last = true;
  loader_options.epochs = -1;
  const auto data = Dataset::open(manifest, split_, fieldSpecs(graph.inputs));
  std::map<std::string, std::vector<int64_t>> sample_dims;
  for (size_t i = 0; i < data->fieldCount(); ++i) {
    sample_dims[data->fieldName(i)] = data->sampleDims(i);
  }
  BatchLoader loader(data, loader_options);
  calibrate(graph, calibrate_, loader, sample_dims, [] { return false; }, pool);
  refreshQuantizers(graph);

  other_bytes = sizesOf(graph).quantized_bytes;
  for (const Layer& layer : layersOf(graph)) {
    other_bytes -= bytesOf(layer.weight_elements, layer.codes);
  }
  Sensitivity result = measureSensitivity(graph, evaluator);
  const QuantizerPolicy policy(options, source);
  for (LayerSensitivity& entry : result.layers) {
    for (const auto& node : graph.nodes()) {
      if (node->name() == entry.layer.node && node->opType() == entry.layer.op_type) {
        entry.pinned = policy.overriddenWeightBits(*node);
      }
    }
  }
  return result;
}

std::string WidthSearch::run(const Graph& source, const std::string& recipe,
                             ScaffoldOptions& options) const {
  int64_t other_bytes = 0;
  const Sensitivity sensitivity = measure(source, options, other_bytes);
  std::vector<int64_t> widths;
  if (budget_ > 0) {
    try {
      // Weights of 16 bits have no integer kernel.
      widths = chooseWidths(sensitivity, budget_ - other_bytes,
                            options.only_integer_kernels ? 8 : kWidths.back());
    } catch (const Error& error) {
      throw inputError("--size-budget {}: {} beside {} of scales and what stays float", budget_,
                       error.what(), other_bytes);
    }
  }
  print(sensitivity, widths);
  if (budget_ == 0) return "";
  Json json = recipe.empty() ? Json::object() : Json::parse(recipe);
  // A recipe with widths of less than 8 bits, which ship as 8, means them where 8 are chosen.
  const int64_t given = options.weight.bits.value_or(8);
  for (size_t i = 0; i < widths.size(); ++i) {
    if (sensitivity.layers[i].pinned) continue;
    if (widths[i] == 8 && given > 4 && given <= 8) continue;
    QuantizationOverride rule;
    rule.node = literally(sensitivity.layers[i].layer.node);
    rule.weight.bits = widths[i];
    options.overrides.push_back(rule);
    json["overrides"].push_back({{"node", rule.node}, {"weight", {{"bits", widths[i]}}}});
  }
  const std::string text = json.dump(2) + "\n";
  if (!write_recipe_.empty()) writeFileAtomically(write_recipe_, text);
  return text;
}

void WidthSearch::print(const Sensitivity& sensitivity, const std::vector<int64_t>& widths) const {
  std::vector<std::vector<std::string>> rows = {{"LAYER", "WEIGHTS", "W4", "W8", "W16", "OUTPUT 4",
                                                 "OUTPUT 8", "OUTPUT 16"}};
  if (!widths.empty()) rows[0].push_back("CHOSEN");
  for (size_t i = 0; i < sensitivity.layers.size(); ++i) {
    const LayerSensitivity& entry = sensitivity.layers[i];
    std::vector<std::string> row = {entry.layer.node, std::to_string(entry.layer.weight_elements)};
    for (double loss : entry.weight_loss) row.push_back(lossText(loss));
    for (double loss : entry.output_loss) {
      row.push_back(entry.layer.output.empty() ? "-" : lossText(loss));
    }
    if (!widths.empty()) row.push_back(fmt::format("{} bits", widths[i]));
    rows.push_back(std::move(row));
  }
  std::printf("loss with each layer alone quantized (FP32: %s)\n%s\n",
              lossText(sensitivity.float_loss).c_str(), table(rows).c_str());
}

}  // namespace simaqat
