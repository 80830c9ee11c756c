// ../shared/detection: YOLOv8n and its loss, against PyTorch in float64.
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "qat/data/array_reader.h"
#include "qat/data/npz.h"
#include "tests/cases/cases.h"
#include "tests/catch.h"
#include "tests/zoo/zoo.h"

namespace simaqat::cases {
namespace {

using cli::Args;
using cli::operator+;

constexpr double kRate = 64;

// One step; returns the losses and the gradient's norm.
nlohmann::json step(const std::string& model, const std::string& output, const Args& extra = {}) {
  const std::string folder = zoo::sharedFolder() + "/detection/";
  const std::string metrics = cli::scratch("detection.json");
  cli::runWell(Args{"train", model, "-o", output, "--loss", folder + "loss.onnx", "--data",
                    folder + "manifest.json", "--steps", "1", "--batch-size", "4", "--momentum",
                    "0", "--metrics", metrics} +
               extra);
  std::ifstream file(metrics);
  std::string line;
  std::getline(file, line);
  return nlohmann::json::parse(line);
}

std::vector<double> valuesOf(const Graph& graph, const std::string& name) {
  const Variable* variable = graph.findVariable(name);
  REQUIRE(variable != nullptr);
  return variable->value.toVector<double>();
}

TEST_CASE("YOLOv8n: one FP32 step meets PyTorch, and its file trains further and quantizes") {
  if (!present()) QAT_SKIP("../shared is not here");
  const std::string folder = zoo::sharedFolder() + "/detection/";
  const std::string model = folder + "model.onnx", stepped = cli::scratch("yolo.onnx");
  const nlohmann::json ours = step(model, stepped, {"--lr", "64"});
  const nlohmann::json theirs = nlohmann::json::parse(std::ifstream(folder + "expect.json"));
  for (const auto& [key, value] : theirs.items()) {
    INFO(key);
    CHECK(std::fabs(ours[key].get<double>() - value.get<double>()) <= 1e-5 * value.get<double>());
  }
  const Graph before = graphOf(model), after = graphOf(stepped);
  const double whole = theirs["gradient_norm"];
  double difference = 0;
  for (const std::string& name : npzKeys(folder + "gradients.npz")) {
    const std::vector<double> gradient =
        readArray(folder + "gradients.npz#" + name).toVector<double>();
    const std::vector<double> a = valuesOf(before, name), b = valuesOf(after, name);
    for (size_t i = 0; i < a.size(); ++i) {
      difference += std::pow((a[i] - b[i]) / kRate - gradient[i], 2);
    }
  }
  CHECK(std::sqrt(difference) <= 1e-5 * whole);

  // A small step, whose file goes on.
  const std::string small = cli::scratch("small.onnx"), further = cli::scratch("further.onnx");
  const double first = step(model, small, {"--lr", "1e-5"})["loss"];
  const double second = step(small, further, {"--lr", "1e-5"})["loss"];
  CHECK(second < first);
  const std::string prepared = cli::scratch("prepared.onnx"), trained = cli::scratch("qat.onnx");
  cli::runWell({"prepare", small, "-o", prepared});
  const double quantized = step(prepared, trained, {"--lr", "1e-5", "--calibrate", "1"})["loss"];
  CHECK(std::fabs(quantized - second) <= 0.05 * second);
}

}  // namespace
}  // namespace simaqat::cases
