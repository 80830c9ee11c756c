#include "qat/onnx/export.h"

#include <algorithm>
#include <set>

#include "qat/base/log.h"
#include "qat/onnx/check.h"
#include "qat/onnx/opset.h"
#include "qat/passes/float_form.h"
#include "qat/passes/simplify.h"
#include "tools/command.h"

namespace simaqat {
namespace {

class ExportCommand : public Command {
 public:
  const char* name() const override { return "export"; }
  const char* summary() const override { return "write a standard QDQ ONNX file"; }
  const char* footer() const override {
    return "Examples:\n"
           "  simaqat export final.onnx -o model_qdq.onnx\n"
           "  simaqat export final.onnx -o model_qdq.onnx --opset 17 --input-names image\n"
           "  simaqat export trained.onnx -o model_fp32.onnx --float";
  }
  void declare(OptionSet& set) override {
    set.add("MODEL", model_, "A finalized model; with --float one of any stage before").required();
    set.add("-o,--output", output_, "The file to write").required();
    set.add("--opset", opset_, "13 to 21; default 13, or the least the model needs")
        .between(kLeastExportOpset, kMostExportOpset);
    set.add("--input-names", input_names_, "Rename the inputs, by position").commaSeparated();
    set.add("--output-names", output_names_, "Rename the outputs, by position").commaSeparated();
    set.flag("--float32-io", float32_io_,
             "Inputs and outputs are float32 where the source's are float16, bfloat16 or double");
    set.flag("--float", float_, "The FP32 evaluation form, without quantization");
  }

  int run() override {
    Model model = loadModel(model_);
    printWarnings(model);
    Graph& graph = model.graph;
    if (float_) {
      makeFloat(model);
    } else if (model.stage != Stage::kFinalized && model.stage != Stage::kExported) {
      throw inputError("{}: is {}; finalize it first, or export it with --float", model_,
                       stageName(model.stage));
    }
    renameInputs(graph);
    renameOutputs(graph);
    if (float32_io_) dropMetadata(graph, isBorderType);
    setStage(graph, Stage::kExported);
    const NeededOpset needed = neededOpset(graph, kLeastExportOpset);
    requireWritable(needed, opset_ != 0 ? opset_ : kMostExportOpset);
    const int opset = opset_ != 0 ? opset_ : needed.opset;
    checkStandardModel(graph, opset);
    exportModel(graph, output_, {opset, !float32_io_});
    return 0;
  }

 private:
  void makeFloat(Model& model) const {
    if (model.stage == Stage::kFinalized || model.stage == Stage::kExported) {
      throw inputError("{}: is {}: its FP32 weights are gone; --float takes a stage before", model_,
                       stageName(model.stage));
    }
    Graph& graph = model.graph;
    floatForm(graph);
    for (const Node* node : randomDraws(graph)) {
      logWarning("{}: {} draws random numbers that an output depends on, and is kept", model_,
                 node->describe());
    }
    dropMetadata(graph, [](const std::string& key) { return !isBorderType(key); });
  }

  void renameInputs(Graph& graph) const {
    if (input_names_.empty()) return;
    expectCount("--input-names", input_names_, graph.inputs.size());
    std::vector<std::string> before;
    for (size_t i = 0; i < input_names_.size(); ++i) {
      before.push_back(graph.inputs[i]->name());
      rename(graph, graph.inputs[i], input_names_[i]);
    }
    renameBorderTypes(graph, kInputTypeKey, before, input_names_);
  }

  void renameOutputs(Graph& graph) const {
    if (output_names_.empty()) return;
    expectCount("--output-names", output_names_, graph.outputs.size());
    std::vector<std::string> before;
    for (size_t i = 0; i < output_names_.size(); ++i) {
      before.push_back(graph.outputs[i].name);
      if (graph.outputs[i].value->producer() != nullptr) {
        rename(graph, graph.outputs[i].value, output_names_[i]);
      }
      graph.outputs[i].name = output_names_[i];
    }
    renameBorderTypes(graph, kOutputTypeKey, before, output_names_);
  }

  static void renameBorderTypes(Graph& graph, const std::string& key,
                                const std::vector<std::string>& before,
                                const std::vector<std::string>& after) {
    Metadata renamed;
    for (size_t i = 0; i < before.size(); ++i) {
      const auto type = graph.metadata.extract(key + before[i]);
      if (!type.empty()) renamed[key + after[i]] = type.mapped();
    }
    graph.metadata.merge(renamed);
  }

  static bool isBorderType(const std::string& key) {
    return key.rfind(kInputTypeKey, 0) == 0 || key.rfind(kOutputTypeKey, 0) == 0;
  }

  static void dropMetadata(Graph& graph, bool (*goes)(const std::string& key)) {
    for (auto it = graph.metadata.begin(); it != graph.metadata.end();) {
      it = goes(it->first) ? graph.metadata.erase(it) : std::next(it);
    }
  }

  // A value inside the graph makes room.
  static void rename(Graph& graph, Value* value, const std::string& name) {
    Value* other = graph.findValue(name);
    if (other == value) return;
    if (other != nullptr) graph.rename(other, name + "/inner");
    graph.rename(value, name);
  }

  static void expectCount(const char* option, const std::vector<std::string>& names, size_t count) {
    if (names.size() != count) {
      throw usageError("{}: expected {} names, got {}", option, count, names.size());
    }
    if (std::set<std::string>(names.begin(), names.end()).size() != names.size()) {
      throw usageError("{}: a name is given twice", option);
    }
    if (std::count(names.begin(), names.end(), "") > 0) {
      throw usageError("{}: a name is empty", option);
    }
  }

  std::string model_;
  std::string output_;
  int opset_ = 0;
  std::vector<std::string> input_names_;
  std::vector<std::string> output_names_;
  bool float_ = false;
  bool float32_io_ = false;
};

}  // namespace

std::unique_ptr<Command> makeExportCommand() { return std::make_unique<ExportCommand>(); }

}  // namespace simaqat
