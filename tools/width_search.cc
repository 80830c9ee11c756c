#include "tools/width_search.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "qat/base/file.h"
#include "qat/ir/fake_quantize.h"
#include "qat/passes/refresh_quantizers.h"
#include "qat/passes/simplify.h"
#include "qat/passes/sizes.h"
#include "qat/train/calibrate.h"
#include "qat/train/step_graph.h"
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

// The elements of each layer's output of one sample, where something quantizes it.
void countOutputs(Sensitivity& sensitivity, const Graph& calibrated, int64_t batch,
                  const std::map<std::string, std::vector<int64_t>>& sample_dims) {
  Graph graph = calibrated.clone();
  bindInputs(graph, batch, sample_dims);
  bindShapes(graph, {});
  std::map<std::string, int64_t> elements;
  for (const auto& node : graph.nodes()) {
    if (isFakeQuantize(*node)) elements[node->name()] = node->output()->type.size();
  }
  for (LayerSensitivity& entry : sensitivity.layers) {
    if (entry.layer.output.empty()) continue;
    entry.output_elements = (elements.at(entry.layer.output) + batch - 1) / batch;
  }
}

// What overrides of the recipe tell of the layers' widths.
void pin(Sensitivity& sensitivity, const Graph& scaffolded, const QuantizerPolicy& policy) {
  for (LayerSensitivity& entry : sensitivity.layers) {
    for (const auto& node : scaffolded.nodes()) {
      if (node->name() != entry.layer.node || node->opType() != entry.layer.op_type) continue;
      entry.pinned = policy.overriddenWeightBits(*node);
      std::vector<const Node*> fused = nodesToQuantizer(scaffolded, *node);
      if (fused.empty()) continue;
      fused.pop_back();
      entry.output_pinned = policy.overriddenActivationBits(fused);
    }
  }
}

// 0 bits say nothing.
QuantizationOverride overrideOf(const Layer& layer, int64_t weight_bits, int64_t output_bits) {
  QuantizationOverride rule;
  rule.node = literally(layer.node);
  if (weight_bits > 0) rule.weight.bits = weight_bits;
  if (output_bits > 0) rule.activation.bits = output_bits;
  return rule;
}

Json toJson(const QuantizationOverride& rule) {
  Json json = {{"node", rule.node}};
  if (rule.weight.bits) json["weight"] = {{"bits", *rule.weight.bits}};
  if (rule.activation.bits) json["activation"] = {{"bits", *rule.activation.bits}};
  return json;
}

std::string lossText(double loss) { return fmt::format("{:.4f}", loss); }

}  // namespace

void WidthSearch::declare(OptionSet& set) {
  Option data = set.add("--data", manifest_, "The data manifest (JSON), to measure on");
  set.flag("--sensitivity", measures_, "Print each layer's loss with it alone quantized")
      .needs(data);
  set.count("--size-budget", size_budget_,
            "Choose 4, 8 or 16 bits for each weight so that parameters take so many bytes", 1)
      .needs(data);
  set.count("--activation-budget", activation_budget_,
            "Choose 4, 8 or 16 bits for each layer's output so that those of a sample take so many "
            "bytes",
            1)
      .needs(data);
  set.add("--write-recipe", write_recipe_, "Where to write the recipe with these widths");
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
  calibrate(
      graph, calibrate_, false, loader, sample_dims, [] { return false; }, pool);
  refreshQuantizers(graph);

  other_bytes = sizesOf(graph).quantized_bytes;
  for (const Layer& layer : layersOf(graph)) {
    other_bytes -= bytesOf(layer.weight_elements, layer.codes);
  }
  Sensitivity result = measureSensitivity(graph, evaluator);
  if (activation_budget_ > 0) {
    const int64_t fixed = fixedBatch(graph);
    countOutputs(result, graph, fixed > 0 ? fixed : 1, sample_dims);
  }
  pin(result, graph, QuantizerPolicy(options, source));
  return result;
}

std::vector<int64_t> WidthSearch::weightWidths(const Sensitivity& sensitivity, int64_t other_bytes,
                                               int64_t widest) const {
  std::vector<WidthItem> items;
  for (const LayerSensitivity& entry : sensitivity.layers) {
    items.push_back({entry.layer.weight_elements, entry.weight_loss, entry.pinned});
  }
  try {
    return chooseWidths(items, size_budget_ - other_bytes, widest);
  } catch (const Error& error) {
    throw inputError("--size-budget {}: the weights' {} beside {} of scales and what stays float",
                     size_budget_, error.what(), other_bytes);
  }
}

