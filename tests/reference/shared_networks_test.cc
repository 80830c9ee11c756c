// Networks of ../shared: a quantized step by the fast path against the reference's.
#include <filesystem>

#include "qat/base/random.h"
#include "qat/data/batch_loader.h"
#include "qat/ops/registry.h"
#include "qat/passes/open_batch.h"
#include "qat/passes/scaffold.h"
#include "qat/train/evaluate.h"
#include "qat/train/loss.h"
#include "tests/cases/cases.h"
#include "tests/catch.h"
#include "tests/reference/steps.h"
#include "tests/zoo/zoo.h"

namespace simaqat {
namespace {

namespace fs = std::filesystem;

// As given, and for further draws a little off.
Tensors drawn(Tensors inputs, uint64_t draw) {
  for (auto& [name, tensor] : inputs) {
    if (draw == 0 || tensor.type() != ElementType::kFloat) continue;
    const RandomStream random(draw, randomPurpose(name), 0);
    float* data = tensor.mutableData<float>();
    for (int64_t i = 0; i < tensor.size(); ++i) {
      data[i] *= 1 + 0.01f * random.normal(static_cast<uint64_t>(i));
    }
  }
  return inputs;
}

// A step with exact arithmetic, as far as the network has no other, and one as `train` takes it.
void checkSteps(const Graph& source, const Loss& loss, const std::vector<std::string>& fields,
                const Tensors& inputs, ThreadPool& pool) {
  constexpr uint64_t kDraws = 3;
  Graph model = source.clone();
  scaffold(model, {});
  for (const StepKind kind : {StepKind::kTraining, StepKind::kFrozen}) {
    const bool is_exact = kind == StepKind::kFrozen;
    if (is_exact) {
      calibrateOn(model, inputs, pool);
      makeDyadic(model);
    }
    const Graph step = joinLoss(model, loss.graph, bindLoss(loss.graph, model, fields, {}));
    Comparison found;
    uint64_t draw = 0;
    do {
      found = compareWithReference(step, kind, drawn(inputs, draw),
                                   is_exact ? Rounding::kOfLogits : Rounding::kOfAll, pool);
    } while (!found.agrees() && ++draw < kDraws);
    if (!found.isFinite()) {
      WARN("the reference is not finite: " << found.toString());
      continue;
    }
    INFO((is_exact ? "exact: " : "") << found.toString());
    CHECK(found.agrees());
  }
}

Tensor firstRows(const Tensor& tensor, int64_t rows) {
  std::vector<int64_t> dims = tensor.dims();
  dims[0] = std::min(dims[0], rows);
  Tensor part(tensor.type(), dims);
  std::copy_n(tensor.rawData(), part.bytes(), part.mutableRawData());
  return part;
}

TEST_CASE("a quantized step of the zoo's networks") {
  if (zoo::sharedFolder().empty()) QAT_SKIP("../shared is not here");
  constexpr int64_t kBatch = 2;
  ThreadPool pool(2);
  for (const std::string& network : zoo::kNetworks) {
    INFO(network);
    const Graph model = loadModel(zoo::networkFolder(network) + "/model.onnx").graph;
    const std::vector<std::string> fields = {"input", "labels"};
    checkSteps(model, loadLoss("cross_entropy", model, fields), fields,
               {{"input", firstRows(zoo::batch(network, "input"), kBatch)},
                {"labels", firstRows(zoo::batch(network, "labels"), kBatch)}},
               pool);
  }
}

// The first samples, as many as the model fixes (0: a few).
Tensors firstBatch(const Manifest& manifest, const Graph& joined, int64_t fixed) {
  constexpr int64_t kBatch = 8;
  const auto data = Dataset::open(manifest, "train", fieldSpecs(joined.inputs));
  LoaderOptions options;
  options.batch_size = fixed > 0 ? fixed : std::min(kBatch, data->size());
  BatchLoader loader(data, options);
  const Batch* batch = loader.next();
  Tensors inputs;
  for (size_t i = 0; i < data->fieldCount(); ++i) inputs[data->fieldName(i)] = batch->fields[i];
  return inputs;
}

TEST_CASE("a quantized step of the cases' networks") {
  if (!cases::present()) QAT_SKIP("../shared is not here");
  ThreadPool pool(2);
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& folder : fs::directory_iterator(zoo::sharedFolder() + "/cases")) {
    if (!folder.is_directory()) continue;
    for (const auto& file : fs::directory_iterator(folder)) {
      const std::string stem = file.path().stem().string();
      if (file.path().extension() != ".onnx" || fs::path(stem).has_extension()) continue;
      all.emplace_back(folder.path().filename().string(), stem);
    }
  }
  std::sort(all.begin(), all.end());
  for (const auto& [folder, name] : all) {
    const cases::Case c(folder, name);
    INFO(c.model);
    Graph model(opRegistry());
    try {
      model = loadModel(c.model).graph;
    } catch (const Error& error) {
      WARN(error.what());  // what is not read is checked where it should be (tests/cases)
      continue;
    }
    const Manifest manifest = loadManifest(c.manifest);
    const std::vector<std::string> fields = fieldNames(manifest, "train");
    const bool is_loss =
        std::any_of(model.inputs.begin(), model.inputs.end(), [&](const Value* input) {
          return std::find(fields.begin(), fields.end(), input->name()) == fields.end();
        });
    if (is_loss) continue;
    const Loss loss = loadLoss(c.loss(), model, fields);
    const Graph joined = joinLoss(model, loss.graph, bindLoss(loss.graph, model, fields, {}));
    Tensors inputs;
    try {
      inputs = firstBatch(manifest, joined, fixedBatch(model));
    } catch (const Error& error) {
      WARN(error.what());  // data that is refused
      continue;
    }
    checkSteps(model, loss, fields, inputs, pool);
  }
}

}  // namespace
}  // namespace simaqat
