#include <fmt/format.h>

#include <cstdio>

#include "qat/base/file.h"
#include "qat/base/log.h"
#include "qat/passes/simplify.h"
#include "qat/train/evaluate.h"
#include "qat/train/metrics.h"
#include "qat/train/teacher.h"
#include "tools/command.h"

namespace simaqat {
namespace {

class EvalCommand : public Command {
 public:
  const char* name() const override { return "eval"; }
  const char* summary() const override { return "evaluate a model of any stage on data"; }
  const char* footer() const override {
    return "Examples:\n"
           "  simaqat eval model_qdq.onnx --data data.json\n"
           "  simaqat eval trained.onnx --data data.json --loss cross_entropy --json";
  }
  void declare(OptionSet& set) override {
    set.add("MODEL", model_, "A model of any stage").required();
    set.add("--data", manifest_, "The data manifest (JSON)").required();
    set.add("--split", options_.split, "The split").showDefault();
    set.add("--loss", loss_, "A loss graph (ONNX), or cross_entropy, or mse");
    set.add("--teacher", teacher_, "An FP32 model, whose outputs the loss sees as teacher/NAME");
    set.add("--bind", binds_, "LOSS_INPUT=SOURCE: where an input of the loss comes from");
    set.add("--metric", metric_, "top1 or none; default top1 where there are classes")
        .oneOf({"top1", "none"});
    set.add("--classes", classes_, "Write the class that each sample was taken for, one a line");
    set.count("--batch-size", options_.batch_size, "Default 64, or the model's own", 1);
    set.threads(threads_);
    set.reference(options_.execution);
    set.flag("--json", json_, "One JSON object on standard output");
  }

  int run() override {
    Model model = loadModel(model_);
    for (const std::string& warning : model.warnings) logDebug("{}", warning);
    warnOfRandomDraws(model.graph);
    const Manifest manifest = loadManifest(manifest_);
    options_.top1 = metric_ != "none";
    ThreadPool pool(threads_ > 0 ? threads_ : availableProcessors());
    std::optional<Loss> loss;
    if (!loss_.empty()) {
      loss = loadLoss(loss_, model.graph, fieldNames(manifest, options_.split));
    }
    if (!teacher_.empty()) addTeacher(model.graph, loadTeacher(teacher_));
    Evaluator evaluator(model.graph, loss ? &*loss : nullptr, binds_, manifest, options_, pool);
    const EvalResult result = evaluator.run(model.graph);
    if ((metric_ == "top1" || !classes_.empty()) && !result.top1) {
      throw inputError("{}: top1 needs an output of [N, classes] and a class for each sample",
                       model_);
    }
    if (!classes_.empty()) {
      writeFileAtomically(classes_, fmt::format("{}\n", fmt::join(result.classes, "\n")));
    }
    if (json_) {
      std::printf("%s\n", toJson(result).c_str());
      return 0;
    }
    std::printf("%s: %lld samples\n", result.split.c_str(), static_cast<long long>(result.samples));
    for (const auto& [name, value] : result.losses) std::printf("%s %.6f\n", name.c_str(), value);
    if (result.top1) std::printf("top1 %.4f\n", *result.top1);
    return 0;
  }

 private:
  void warnOfRandomDraws(const Graph& graph) const {
    Graph evaluated = graph.clone();
    specialize(evaluated, {Mode::kEvaluate});
    for (const Node* node : randomDraws(evaluated)) {
      logWarning("{}: {} draws random numbers that an output depends on", model_, node->describe());
    }
  }

  std::string model_;
  std::string manifest_;
  std::string loss_;
  std::string teacher_;
  std::vector<std::string> binds_;
  std::string metric_;
  std::string classes_;
  EvalOptions options_{"test", 0, true};
  int threads_ = 0;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> makeEvalCommand() { return std::make_unique<EvalCommand>(); }

}  // namespace simaqat