std::vector<int64_t> WidthSearch::outputWidths(const Sensitivity& sensitivity,
                                               int64_t widest) const {
  std::vector<WidthItem> items;
  for (const LayerSensitivity& entry : sensitivity.layers) {
    if (entry.layer.output.empty()) continue;
    items.push_back({entry.output_elements, entry.output_loss, entry.output_pinned});
  }
  if (items.empty()) {
    throw inputError("--activation-budget {}: no layer has a quantizer at its output",
                     activation_budget_);
  }
  std::vector<int64_t> chosen;
  try {
    chosen = chooseWidths(items, activation_budget_, widest);
  } catch (const Error& error) {
    throw inputError("--activation-budget {}: the outputs' {}", activation_budget_, error.what());
  }
  std::vector<int64_t> widths;
  auto next = chosen.begin();
  for (const LayerSensitivity& entry : sensitivity.layers) {
    widths.push_back(entry.layer.output.empty() ? 0 : *next++);
  }
  return widths;
}

std::string WidthSearch::run(const Graph& source, const std::string& recipe,
                             ScaffoldOptions& options) const {
  if (!write_recipe_.empty() && !chooses()) {
    throw usageError("--write-recipe needs --size-budget or --activation-budget");
  }
  int64_t other_bytes = 0;
  const Sensitivity sensitivity = measure(source, options, other_bytes);
  // Codes of 16 bits have no integer kernel.
  const int64_t widest = options.only_integer_kernels ? 8 : kWidths.back();
  Widths widths;
  if (size_budget_ > 0) widths.weights = weightWidths(sensitivity, other_bytes, widest);
  if (activation_budget_ > 0) widths.outputs = outputWidths(sensitivity, widest);
  print(sensitivity, widths);
  if (!chooses()) return "";
  Json json = recipe.empty() ? Json::object() : Json::parse(recipe);
  for (const QuantizationOverride& rule : overridesFor(sensitivity, widths, options)) {
    options.overrides.push_back(rule);
    json["overrides"].push_back(toJson(rule));
  }
  const std::string text = json.dump(2) + "\n";
  if (!write_recipe_.empty()) writeFileAtomically(write_recipe_, text);
  return text;
}

std::vector<QuantizationOverride> WidthSearch::overridesFor(const Sensitivity& sensitivity,
                                                            const Widths& widths,
                                                            const ScaffoldOptions& options) {
  // A recipe with widths of less than 8 bits, which ship as 8, means them where 8 are chosen.
  const int64_t given = options.weight.bits.value_or(8);
  std::vector<QuantizationOverride> rules;
  for (size_t i = 0; i < sensitivity.layers.size(); ++i) {
    const LayerSensitivity& entry = sensitivity.layers[i];
    int64_t weight = widths.weights.empty() || entry.pinned ? 0 : widths.weights[i];
    if (weight == 8 && given > 4 && given <= 8) weight = 0;
    int64_t output = widths.outputs.empty() || entry.output_pinned ? 0 : widths.outputs[i];
    if (output == options.activation.bits.value_or(8)) output = 0;
    if (weight > 0 || output > 0) rules.push_back(overrideOf(entry.layer, weight, output));
  }
  return rules;
}

void WidthSearch::print(const Sensitivity& sensitivity, const Widths& widths) {
  std::vector<std::vector<std::string>> rows = {{"LAYER", "WEIGHTS", "W4", "W8", "W16", "OUTPUT 4",
                                                 "OUTPUT 8", "OUTPUT 16"}};
  if (!widths.weights.empty()) rows[0].push_back("CHOSEN");
  if (!widths.outputs.empty()) rows[0].insert(rows[0].end(), {"VALUES", "OUTPUT CHOSEN"});
  for (size_t i = 0; i < sensitivity.layers.size(); ++i) {
    const LayerSensitivity& entry = sensitivity.layers[i];
    std::vector<std::string> row = {entry.layer.node, std::to_string(entry.layer.weight_elements)};
    for (double loss : entry.weight_loss) row.push_back(lossText(loss));
    for (double loss : entry.output_loss) {
      row.push_back(entry.layer.output.empty() ? "-" : lossText(loss));
    }
    if (!widths.weights.empty()) row.push_back(fmt::format("{} bits", widths.weights[i]));
    if (!widths.outputs.empty()) {
      const bool has_output = widths.outputs[i] > 0;
      row.push_back(has_output ? std::to_string(entry.output_elements) : "-");
      row.push_back(has_output ? fmt::format("{} bits", widths.outputs[i]) : "-");
    }
    rows.push_back(std::move(row));
  }
  std::printf("loss with each layer alone quantized (FP32: %s)\n%s\n",
              lossText(sensitivity.float_loss).c_str(), table(rows).c_str());
}

}  // namespace simaqat
