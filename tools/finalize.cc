#include "qat/passes/finalize.h"

#include "qat/base/log.h"
#include "qat/onnx/export.h"
#include "qat/onnx/opset.h"
#include "qat/passes/concat_ranges.h"
#include "qat/passes/foretold.h"
#include "tools/command.h"

namespace simaqat {
namespace {

class FinalizeCommand : public Command {
 public:
  const char* name() const override { return "finalize"; }
  const char* summary() const override {
    return "fold BatchNormalization and turn fake quantization into integer codes";
  }
  const char* footer() const override {
    return "Example:\n  simaqat finalize trained.onnx -o final.onnx";
  }
  void declare(OptionSet& set) override {
    set.add("MODEL", model_, "A trained or calibrated model").required();
    set.add("-o,--output", output_, "The finalized model to write").required();
  }

  int run() override {
    Model model = loadModel(model_);
    printWarnings(model);
    if (model.stage != Stage::kPrepared && model.stage != Stage::kTrained) {
      throw inputError(
          "{}: is {}; finalize takes a trained model (prepare comes first, then train or calibrate)",
          model_, stageName(model.stage));
    }
    for (const std::string& line : concatsOfUnequalRanges(model.graph)) {
      logWarning("{}: {}", model_, line);
    }
    try {
      finalize(model.graph);
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}: {}", model_, error.what()));
    }
    for (const std::string& node : foretoldButFloat(model.graph)) {
      logWarning("{}: {} stays float, though `prepare` foretold an integer kernel", model_, node);
    }
    setStage(model.graph, Stage::kFinalized);
    model.graph.metadata.erase(kTrainableKey);
    model.graph.metadata.erase(kForetoldKey);
    exportModel(model.graph, output_, {leastOpset(model.graph, kOwnOpset)});
    return 0;
  }

 private:
  std::string model_;
  std::string output_;
};

}  // namespace

std::unique_ptr<Command> makeFinalizeCommand() { return std::make_unique<FinalizeCommand>(); }

}  // namespace simaqat
