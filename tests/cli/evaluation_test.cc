// What a sample evaluates to does not depend on the samples beside it, at any stage; nor on whether
// the file fixes its batch.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "qat/base/random.h"
#include "qat/exec/executor.h"
#include "qat/train/model.h"
#include "qat/train/step_graph.h"
#include "tests/catch.h"
#include "tests/cli/run.h"
#include "tests/cli/samples.h"

using namespace simaqat;
using namespace simaqat::cli;
using Catch::Approx;
using Json = nlohmann::json;

namespace {

constexpr int64_t kSamples = 21;

std::vector<float> randomImages(int64_t elements) {
  const RandomStream stream(11, randomPurpose("images"), 0);
  std::vector<float> values;
  for (int64_t i = 0; i < elements; ++i) values.push_back(stream.normal(static_cast<uint64_t>(i)));
  return values;
}

// The model's first output for each of the samples, evaluated `batch` at a time in that order.
std::vector<std::vector<float>> outputsOf(const Model& model, int64_t batch,
                                          const std::vector<size_t>& order) {
  ThreadPool pool(2);
  Executor executor(buildInference(model.graph.clone(), Mode::kEvaluate, batch, {}), pool);
  const std::vector<int64_t> dims = executor.graph().inputs[0]->type.dims();
  const int64_t size = elementCount(dims) / batch;
  const std::vector<float> images = randomImages(kSamples * size);
  std::vector<std::vector<float>> outputs(kSamples);
  for (size_t begin = 0; begin < order.size(); begin += static_cast<size_t>(batch)) {
    Tensor input(ElementType::kFloat, dims);
    for (int64_t i = 0; i < batch; ++i) {
      const auto sample = static_cast<int64_t>(order[begin + static_cast<size_t>(i)]);
      std::copy_n(images.begin() + sample * size, size, input.mutableData<float>() + i * size);
    }
    executor.setInput(0, input);
    executor.compute(0);
    const std::vector<float> all = executor.outputTensor(0).toVector<float>();
    const auto count = static_cast<int64_t>(all.size()) / batch;
    for (int64_t i = 0; i < batch; ++i) {
      outputs[order[begin + static_cast<size_t>(i)]].assign(all.begin() + i * count,
                                                            all.begin() + (i + 1) * count);
    }
  }
  return outputs;
}

void checkBatchMates(const std::string& path) {
  INFO(path);
  const Model model = loadModel(path);
  std::vector<size_t> order(kSamples);
  std::iota(order.begin(), order.end(), size_t{0});
  const auto alone = outputsOf(model, 1, order);
  for (const int64_t batch : {int64_t{3}, int64_t{7}, kSamples}) {
    INFO(batch);
    CHECK((outputsOf(model, batch, order) == alone));
  }
  std::reverse(order.begin(), order.end());
  CHECK((outputsOf(model, 7, order) == alone));
  // Samples differ, or all this would say nothing.
  CHECK(std::adjacent_find(alone.begin(), alone.end(), std::not_equal_to<>()) != alone.end());
}

Json eval(const std::string& model, const Args& args = {}) {
  return Json::parse(runWell(Args{"eval", model, "--data", stages().manifest, "--loss",
                                  "cross_entropy", "--json"} +
                             args)
                         .out);
}

// The model of a file with its batch fixed.
std::string fixed(const std::string& path, int64_t batch) {
  onnx::ModelProto model = load(path);
  fixBatch(model, batch);
  return save(model, path + "-fixed-" + std::to_string(batch));
}

}  // namespace

TEST_CASE("a sample evaluates to the same bits whatever is beside it") {
  const Stages& s = stages();
  for (const std::string& path : {s.source, s.prepared, s.trained, s.finalized, s.exported}) {
    checkBatchMates(path);
  }
}

TEST_CASE("a sample evaluates to the same bits with the quickstart's network") {
  const std::string source = "testdata/fashion_cnn/model.onnx";
  const std::string manifest = writeFashion("fashion", 64);
  const std::string prepared = scratch("fashion/prepared.onnx");
  const std::string trained = scratch("fashion/trained.onnx");
  const std::string finalized = scratch("fashion/finalized.onnx");
  const std::string exported = scratch("fashion/exported.onnx");
  runWell({"prepare", source, "-o", prepared});
  runWell({"train", prepared, "--loss", "cross_entropy", "--data", manifest, "-o", trained,
           "--steps", "4", "--batch-size", "16"});
  runWell({"finalize", trained, "-o", finalized});
  runWell({"export", finalized, "-o", exported});
  for (const std::string& path : {source, prepared, trained, finalized, exported}) {
    checkBatchMates(path);
  }
}

