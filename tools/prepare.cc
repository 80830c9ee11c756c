#include <algorithm>
#include <cmath>
#include <cstdio>

#include "qat/base/file.h"
#include "qat/base/hash.h"
#include "qat/base/log.h"
#include "qat/base/text.h"
#include "qat/exec/executor.h"
#include "qat/onnx/export.h"
#include "qat/onnx/opset.h"
#include "qat/passes/canonicalize.h"
#include "qat/passes/equalize.h"
#include "qat/passes/foretold.h"
#include "qat/passes/onnxruntime_kernels.h"
#include "qat/passes/refresh_quantizers.h"
#include "qat/passes/scaffold.h"
#include "qat/passes/simplify.h"
#include "qat/train/evaluate.h"
#include "qat/train/exportable.h"
#include "qat/train/parameters.h"
#include "qat/train/step_graph.h"
#include "tools/check.h"
#include "tools/command.h"
#include "tools/input_shapes.h"
#include "tools/recipe.h"
#include "tools/width_search.h"

namespace simaqat {
namespace {

class PrepareCommand : public Command {
 public:
  const char* name() const override { return "prepare"; }
  const char* summary() const override {
    return "insert fake quantization and observers into an FP32 training graph";
  }
  const char* footer() const override {
    return "Examples:\n"
           "  simaqat prepare model.onnx -o prepared.onnx\n"
           "  simaqat prepare googlenet.onnx -o prepared.onnx --outputs logits --batch-size 64\n"
           "  simaqat prepare model.onnx --check --data data.json\n"
           "  simaqat prepare model.onnx -o prepared.onnx --recipe recipe.json\n"
           "  simaqat prepare model.onnx -o prepared.onnx --data data.json --size-budget 200000 "
           "\\\n"
           "      --write-recipe widths.json\n"
           "  simaqat prepare model.onnx -o prepared.onnx --data data.json \\\n"
           "      --size-budget 200000 --activation-budget 60000\n\n"
           "A recipe: {\"overrides\": [{\"node\": \"/head/*\", \"quantize\": false}]}";
  }
  void declare(OptionSet& set) override {
    set.add("MODEL", model_, "The FP32 training graph (ONNX)").required();
    set.add("-o,--output", output_, "The prepared model to write");
    Option check = set.flag("--check", check_,
                            "Write nothing: run the model once, forward and backward, on --data or "
                            "on noise, and report what would fail or deserves a look");
    set.flag("--json", json_, "The report of --check as one JSON object").needs(check);
    set.add("--recipe", recipe_, "What to quantize and how (JSON)");
    set.add("--outputs", outputs_, "Keep these outputs only").commaSeparated();
    set.count("--batch-size", batch_size_, "Print the planned memory of a step at this size", 1);
    set.add("--input-shape", shapes_,
            "NAME:3x224x224: for that memory, an input's shape without the batch");
    set.add("--bn", batch_norm_, "Which BatchNormalizations train: auto, train, frozen")
        .showDefault();
    set.add("--train", train_, "Train these weights (name patterns or kinds)").commaSeparated();
    set.add("--freeze", freeze_, "Do not train these").commaSeparated();
    set.flag("--equalize", equalize_,
             "Cross-layer equalization: give neighbouring layers' weights the same ranges");
    widths_.declare(set);
  }

  int run() override {
    if (output_.empty() && !check_) throw usageError("--output is required (or --check)");
    Model model = loadModel(model_, parseBatchNormPolicy(batch_norm_), train_);
    if (model.stage != Stage::kSource) {
      throw inputError("{}: is {} already; prepare takes an FP32 training graph", model_,
                       stageName(model.stage));
    }
    printWarnings(model);
    Graph& graph = model.graph;
    if (check_) return check(model);
    const auto shapes = parseInputShapes(shapes_, graph);
    warnOfFusedBatchNorm(graph);
    warnOfNonFinite(graph);
    for (const std::string& warning : warningsOfMerged(graph)) logWarning("{}", warning);
    std::string recipe_hash;
    ScaffoldOptions options =
        recipe_.empty() ? ScaffoldOptions{} : loadRecipe(recipe_, &recipe_hash);
    std::vector<PlacementEntry> placement;
    try {
      if (!outputs_.empty()) selectOutputs(graph, outputs_);
      requireDeterminedEvaluation(graph);
      keepReached(graph);
      selectTrainable(graph, train_, freeze_, model.constants);
      if (equalize_) {
        logInfo("{} pairs of layers equalized", equalizeLayers(graph));
      }
      if (widths_.isWanted()) {
        const std::string recipe = recipe_.empty() ? "" : readFile(recipe_);
        const std::string chosen = widths_.run(graph, recipe, options);
        if (!chosen.empty()) recipe_hash = hashHex(chosen);
      }
      requireExportable(graph);
      placement = scaffold(graph, options);
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}: {}", model_, error.what()));
    }
    refreshQuantizers(graph);
    storeTrainable(graph);
    storeForetold(graph, placement);
    setStage(graph, Stage::kPrepared);
    graph.metadata[kSourceHashKey] = model.hash;
    if (!recipe_hash.empty()) graph.metadata[kRecipeHashKey] = recipe_hash;
    printTrainable(graph, model.constants);
    printPlacement(graph, placement);
    printMemory(graph, shapes);
    exportModel(graph, output_, {leastOpset(graph, kOwnOpset)});
    return 0;
  }

