#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "qat/base/file.h"
#include "qat/base/log.h"
#include "qat/base/text.h"
#include "qat/ir/fake_quantize.h"
#include "qat/ir/op.h"
#include "qat/onnx/import.h"
#include "qat/ops/registry.h"
#include "qat/passes/sizes.h"
#include "qat/train/metrics.h"
#include "qat/train/report.h"
#include "tools/command.h"
#include "tools/report_html.h"

namespace simaqat {
namespace {

using Json = nlohmann::ordered_json;

Json typesOf(const std::vector<std::pair<std::string, TensorType>>& values) {
  Json list = Json::array();
  for (const auto& [name, type] : values) {
    list.push_back({{"name", name}, {"type", typeToString(type)}});
  }
  return list;
}

// One entry for each quantizer, of FakeQuantize and of QuantizeLinear nodes alike.
Json quantizersOf(const Graph& graph) {
  Json list = Json::array();
  const auto value = [](const Value* v) -> const Tensor& {
    return v->variable != nullptr ? v->variable->value : v->constant;
  };
  for (const auto& node : graph.nodes()) {
    const std::string type = node->op().qualifiedName();
    if (type != "simaqat::FakeQuantize" && type != "QuantizeLinear") continue;
    const Tensor& scales = value(node->input(1));
    if (!scales.defined()) continue;
    const std::vector<double> scale = scales.toVector<double>();
    Json entry;
    entry["value"] = node->input(0)->name();
    if (type == "QuantizeLinear") {
      entry["kind"] = node->output()->type.element == ElementType::kUndefined
                          ? "?"
                          : elementTypeName(node->output()->type.element);
    } else {
      const auto& spec = node->attributes<QuantizerSpec>();
      entry["kind"] = spec.toString();
      entry["observer"] = spec.observer;
      if (spec.observesRange()) {
        const float lo = *value(node->input(3)).data<float>();
        const float hi = *value(node->input(4)).data<float>();
        entry["range"] = isUnsetRange(lo, hi) ? Json(nullptr) : Json::array({lo, hi});
      }
    }
    entry["scales"] = scale.size();
    entry["scale_min"] = *std::min_element(scale.begin(), scale.end());
    entry["scale_max"] = *std::max_element(scale.begin(), scale.end());
    if (node->input(2) != nullptr && value(node->input(2)).size() == 1) {
      entry["zero_point"] = value(node->input(2)).toVector<int64_t>()[0];
    }
    list.push_back(std::move(entry));
  }
  return list;
}

// JSON has no infinity.
Json decibels(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json jsonOf(const QuantizerReport& quantizer) {
  Json json;
  json["value"] = quantizer.value;
  json["kind"] = quantizer.kind;
  json["range"] = {quantizer.lo, quantizer.hi};
  json["codes"] = quantizer.codes;
  json["codes_used"] = quantizer.codes_used;
  json["clipped"] = quantizer.clipped;
  json["own_sqnr_db"] = decibels(quantizer.own_sqnr);
  json["sqnr_db"] = decibels(quantizer.sqnr);
  json["histogram"] = {{"first", quantizer.first},
                       {"last", quantizer.last},
                       {"counts", quantizer.histogram}};
  return json;
}

Json jsonOf(const LayerReport& entry) {
  Json json;
  json["node"] = entry.layer.node;
  json["op_type"] = entry.layer.op_type;
  json["loss"] = entry.loss ? Json(*entry.loss) : Json(nullptr);
  json["top1"] = entry.top1 ? Json(*entry.top1) : Json(nullptr);
  json["float_bytes"] = 4 * entry.layer.weight_elements;
  json["quantized_bytes"] = bytesOf(entry.layer.weight_elements, entry.layer.codes);
  return json;
}

Json jsonOf(const Report& report) {
  Json json;
  json["samples"] = report.samples;
  json["float"] = Json::parse(toJson(report.floats));
  json["quantized"] = Json::parse(toJson(report.quantized));
  json["quantizers"] = Json::array();
  json["layers"] = Json::array();
  for (const QuantizerReport& entry : report.quantizers) json["quantizers"].push_back(jsonOf(entry));
  for (const LayerReport& entry : report.layers) json["layers"].push_back(jsonOf(entry));
  return json;
}

class InspectCommand : public Command {
 public:
  const char* name() const override { return "inspect"; }
  const char* summary() const override { return "tell what a model of any stage holds"; }
  const char* footer() const override {
    return "Examples:\n"
           "  simaqat inspect trained.onnx\n"
           "  simaqat inspect model_qdq.onnx --json\n"
           "  simaqat inspect trained.onnx --data data.json --loss cross_entropy --html report.html";
  }
  void declare(OptionSet& set) override {
    set.add("MODEL", model_, "A model of any stage").required();
    set.flag("--json", json_, "One JSON object on standard output");
    Option data =
        set.add("--data", manifest_, "Report what quantization does to this data (the manifest)");
    set.add("--split", eval_options_.split, "The split").showDefault();
    set.add("--loss", loss_, "A loss graph (ONNX), or cross_entropy, or mse");
    set.add("--bind", binds_, "LOSS_INPUT=SOURCE: where an input of the loss comes from");
    set.count("--samples", eval_options_.samples, "Samples to look at", 1).showDefault();
    set.threads(threads_);
    Option html = set.add("--html", html_, "Write the report as a page").needs(data);
    set.add("--metrics", metrics_, "A run's metrics, whose ranges the page draws").needs(html);
  }

  int run() override {
    if (manifest_.empty() && listUnsupported()) return 0;
    const Model model = loadModel(model_);
    Json json = describe(model);
    if (!manifest_.empty()) json["report"] = jsonOf(reportOf(model));
    if (!html_.empty()) writePage(json);
    if (json_) {
      std::printf("%s\n", json.dump().c_str());
    } else {
      print(json);
    }
    return 0;
  }

 private:
  // A model with operators that are not supported is told by its operators alone.
  bool listUnsupported() const {
    const auto uses = operatorsOf(model_, opRegistry());
    std::vector<std::vector<std::string>> rows = {{"OPERATOR", "NODES", "SUPPORTED"}};
    Json operators = Json::object();
    Json unsupported = Json::array();
    for (const auto& [name, use] : uses) {
      rows.push_back({name, std::to_string(use.nodes), use.is_supported ? "yes" : "no"});
      operators[name] = use.nodes;
      if (!use.is_supported) unsupported.push_back(name);
    }
    if (unsupported.empty()) return false;
    logWarning("{}: {} of {} operators are not supported", model_, unsupported.size(), uses.size());
    const Json json = {{"operators", operators}, {"unsupported", unsupported}};
    std::printf("%s", json_ ? (json.dump() + "\n").c_str() : table(rows).c_str());
    return true;
  }

  void writePage(const Json& json) const {
    const std::string metrics = metrics_.empty() ? "" : readFile(metrics_);
    std::string page;
    try {
      page = reportPage(model_, json, metrics_.empty() ? nullptr : &metrics);
    } catch (const Error& error) {
      if (metrics_.empty()) throw;
      throw Error(error.kind(), fmt::format("{}: {}", metrics_, error.what()));
    }
    writeFileAtomically(html_, page);
  }

  Report reportOf(const Model& model) const {
    const Graph& graph = model.graph;
    if (model.stage != Stage::kPrepared && model.stage != Stage::kTrained) {
      throw inputError("{}: is {}; a report is of a prepared or a trained model", model_,
                       stageName(model.stage));
    }
    for (const auto& node : graph.nodes()) {
      if (isFakeQuantize(*node) && isUnset(*node)) {
        throw inputError("{}: the quantizer of '{}' has no range yet (train --calibrate)", model_,
                         node->input(kFakeQuantizeX)->name());
      }
    }
    ThreadPool pool(threads_ > 0 ? threads_ : availableProcessors());
    const Manifest manifest = loadManifest(manifest_);
    std::optional<Loss> loss;
    if (!loss_.empty()) {
      loss = loadLoss(loss_, graph, fieldNames(manifest, eval_options_.split));
    }
    Evaluator evaluator(graph, loss ? &*loss : nullptr, binds_, manifest, eval_options_, pool);
    const auto data = Dataset::open(manifest, eval_options_.split, fieldSpecs(graph.inputs));
    return makeReport(graph, data, eval_options_.samples, evaluator, pool);
  }

  static Json describe(const Model& model) {
    const Graph& graph = model.graph;
    std::vector<std::pair<std::string, TensorType>> inputs;
    std::vector<std::pair<std::string, TensorType>> outputs;
    for (const Value* input : graph.inputs) inputs.emplace_back(input->name(), input->type);
    for (const GraphOutput& output : graph.outputs) {
      outputs.emplace_back(output.name, output.value->type);
    }
    std::map<std::string, int64_t> operators;
    for (const auto& node : graph.nodes()) ++operators[node->op().qualifiedName()];
    const Sizes sizes = sizesOf(graph);
    Json json;
    json["stage"] = stageName(model.stage);
    json["inputs"] = typesOf(inputs);
    json["outputs"] = typesOf(outputs);
    json["parameters"] = sizes.parameters;
    json["float_bytes"] = sizes.float_bytes;
    json["quantized_bytes"] = sizes.quantized_bytes;
    json["operators"] = operators;
    json["quantizers"] = quantizersOf(graph);
    return json;
  }

  static std::string text(const Json& json) {
    return json.is_string() ? json.get<std::string>() : json.dump();
  }

  static void print(const Json& json) {
    std::printf("stage %s\n", text(json["stage"]).c_str());
    for (const char* side : {"inputs", "outputs"}) {
      for (const Json& value : json[side]) {
        std::printf("%.*s %s %s\n", static_cast<int>(std::string(side).size()) - 1, side,
                    text(value["name"]).c_str(), text(value["type"]).c_str());
      }
    }
    std::printf("%s parameters: %s as FP32, %s quantized\n\n", text(json["parameters"]).c_str(),
                readableBytes(json["float_bytes"].get<int64_t>()).c_str(),
                readableBytes(json["quantized_bytes"].get<int64_t>()).c_str());
    std::vector<std::vector<std::string>> rows = {{"OPERATOR", "NODES"}};
    for (const auto& [name, count] : json["operators"].items()) rows.push_back({name, text(count)});
    std::printf("%s", table(rows).c_str());
    if (json["quantizers"].empty()) return;
    rows = {{"QUANTIZED VALUE", "KIND", "RANGE", "SCALE", "ZERO POINT"}};
    for (const Json& entry : json["quantizers"]) {
      const double lo = entry["scale_min"].get<double>();
      const double hi = entry["scale_max"].get<double>();
      rows.push_back(
          {text(entry["value"]), text(entry["kind"]),
           entry.contains("range") ? text(entry["range"]) : "",
           lo == hi ? fmt::format("{:.6g}", lo) : fmt::format("{:.3g} to {:.3g}", lo, hi),
           entry.contains("zero_point") ? text(entry["zero_point"]) : ""});
    }
    std::printf("\n%s", table(rows).c_str());
    if (json.contains("report")) printReport(json["report"]);
  }

  static std::string percent(const Json& share) {
    return fmt::format("{:.3f}%", 100 * share.get<double>());
  }

  static std::string number(const Json& json) {
    return json.is_null() ? "-" : fmt::format("{:.4g}", json.get<double>());
  }

  static void printReport(const Json& report) {
    std::vector<std::vector<std::string>> rows = {
        {"QUANTIZED VALUE", "RANGE", "CODES USED", "CLIPPED", "OWN SQNR", "SQNR"}};
    for (const Json& entry : report["quantizers"]) {
      rows.push_back({text(entry["value"]),
                      number(entry["range"][0]) + " to " + number(entry["range"][1]),
                      text(entry["codes_used"]) + " of " + text(entry["codes"]),
                      percent(entry["clipped"]), number(entry["own_sqnr_db"]),
                      number(entry["sqnr_db"])});
    }
    std::printf("\n%s", table(rows).c_str());
    rows = {{"LAYER ALONE QUANTIZED", "OPERATOR", "LOSS", "TOP1", "FP32 BYTES", "BYTES"}};
    const auto whole = [&](const char* name, const Json& result) {
      const auto part = [&](const char* key) {
        return result.contains(key) ? number(result[key]) : std::string("-");
      };
      rows.push_back({name, "", part("loss"), part("top1"), "", ""});
    };
    whole("(none)", report["float"]);
    for (const Json& entry : report["layers"]) {
      rows.push_back({text(entry["node"]), text(entry["op_type"]), number(entry["loss"]),
                      number(entry["top1"]), text(entry["float_bytes"]),
                      text(entry["quantized_bytes"])});
    }
    whole("(all)", report["quantized"]);
    std::printf("\n%s", table(rows).c_str());
  }

  std::string model_;
  bool json_ = false;
  std::string manifest_;
  std::string loss_;
  std::vector<std::string> binds_;
  EvalOptions eval_options_{"test", 0, true, 256};
  int threads_ = 0;
  std::string html_;
  std::string metrics_;
};

}  // namespace

std::unique_ptr<Command> makeInspectCommand() { return std::make_unique<InspectCommand>(); }

}  // namespace simaqat
