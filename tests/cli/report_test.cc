// The report of `inspect --data`.
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "tests/catch.h"
#include "tests/cli/bad_input.h"
#include "tests/cli/run.h"
#include "tests/cli/samples.h"

using Catch::Approx;
using Catch::Matchers::ContainsSubstring;
using Json = nlohmann::json;
using namespace simaqat::cli;

namespace {

Args inspect(const std::string& model) {
  return {"inspect", model, "--data", stages().manifest, "--loss", "cross_entropy"};
}

Json reportOf(const std::string& model) {
  return Json::parse(runWell(inspect(model) + Args{"--json"}).out)["report"];
}

const Json& quantizerOf(const Json& report, std::string_view value) {
  for (const Json& entry : report["quantizers"]) {
    if (entry["value"].get<std::string>() == value) return entry;
  }
  FAIL("no quantizer of " << value);
  return report;
}

}  // namespace

TEST_CASE("a report tells what quantization does to values and layers") {
  const Json report = reportOf(stages().trained);
  CHECK(report["samples"] == 100);
  const Json evaluated = Json::parse(
      runWell({"eval", stages().trained, "--data", stages().manifest, "--loss", "cross_entropy",
               "--json"})
          .out);
  CHECK(report["quantized"]["loss"].get<double>() ==
        Approx(evaluated["loss"].get<double>()).epsilon(1e-6));
  CHECK(report["float"]["loss"] != report["quantized"]["loss"]);

  REQUIRE(report["layers"].size() == 3);
  const Json& layer = report["layers"][1];
  CHECK(layer["node"] == "/second/conv");
  CHECK(layer["float_bytes"] == 432 * 4);
  CHECK(layer["quantized_bytes"] == 432);
  const double floats = report["float"]["loss"].get<double>();
  for (const Json& entry : report["layers"]) {
    CHECK(entry["loss"] != report["float"]["loss"]);
    CHECK(entry["top1"].get<double>() > 0.9);
    if (entry["op_type"] == "Conv") CHECK(entry["loss"].get<double>() == Approx(floats).margin(0.01));
  }
  // After so short a training the moving average lags behind the logits, and the report finds it.
  CHECK(report["layers"][2]["loss"].get<double>() > floats + 0.05);
  CHECK(quantizerOf(report, "logits/raw")["clipped"].get<double>() > 0.5);

  const Json& input = quantizerOf(report, "input");
  // The first quantizer sees the data itself.
  CHECK(input["sqnr_db"].get<double>() == Approx(input["own_sqnr_db"].get<double>()).epsilon(1e-4));
  CHECK(input["sqnr_db"].get<double>() > 35);
  CHECK(input["codes"] == 256);
  CHECK(input["codes_used"].get<int>() > 100);
  CHECK(input["clipped"].get<double>() < 0.05);
  int64_t counted = 0;
  for (const Json& count : input["histogram"]["counts"]) counted += count.get<int64_t>();
  // Whole batches of 16.
  CHECK(counted == 96 * 64);

  const Json& weight = quantizerOf(report, "second.weight");
  CHECK(weight["codes"] == 255);
  CHECK(weight["clipped"] == 0);
  CHECK(weight["own_sqnr_db"].get<double>() > 35);
}

TEST_CASE("fewer bits show in the report") {
  const std::string prepared = scratch("report-4.onnx");
  const std::string trained = scratch("report-4-trained.onnx");
  const std::string recipe =
      saveText(R"({"weight": {"bits": 4}, "activation": {"bits": 4}})", scratch("four.json"));
  runWell({"prepare", stages().source, "-o", prepared, "--recipe", recipe});
  runWell({"train", prepared, "--loss", "cross_entropy", "--data", stages().manifest, "-o", trained,
           "--steps", "0", "--calibrate", "4", "--batch-size", "16"});
  const Json report = reportOf(trained);
  const Json& input = quantizerOf(report, "input");
  CHECK(input["codes"] == 16);
  // Six decibels a bit.
  const double eight = quantizerOf(reportOf(stages().trained), "input")["sqnr_db"].get<double>();
  CHECK(input["sqnr_db"].get<double>() == Approx(eight - 24).margin(4));
  CHECK(report["layers"][1]["quantized_bytes"] == 216);
}

TEST_CASE("the page draws histograms, and ranges where a run's metrics are given") {
  const std::string page = scratch("report.html");
  const std::string metrics = scratch("ranges.jsonl");
  const std::string trained = scratch("ranges.onnx");
  runWell({"train", stages().prepared, "--loss", "cross_entropy", "--data", stages().manifest, "-o",
           trained, "--steps", "12", "--batch-size", "16", "--metrics", metrics, "--log-ranges",
           "4"});
  int lines = 0;
  for (const std::string& line : linesOf(bytesOf(metrics))) {
    const Json json = Json::parse(line);
    if (!json.contains("ranges")) continue;
    CHECK(json["ranges"]["step"] == 3 + 4 * lines++);
    CHECK(json["ranges"]["values"]["input"].size() == 2);
  }
  CHECK(lines == 3);
  runWell(inspect(trained) + Args{"--html", page});
  const std::string plain = bytesOf(page);
  CHECK_THAT(plain, ContainsSubstring("<svg") && ContainsSubstring("/second/conv"));
  CHECK(plain.find("polyline") == std::string::npos);
  // Nothing is loaded from elsewhere.
  CHECK(plain.find("http") == std::string::npos);
  runWell(inspect(trained) + Args{"--html", page, "--metrics", metrics});
  CHECK_THAT(bytesOf(page), ContainsSubstring("polyline"));
}

TEST_CASE("reports that cannot be") {
  const Stages& s = stages();
  checkOneLine(run(inspect(s.exported)), {"exported.onnx", "is exported", "prepared or a trained"});
  checkOneLine(run(inspect(s.prepared)), {"prepared.onnx", "'input'", "no range yet"});
  CHECK(run({"inspect", s.trained, "--html", scratch("x.html")}).status == 2);
  const auto page = [&](const std::string& metrics) {
    const std::string file = saveText(metrics, scratch("bad.jsonl"));
    return run(inspect(s.trained) + Args{"--html", scratch("x.html"), "--metrics", file});
  };
  checkOneLine(page("root:x:0\n"), {"bad.jsonl", "line 1", "metrics"});
  checkOneLine(page("{\"step\": 1}\n[]\n"), {"bad.jsonl", "line 2", "JSON object"});
  checkOneLine(page("{\"ranges\": {\"step\": 1, \"values\": {\"x\": [1]}}}\n"),
               {"bad.jsonl", "line 1"});
  checkOneLine(page("{\"step\": 1}\n"), {"bad.jsonl", "--log-ranges"});
}
