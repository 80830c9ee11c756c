#include "qat/train/predict.h"

#include "qat/base/log.h"
#include "tools/command.h"

namespace simaqat {
namespace {

class PredictCommand : public Command {
 public:
  const char* name() const override { return "predict"; }
  const char* summary() const override {
    return "write what a model of any stage computes of data";
  }
  const char* footer() const override {
    return "The outputs, and the inner values that --values names, of all samples in order.\n\n"
           "Examples:\n"
           "  simaqat predict model_qdq.onnx --data data.json -o outputs.npz\n"
           "  simaqat predict trained.onnx --data data.json --split train -o folder/\n"
           "  simaqat predict trained.onnx --data data.json -o values.npz --values relu_1,conv_2";
  }
  void declare(OptionSet& set) override {
    set.add("MODEL", model_, "A model of any stage").required();
    set.add("--data", manifest_, "The data manifest (JSON)").required();
    set.add("-o,--output", options_.output, "A .npz file, or FOLDER/ for .npy files").required();
    set.add("--split", options_.split, "The split").showDefault();
    set.add("--values", options_.values, "Inner values to write as well").commaSeparated();
    set.count("--batch-size", options_.batch_size, "Default 64, or the model's own", 1);
    set.reference(options_.execution);
    set.threads(threads_);
  }

  int run() override {
    const Model model = loadModel(model_);
    for (const std::string& warning : model.warnings) logDebug("{}", warning);
    ThreadPool pool(threads_ > 0 ? threads_ : availableProcessors());
    try {
      const int64_t samples = predict(model.graph, loadManifest(manifest_), options_, pool);
      logInfo("{}: {} samples", options_.output, samples);
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}: {}", model_, error.what()));
    }
    return 0;
  }

 private:
  std::string model_;
  std::string manifest_;
  PredictOptions options_;
  int threads_ = 0;
};

}  // namespace

std::unique_ptr<Command> makePredictCommand() { return std::make_unique<PredictCommand>(); }

}  // namespace simaqat
