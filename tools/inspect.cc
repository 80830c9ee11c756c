#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "qat/base/log.h"
#include "qat/ir/fake_quantize.h"
#include "qat/ir/op.h"
#include "qat/passes/sizes.h"
#include "tools/command.h"

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

class InspectCommand : public Command {
 public:
  const char* name() const override { return "inspect"; }
  const char* summary() const override { return "tell what a model of any stage holds"; }
  const char* footer() const override {
    return "Examples:\n  simaqat inspect trained.onnx\n  simaqat inspect model_qdq.onnx --json";
  }
  void declare(CLI::App& app) override {
    app.add_option("MODEL", model_, "A model of any stage")->required();
    app.add_flag("--json", json_, "One JSON object on standard output");
  }

  int run() override {
    const Model model = loadModel(model_);
    const Json json = describe(model);
    if (json_) {
      std::printf("%s\n", json.dump().c_str());
    } else {
      print(json);
    }
    return 0;
  }

 private:
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
  }

  std::string model_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> makeInspectCommand() { return std::make_unique<InspectCommand>(); }

}  // namespace simaqat
