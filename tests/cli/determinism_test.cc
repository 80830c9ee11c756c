// The number of threads decides nothing but the time.
#include "tests/catch.h"
#include "tests/cli/run.h"
#include "tests/cli/samples.h"

using namespace simaqat::cli;

namespace {

void checkThreads(const std::string& name, const std::string& prepared, const std::string& manifest,
                  const Args& options) {
  std::string output;
  std::string metrics;
  std::string evaluation;
  for (const char* threads : {"1", "2", "3"}) {
    INFO(threads);
    const std::string trained = scratch(name + "-" + threads + ".onnx");
    const std::string lines = scratch(name + "-" + threads + ".jsonl");
    const std::string finalized = scratch(name + "-final-" + threads + ".onnx");
    runWell(Args{"train",        prepared,     "--data",        manifest,    "-o",
                 trained,        "--loss",     "cross_entropy", "--metrics", lines,
                 "--eval-every", "1",          "--calibrate",   "2",         "--lr",
                 "0.05",         "--schedule", "onecycle",      "--threads", threads} +
            options);
    runWell({"finalize", trained, "-o", finalized});
    const std::string result = runWell({"eval", finalized, "--data", manifest, "--loss",
                                        "cross_entropy", "--json", "--threads", threads})
                                   .out;
    if (output.empty()) {
      output = bytesOf(trained);
      metrics = bytesOf(lines);
      evaluation = result;
      REQUIRE((!output.empty() && !metrics.empty() && !evaluation.empty()));
    }
    CHECK(bytesOf(trained) == output);
    CHECK(bytesOf(lines) == metrics);
    CHECK(result == evaluation);
  }
}

}  // namespace

TEST_CASE("1, 2 and 3 threads give the same bytes") {
  const Stages& s = stages();
  checkThreads("small", s.prepared, s.manifest, {"--epochs", "3", "--batch-size", "16"});
}

TEST_CASE("1, 2 and 3 threads give the same bytes with the quickstart's network") {
  // 28 x 28 pixels, so that loops are long enough to be shared out.
  const std::string folder = "fashion/";
  std::vector<uint8_t> images;
  std::vector<uint8_t> labels;
  for (uint32_t i = 0; i < 128; ++i) {
    labels.push_back(static_cast<uint8_t>(i % 10));
    for (uint32_t k = 0; k < 28 * 28; ++k) {
      images.push_back(static_cast<uint8_t>(k * (i % 10 + 1) * 7 + (k * i * 2654435761u >> 26)));
    }
  }
  saveText(idx(images, {128, 28, 28}), scratch(folder + "images"));
  saveText(idx(labels, {128}), scratch(folder + "labels"));
  const std::string fields = R"({"fields": {"input": {"array": "images", "transforms":
      [{"horizontal_flip": {}}, {"normalize": {"scale": 255, "mean": [0.5], "std": [0.3]}}]},
      "labels": {"array": "labels"}}})";
  const std::string manifest =
      saveText(R"({"splits": {"train": )" + fields + R"(, "test": )" + fields + "}}",
               scratch(folder + "data.json"));
  const std::string prepared = scratch(folder + "prepared.onnx");
  runWell({"prepare", "testdata/fashion_cnn/model.onnx", "-o", prepared});
  checkThreads("fashion/run", prepared, manifest, {"--epochs", "2", "--batch-size", "32"});
}