TEST_CASE("evaluation does not depend on --batch-size") {
  const Stages& s = stages();
  for (const std::string& path : {s.source, s.prepared, s.trained, s.finalized, s.exported}) {
    INFO(path);
    const Json alone = eval(path, {"--batch-size", "1"});
    CHECK(alone["samples"] == 100);
    for (const char* size : {"7", "64", "100", "128"}) {
      INFO(size);
      const Json json = eval(path, {"--batch-size", size});
      CHECK(json["samples"] == 100);
      CHECK(json["top1"] == alone["top1"]);
      // The loss is a mean of means: its sum is rounded elsewhere.
      CHECK(json["loss"].get<double>() == Approx(alone["loss"].get<double>()).epsilon(1e-6));
    }
  }
}

TEST_CASE("a fixed batch is filled up, and what was filled does not count") {
  const Stages& s = stages();
  for (const std::string& path : {s.source, s.prepared, s.trained, s.finalized, s.exported}) {
    INFO(path);
    // 100 is 3 x 32 and 4, 6 x 16 and 4, 0 x 128 and 100.
    for (const char* batch : {"32", "16", "128"}) {
      INFO(batch);
      const Json json = eval(fixed(path, std::stoll(batch)));
      const Json free = eval(path, {"--batch-size", batch});
      CHECK(json == free);
    }
  }
}

TEST_CASE("a batch that the file alone fixes is open to any other") {
  const Stages& s = stages();
  onnx::ModelProto model = load(fixed(s.source, 1));
  // As x.view(x.size(0), -1) is exported: the Reshape is to a computed shape.
  onnx::GraphProto nodes;
  nodes.mutable_node()->Swap(model.mutable_graph()->mutable_node());
  for (onnx::NodeProto& node : *nodes.mutable_node()) {
    if (node.op_type() == "Flatten") {
      addNode(model, "Shape", {node.input(0)}, {"sizes"});
      addNode(model, "Gather", {"sizes", "first"}, {"batch"});
      onnx::AttributeProto* axis =
          addNode(model, "Concat", {"batch", "rest"}, {"to"})->add_attribute();
      axis->set_name("axis");
      axis->set_type(onnx::AttributeProto::INT);
      axis->set_i(0);
      node.set_op_type("Reshape");
      node.add_input("to");
    }
    *model.mutable_graph()->add_node() = node;
  }
  for (const auto& [name, number] : {std::pair("first", 0), std::pair("rest", -1)}) {
    onnx::TensorProto* list = model.mutable_graph()->add_initializer();
    list->set_name(name);
    list->set_data_type(onnx::TensorProto::INT64);
    list->add_dims(1);
    list->add_int64_data(number);
  }
  const std::string source = save(model, scratch("opened/source.onnx"));
  const std::string prepared = scratch("opened/prepared.onnx");
  const std::string trained = scratch("opened/trained.onnx");
  runWell({"prepare", source, "-o", prepared});
  const Result result =
      runWell({"train", prepared, "--loss", "cross_entropy", "--data", s.manifest, "-o", trained,
               "--epochs", "6", "--batch-size", "16", "--lr", "0.05"});
  CHECK_THAT(result.err, Catch::Matchers::ContainsSubstring("exported with a batch of 1"));
  const auto weights = weightsOf(trained);
  for (const auto& [name, bytes] : weightsOf(s.trained)) {
    INFO(name);
    CHECK((weights.count(name) == 1 && weights.at(name) == bytes));
  }
  CHECK(load(trained).graph().input(0).type().tensor_type().shape().dim(0).dim_value() == 1);
  CHECK(eval(trained, {"--batch-size", "16"}) == eval(s.trained, {"--batch-size", "16"}));
}

TEST_CASE("a fixed batch goes through all stages") {
  const Stages& s = stages();
  const std::string source = fixed(s.source, 16);
  const std::string prepared = scratch("fixed/prepared.onnx");
  const std::string trained = scratch("fixed/trained.onnx");
  const std::string finalized = scratch("fixed/finalized.onnx");
  const std::string exported = scratch("fixed/exported.onnx");
  runWell({"prepare", source, "-o", prepared});
  runWell({"train", prepared, "--loss", "cross_entropy", "--data", s.manifest, "-o", trained,
           "--epochs", "6", "--batch-size", "16", "--lr", "0.05"});
  runWell({"finalize", trained, "-o", finalized});
  runWell({"export", finalized, "-o", exported});
  // The batch is part of the types alone.
  CHECK((weightsOf(trained) == weightsOf(s.trained)));
  CHECK((weightsOf(exported) == weightsOf(s.exported)));
  CHECK(eval(exported) == eval(s.exported, {"--batch-size", "16"}));
  CHECK(load(exported).graph().input(0).type().tensor_type().shape().dim(0).dim_value() == 16);
}

TEST_CASE("finalized and exported files evaluate as the trained one") {
  const Stages& s = stages();
  const Json trained = eval(s.trained);
  CHECK(trained["top1"].get<double>() > 0.9);
  for (const std::string& path : {s.finalized, s.exported}) {
    const Json json = eval(path);
    CHECK(json["top1"] == trained["top1"]);
    // A code may fall to the other side of a tie.
    CHECK(json["loss"].get<double>() == Approx(trained["loss"].get<double>()).epsilon(1e-3));
  }
  CHECK(eval(s.exported) == eval(s.finalized));
}
