// ../shared/cases: files of today's exporters, and what is exported from them.
#include <cmath>
#include <set>

#include "qat/data/array_reader.h"
#include "qat/exec/executor.h"
#include "qat/train/model.h"
#include "qat/train/step_graph.h"
#include "tests/cases/cases.h"
#include "tests/catch.h"
#include "tests/cli/samples.h"

namespace simaqat::cases {
namespace {

using Catch::Matchers::ContainsSubstring;
using cli::operator+;

void exportFloat(const std::string& model, const std::string& to) {
  cli::runWell({"export", "--float", model, "-o", to});
}

// The graph outputs of a file on the case's inputs, in order.
std::vector<Tensor> outputsOf(const std::string& path, const Tensor& x) {
  ThreadPool pool(1);
  Graph graph = loadModel(path).graph;
  REQUIRE(graph.inputs.size() == 1);
  std::vector<int64_t> dims = x.dims();
  dims.erase(dims.begin());
  const std::string name = graph.inputs[0]->name();
  const size_t count = graph.outputs.size();
  Executor executor(buildInference(std::move(graph), Mode::kEvaluate, x.dims()[0], {{name, dims}}),
                    pool);
  executor.setInput(0, x);
  executor.compute(0);
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < count; ++i) outputs.push_back(executor.outputTensor(i));
  return outputs;
}

void checkOutput(const std::string& path, const Case& c, const std::string& input,
                 const std::vector<std::string>& keys) {
  INFO(path);
  const std::vector<Tensor> outputs = outputsOf(path, readArray(c.folder + "/" + input));
  REQUIRE(outputs.size() == keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::vector<double> got = outputs[i].toVector<double>();
    const std::vector<double> expected = c.value(keys[i]).toVector<double>();
    REQUIRE(got.size() == expected.size());
    for (size_t k = 0; k < got.size(); ++k) {
      CHECK(got[k] == Catch::Approx(expected[k]).epsilon(1e-4).margin(1e-5));
    }
  }
}

size_t randomNodes(const std::string& path) {
  const Graph graph = graphOf(path);
  return static_cast<size_t>(
      std::count_if(graph.nodes().begin(), graph.nodes().end(),
                    [](const auto& node) { return node->opType().rfind("Random", 0) == 0; }));
}

TEST_CASE("biases and bounds by CastLike are constants") {
  if (!present()) QAT_SKIP("../shared is not here");
  for (const char* name : {"raw", "optimized"}) {
    const Case c("castlike_bias", name);
    checkStep(c);
    const Flow flow = checkFlow(c);
    checkInteger(flow.exported);
  }
}

TEST_CASE("dropped paths and in-place dropout draw in training alone") {
  if (!present()) QAT_SKIP("../shared is not here");
  for (const char* folder : {"droppath_dynamo", "dropout_inplace"}) {
    for (const char* name : {"raw", "optimized"}) {
      const Case c(folder, name);
      INFO(c.model);
      CHECK(evalLoss(c.model, "cross_entropy", c.manifest) ==
            Catch::Approx(c.number("eval_loss")).epsilon(1e-4));
      exportFloat(c.model, c.out("fl.onnx"));
      CHECK(randomNodes(c.out("fl.onnx")) == 0);
      checkOutput(c.out("fl.onnx"), c, "input.npy", {"logits"});
      runFlow(c);
      cli::runWell({"train", c.model, "-o", c.out("o.onnx"), "--loss", "cross_entropy", "--data",
                    c.manifest, "--steps", "4", "--batch-size", "6", "--lr", "0", "--metrics",
                    c.out("m.json")});
      const std::vector<double> losses = metric(c.out("m.json"), "loss");
      REQUIRE(losses.size() == 4);
      CHECK(std::set<double>(losses.begin(), losses.end()).size() > 1);
      if (std::string(folder) == "dropout_inplace") continue;
      const std::vector<double> possible = c.value("losses").toVector<double>();
      for (const double loss : losses) {
        CHECK(std::any_of(possible.begin(), possible.end(), [&](double one) {
          return std::fabs(loss - one) <= 1e-5 * std::fabs(one);
        }));
      }
    }
  }
}

TEST_CASE("the default opset is the least one that attributes need") {
  if (!present()) QAT_SKIP("../shared is not here");
  for (const char* name : {"allowzero", "shape_range"}) {
    const Case c("export_opset", name);
    const Flow flow = runFlow(c);
    exportFloat(flow.prepared, c.out("fl.onnx"));
    checkOutput(c.out("fl.onnx"), c, "x.npy", {"o"});
  }
}

TEST_CASE("an output that is the input, and an input without a shape, are exported") {
  if (!present()) QAT_SKIP("../shared is not here");
  const Case through("passthrough");
  exportFloat(runFlow(through).prepared, through.out("fl.onnx"));
  checkOutput(through.out("fl.onnx"), through, "x.npy", {"y", "x_out"});
  const Case open("no_shape");
  exportFloat(runFlow(open).prepared, open.out("fl.onnx"));
  checkOutput(open.out("fl.onnx"), open, "x.npy", {"o"});
}

TEST_CASE("files are written at the opset that their attributes and inputs need") {
  if (!present()) QAT_SKIP("../shared is not here");
  for (const char* name : {"padaxes18", "antialias"}) {
    const Case c("opset_needed", name);
    FlowOptions options;
    options.loss = c.folder + "/" + name + ".loss.onnx";
    runFlow(c, options);
  }
  runFlow(Case("opset_needed", "scatter"));
}

TEST_CASE("Softmax of opset 11 is that over all axes from its own on") {
  if (!present()) QAT_SKIP("../shared is not here");
  const Case c("softmax11");
  const Flow flow = runFlow(c);
  for (const std::string& model : {c.model, flow.prepared}) {
    exportFloat(model, c.out("fl.onnx"));
    checkOutput(c.out("fl.onnx"), c, "x.npy", {"y"});
  }
}

TEST_CASE("inputs and outputs of 16 bits keep their type") {
  if (!present()) QAT_SKIP("../shared is not here");
  const Case c("float16_io");
  const Flow flow = runFlow(c);
  CHECK_THAT(flow.err, ContainsSubstring("x (float16)") && ContainsSubstring("float32"));
  const auto typesOf = [](const std::string& path) {
    const onnx::ModelProto model = cli::load(path);
    return std::pair(model.graph().input(0).type().tensor_type().elem_type(),
                     model.graph().output(0).type().tensor_type().elem_type());
  };
  const std::pair<int, int> half{onnx::TensorProto::FLOAT16, onnx::TensorProto::FLOAT16};
  const std::pair<int, int> whole{onnx::TensorProto::FLOAT, onnx::TensorProto::FLOAT};
  CHECK(typesOf(flow.exported) == half);
  exportFloat(flow.prepared, c.out("fl.onnx"));
  CHECK(typesOf(c.out("fl.onnx")) == half);
  cli::runWell({"export", flow.finalized, "-o", c.out("q32.onnx"), "--float32-io"});
  CHECK(typesOf(c.out("q32.onnx")) == whole);
  CHECK(evalLoss(c.out("q32.onnx"), "mse", c.manifest) == flow.loss);
}

TEST_CASE("open heights and widths are no obstacle") {
  if (!present()) QAT_SKIP("../shared is not here");
  const Case c("open_image");
  FlowOptions options;
  options.batch = 1;
  const Flow flow = runFlow(c, options);
  CHECK_THAT(flow.table, ContainsSubstring("no memory is planned"));
  const cli::Result planned =
      cli::runWell({"prepare", c.model, "-o", c.out("p2.onnx"), "--input-shape", "x:3x9x11"});
  CHECK_THAT(planned.out, ContainsSubstring("a training step at batch 1"));
}

}  // namespace
}  // namespace simaqat::cases