 private:
  int check(Model& model) {
    try {
      if (!outputs_.empty()) selectOutputs(model.graph, outputs_);
      selectTrainable(model.graph, train_, freeze_, model.constants);
      return runCheck(model, {widths_.manifest(), widths_.split(), batch_size_, json_});
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}: {}", model_, error.what()));
    }
  }

  static void warnOfNonFinite(const Graph& graph) {
    for (const auto& variable : graph.variables()) {
      if (!isFloatingPoint(variable->value.type())) continue;
      const std::vector<double> values = variable->value.toVector<double>();
      const auto found = std::find_if_not(values.begin(), values.end(),
                                          [](double value) { return std::isfinite(value); });
      if (found == values.end()) continue;
      logWarning("'{}': element {} of {} is {}{}", variable->name, found - values.begin(),
                 values.size(), *found,
                 variable->role == VariableRole::kBatchNormStatistic
                     ? "; train --reestimate-bn estimates statistics anew"
                     : "");
    }
  }

  static void warnOfFusedBatchNorm(const Graph& graph) {
    const auto count = [&](const char* op) {
      return std::count_if(graph.nodes().begin(), graph.nodes().end(),
                           [&](const auto& node) { return node->op().qualifiedName() == op; });
    };
    const bool normalizes = count("BatchNormalization") + count("LayerNormalization") > 0;
    if (count("Conv") > 0 && !normalizes) {
      logWarning(
          "the graph has convolutions and no BatchNormalization: if the exporter fused it away, "
          "export with TrainingMode.TRAINING to train with it");
    }
  }

  static void printTrainable(const Graph& graph,
                             const std::vector<ConstantInitializer>& constants) {
    std::printf("%s\n%lld trained elements\n\n", table(parameterTable(graph, constants)).c_str(),
                static_cast<long long>(trainedElements(graph)));
  }

  static void printPlacement(const Graph& graph, const std::vector<PlacementEntry>& placement) {
    std::vector<std::vector<std::string>> rows = {
        {"NODE", "OPERATOR", "OUTPUT", "WEIGHT", "ONNX RUNTIME"}};
    for (const PlacementEntry& entry : placement) {
      rows.push_back({entry.node, entry.op_type,
                      entry.output.empty() ? "- " + entry.reason : entry.output, entry.weight,
                      entry.kernel});
    }
    std::printf("%s", table(rows).c_str());
    warnOfRefusal(graph);
    if (hasSignedActivations(graph)) {
      std::printf(
          "\nNo kernels are foretold: ONNX Runtime rewrites signed activations as unsigned "
          "ones where it can.\n");
    }
  }

  static void warnOfRefusal(const Graph& graph) {
    std::vector<std::string> nodes;
    for (const Node* node : refusedNodes(graph)) nodes.push_back(node->describe());
    if (nodes.empty()) return;
    logWarning(
        "ONNX Runtime will refuse the exported file with its optimizations on, for want of a kernel "
        "for 4-bit activations: {} (8 bits at the input or the output of a Conv, and at a MaxPool's, "
        "or 4-bit weights of the Conv, avoid it)",
        joined(nodes));
  }

  void printMemory(const Graph& graph,
                   const std::map<std::string, std::vector<int64_t>>& shapes) const {
    const int64_t batch = batch_size_ > 0 ? batch_size_ : fixedBatch(graph);
    if (batch == 0) return;
    if (const Value* open = openInput(graph, shapes)) {
      std::printf("\ninput '%s' is %s: no memory is planned (--input-shape %s:...)\n",
                  open->name().c_str(), typeToString(open->type).c_str(), open->name().c_str());
      return;
    }
    Graph step = buildTrainingStep(sumOfOutputs(graph), {Mode::kTrain}, {}, batch, shapes);
    const StepMemory memory = fitMemory(step, 0, availableProcessors());
    std::printf("\na training step at batch %lld: %s\n", static_cast<long long>(batch),
                memory.toString().c_str());
  }

  // An input whose samples have no known shape, or null.
  static const Value* openInput(const Graph& graph,
                                const std::map<std::string, std::vector<int64_t>>& shapes) {
    for (const Value* input : graph.inputs) {
      const auto& shape = input->type.shape;
      const bool is_known =
          shape && (shape->empty() || std::all_of(shape->begin() + 1, shape->end(),
                                                  [](const Dim& dim) { return dim.known(); }));
      if (!is_known && shapes.count(input->name()) == 0) return input;
    }
    return nullptr;
  }

  std::string model_;
  std::string output_;
  std::string recipe_;
  std::vector<std::string> outputs_;
  int64_t batch_size_ = 0;
  std::vector<std::string> shapes_;
  std::string batch_norm_ = "auto";
  std::vector<std::string> train_;
  std::vector<std::string> freeze_;
  bool equalize_ = false;
  bool check_ = false;
  bool json_ = false;
  WidthSearch widths_;
};

}  // namespace

std::unique_ptr<Command> makePrepareCommand() { return std::make_unique<PrepareCommand>(); }

}  // namespace simaqat
