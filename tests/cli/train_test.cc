// What the options of `train` do.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/catch.h"
#include "tests/cli/run.h"
#include "tests/cli/samples.h"

using Catch::Approx;
using Catch::Matchers::ContainsSubstring;
using Json = nlohmann::json;
using namespace simaqat::cli;

namespace {

constexpr int64_t kBatchesPerEpoch = 16;  // of 16 samples

// Where a run leaves its results.
const std::string& outputPath() {
  static const std::string& path = *new std::string(scratch("run/trained.onnx"));
  return path;
}

Result trainWell(const std::string& model, const Args& options) {
  return runWell(Args{"train", model, "--loss", "cross_entropy", "--data", stages().manifest,
                      "--batch-size", "16", "-o", outputPath()} +
                 options);
}

std::vector<Json> metricsOf(const Args& options, const std::string& model = stages().prepared) {
  const std::string path = scratch("run/metrics.jsonl");
  trainWell(model, options + Args{"--metrics", path});
  std::vector<Json> lines;
  for (const std::string& line : linesOf(bytesOf(path))) lines.push_back(Json::parse(line));
  return lines;
}

std::vector<Json> evaluationsOf(const std::vector<Json>& lines) {
  std::vector<Json> evaluations;
  for (const Json& line : lines) {
    if (line.contains("eval")) evaluations.push_back(line["eval"]);
  }
  return evaluations;
}

Json eval(const std::string& model, const std::string& manifest = stages().manifest,
          const std::string& loss = "cross_entropy") {
  return Json::parse(
      runWell({"eval", model, "--data", manifest, "--loss", loss, "--batch-size", "16", "--json"})
          .out);
}

// The names of the initializers that training changed.
std::set<std::string> changed(const std::string& before) {
  const auto old = weightsOf(before);
  std::set<std::string> names;
  for (const auto& [name, bytes] : weightsOf(outputPath())) {
    if (bytes != old.at(name)) names.insert(name);
  }
  return names;
}

bool endsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// The ranges of all quantizers that observe one.
Json rangesOf(const std::string& model) {
  const Json json = Json::parse(runWell({"inspect", model, "--json"}).out);
  Json ranges;
  for (const Json& entry : json["quantizers"]) {
    if (entry.contains("range")) ranges[entry["value"].get<std::string>()] = entry["range"];
  }
  return ranges;
}

// Data whose arrays are floats: 64 images, and four targets for each, one of which is so large that
// its square is no float.
std::string floatManifest(bool overflows) {
  std::vector<float> images;
  std::vector<float> targets;
  std::vector<uint8_t> labels;
  for (int i = 0; i < 64; ++i) {
    labels.push_back(static_cast<uint8_t>(i % 4));
    for (int k = 0; k < 64; ++k) images.push_back(static_cast<float>(k * (i % 4 + 1) % 8) / 4 - 1);
    for (int c = 0; c < 4; ++c) targets.push_back(c == i % 4 ? 1.0f : 0.0f);
  }
  if (overflows) targets[40 * 4 + 1] = 1e30f;
  saveText(npy(images, {64, 1, 8, 8}), scratch("floats/images.npy"));
  saveText(npy(targets, {64, 4}), scratch("floats/targets.npy"));
  saveText(idx(labels, {64}), scratch("floats/labels"));
  const auto split = [](const std::string& name, const std::string& target) {
    return '"' + name +
           R"(": {"fields": {"input": {"array": "images.npy"}, "target": {"array": ")" + target +
           "\"}}}";
  };
  return saveText("{\"splits\": {" + split("train", "targets.npy") + ", " +
                      split("test", "targets.npy") + ", " + split("classes", "labels") + "}}",
                  scratch("floats/data.json"));
}

}  // namespace

TEST_CASE("the metrics file has a line for each step and for each evaluation") {
  const std::vector<Json> lines = metricsOf({"--epochs", "5", "--eval-every", "2", "--lr", "0.1",
                                             "--schedule", "cosine", "--warmup", "10"});
  int64_t step = 0;
  const int64_t total = 5 * kBatchesPerEpoch;
  std::vector<int64_t> evaluated;
  for (const Json& line : lines) {
    if (line.contains("eval")) {
      const Json& entry = line["eval"];
      CHECK(line.size() == 1);
      CHECK(entry.size() == 6);
      CHECK(entry["split"] == "test");
      CHECK(entry["samples"] == 100);
      CHECK(entry["loss"].is_number());
      CHECK(entry["top1"].is_number());
      CHECK(entry["step"] == step - 1);
      CHECK(entry["epoch"] == (step - 1) / kBatchesPerEpoch);
      evaluated.push_back(step / kBatchesPerEpoch);
      continue;
    }
    CHECK(line.size() == 5);
    CHECK(line["step"] == step);
    CHECK(line["epoch"] == step / kBatchesPerEpoch);
    CHECK(line["loss"].get<double>() > 0);
    CHECK(line["gradient_norm"].get<double>() > 0);
    const auto at = static_cast<double>(step);
    const double factor = step < 10 ? (at + 1) / 10 : (1 + std::cos(M_PI * (at - 10) / 70)) / 2;
    CHECK(line["lr"].get<double>() == Approx(0.1 * factor).epsilon(1e-5));
    ++step;
  }
  CHECK(step == total);
  // After every second epoch, and at the end.
  CHECK(evaluated == std::vector<int64_t>{2, 4, 5});
}

TEST_CASE("outputs of a loss keep their values in the metrics, whatever their names") {
  onnx::ModelProto loss = emptyModel();
  addInput(loss, "logits", onnx::TensorProto::FLOAT, {"N", "4"});
  addInput(loss, "labels", onnx::TensorProto::INT64, {"N"});
  addNode(loss, "SoftmaxCrossEntropyLoss", {"logits", "labels"}, {"main"});
  addOutput(loss, "main");
  addWeight(loss, "factor", {}, {2});
  std::string before = "main";
  for (const char* name : {"lr", "step", "epoch", "other"}) {
    addNode(loss, "Mul", {before, "factor"}, {name});
    addOutput(loss, name);
    before = name;
  }
  const std::string path = save(loss, scratch("named_loss.onnx"));
  const std::string metrics = scratch("named.json");
  runWell({"train", stages().prepared, "--loss", path, "--data", stages().manifest, "--steps", "2",
           "--lr", "0.125", "-o", scratch("named.onnx"), "--metrics", metrics, "--eval-every",
           "1"});
  const std::vector<std::string> lines = linesOf(bytesOf(metrics));
  REQUIRE(lines.size() == 3);
  for (const std::string& line : lines) {
    INFO(line);
    Json json = Json::parse(line);
    const bool is_step = !json.contains("eval");
    if (!is_step) json = json["eval"];
    const double value = json["loss"];
    CHECK(json["loss/lr"].get<double>() == Approx(2 * value));
    CHECK(json["loss/step"].get<double>() == Approx(4 * value));
    CHECK(json["loss/epoch"].get<double>() == Approx(8 * value));
    CHECK(json["other"].get<double>() == Approx(16 * value));
    CHECK(json["epoch"] == 0);
    if (is_step) CHECK(json["lr"] == 0.125);
  }
}

TEST_CASE("--quiet leaves nothing to say where all goes well") {
  CHECK(trainWell(stages().source, {"--steps", "1", "--quiet"}).err.empty());
  CHECK_THAT(trainWell(stages().source, {"--steps", "1"}).err, ContainsSubstring("TRAINS"));
}

TEST_CASE("training learns, and the last evaluation is that of the file") {
  const std::vector<Json> lines = metricsOf({"--epochs", "6", "--eval-every", "6", "--lr", "0.05"});
  CHECK(lines.front()["loss"].get<double>() > 1);
  const std::vector<Json> evaluations = evaluationsOf(lines);
  REQUIRE(evaluations.size() == 1);
  const Json file = eval(outputPath());
  CHECK(file["top1"].get<double>() > 0.9);
  CHECK(file["top1"] == evaluations[0]["top1"]);
  CHECK(file["loss"] == evaluations[0]["loss"]);
}

TEST_CASE("--keep best writes the best state, --keep last the last") {
  // So fast that it gets worse at times.
  const Args fast = {"--epochs", "8", "--eval-every", "1", "--lr", "1.5"};
  const auto extreme = [](const std::vector<Json>& evaluations, const char* key, bool max) {
    const auto less = [&](const Json& a, const Json& b) {
      return a[key].get<double>() < b[key].get<double>();
    };
    return max ? *std::max_element(evaluations.begin(), evaluations.end(), less)
               : *std::min_element(evaluations.begin(), evaluations.end(), less);
  };
  const std::vector<Json> last = evaluationsOf(metricsOf(fast));
  REQUIRE(last.size() == 8);
  CHECK(eval(outputPath())["loss"] == last.back()["loss"]);
  const Json least = extreme(last, "loss", false);
  const Json most = extreme(last, "loss", true);
  REQUIRE(least["loss"] != last.back()["loss"]);
  REQUIRE(most["loss"] != last.back()["loss"]);

  trainWell(stages().prepared, fast + Args{"--keep", "best", "--best-by", "loss:min"});
  CHECK(eval(outputPath())["loss"] == least["loss"]);
  trainWell(stages().prepared, fast + Args{"--keep", "best", "--best-by", "loss:max"});
  CHECK(eval(outputPath())["loss"] == most["loss"]);
  trainWell(stages().prepared, fast + Args{"--keep", "best"});
  CHECK(eval(outputPath())["top1"] == extreme(last, "top1", true)["top1"]);
}

TEST_CASE("a step that is not finite is left out, or ends the run") {
  const std::string manifest = floatManifest(true);
  const std::string metrics = scratch("run/nonfinite.jsonl");
  const Args args = {
      "train", stages().prepared, "--loss",    "mse",   "--data",       manifest, "--epochs", "2",
      "-o",    outputPath(),      "--metrics", metrics, "--batch-size", "16"};
  const Result stopped = run(args);
  INFO(stopped.err);
  CHECK(stopped.status == 1);
  CHECK_THAT(stopped.err, ContainsSubstring("not finite") && ContainsSubstring("error: step "));

  const Result skipped = runWell(args + Args{"--on-nonfinite", "skip"});
  // Each epoch has that image once.
  CHECK_THAT(skipped.err, ContainsSubstring("8 steps") && ContainsSubstring("2 left out"));
  int left_out = 0;
  for (const std::string& line : linesOf(bytesOf(metrics))) {
    left_out += Json::parse(line)["loss"].is_null() ? 1 : 0;
  }
  CHECK(left_out == 2);
  for (const auto& [name, bytes] : weightsOf(outputPath())) {
    const auto* values = reinterpret_cast<const float*>(bytes.data());
    INFO(name);
    CHECK(std::all_of(values, values + bytes.size() / sizeof(float),
                      [](float x) { return std::isfinite(x); }));
  }
}

TEST_CASE("--loss mse learns numbers") {
  const std::string manifest = floatManifest(false);
  const Args args = {"train", stages().prepared, "--loss",       "mse", "--data", manifest,
                     "-o",    outputPath(),      "--batch-size", "16",  "--lr",   "0.05"};
  const std::string prepared = stages().prepared;
  const double before = eval(prepared, manifest, "mse")["loss"];
  runWell(args + Args{"--epochs", "30"});
  const double after = eval(outputPath(), manifest, "mse")["loss"];
  CHECK(before > 0.15);
  CHECK(after < 0.3 * before);
  // The classes are not told by what it was trained with.
  CHECK(Json::parse(
            runWell({"eval", outputPath(), "--data", manifest, "--split", "classes", "--json"})
                .out)["top1"] == 1.0);
}

TEST_CASE("--freeze and --train choose what changes") {
  const std::string& prepared = stages().prepared;
  trainWell(prepared, {"--steps", "3", "--freeze", "first.*,bias"});
  for (const std::string& name : changed(prepared)) {
    INFO(name);
    // Statistics and ranges are no weights.
    const bool state = endsWith(name, ".mean") || endsWith(name, ".var") ||
                       endsWith(name, "/scale") || endsWith(name, "/zero_point") ||
                       endsWith(name, "/range_min") || endsWith(name, "/range_max");
    const bool weight = name == "second.weight" || name == "second.gamma" ||
                        name == "second.beta" || name == "fc.weight";
    CHECK((state || weight));
  }
  CHECK(changed(prepared).count("second.weight") == 1);
  CHECK(changed(prepared).count("fc.weight") == 1);

  // What prepare froze, --train frees for a run.
  const std::string frozen = scratch("run/frozen.onnx");
  runWell({"prepare", stages().source, "-o", frozen, "--freeze", "weight"});
  trainWell(frozen, {"--steps", "3"});
  CHECK(changed(frozen).count("fc.weight") == 0);
  CHECK(changed(frozen).count("fc.bias") == 1);
  trainWell(frozen, {"--steps", "3", "--train", "fc.*"});
  CHECK(changed(frozen).count("fc.weight") == 1);
  CHECK(changed(frozen).count("first.weight") == 0);
}

TEST_CASE("weight decay spares the kinds of --no-decay, and groups have their own") {
  // No parameter is 0 any more.
  const std::string begun = scratch("begun.onnx");
  trainWell(stages().source, {"--steps", "4", "--lr", "0.1"});
  std::filesystem::copy_file(outputPath(), begun,
                             std::filesystem::copy_options::overwrite_existing);
  const auto after = [&](const Args& options) {
    trainWell(begun, Args{"--steps", "1", "--lr", "0.1"} + options);
    return weightsOf(outputPath());
  };
  const std::map<std::string, std::string> kinds = {{"first.weight", "weight"},
                                                    {"fc.weight", "weight"},
                                                    {"second.gamma", "norm"},
                                                    {"second.beta", "norm"},
                                                    {"fc.bias", "bias"}};
  const auto plain = after({}), decayed = after({"--weight-decay", "0.5"});
  for (const char* kind : {"norm", "bias"}) {
    const auto spared = after({"--weight-decay", "0.5", "--no-decay", kind});
    const auto grouped =
        after({"--weight-decay", "0.5", "--group", fmt::format("{}:weight_decay=0", kind)});
    for (const auto& [name, own] : kinds) {
      INFO(name << ", --no-decay " << kind);
      CHECK(spared.at(name) == (own == kind ? plain : decayed).at(name));
      CHECK(plain.at(name) != decayed.at(name));
      CHECK(grouped.at(name) == spared.at(name));
    }
  }
  // A group without a rate is frozen in effect; the others are as they were.
  const auto still = after({"--group", "fc.*:lr=0"});
  CHECK(still.at("fc.weight") == weightsOf(begun).at("fc.weight"));
  CHECK(still.at("first.weight") == plain.at("first.weight"));
}

TEST_CASE("optimizers learn, and go on from a checkpoint with the same bytes") {
  for (const char* optimizer : {"adam", "adamw"}) {
    const Args options = {"--optimizer", optimizer, "--lr", "0.02", "--epochs", "4"};
    trainWell(stages().source, options);
    CHECK(eval(outputPath())["top1"].get<double>() > 0.9);
    const std::string whole = bytesOf(outputPath());
    const std::string checkpoint = scratch("optimizer.checkpoint");
    trainWell(stages().source,
              options + Args{"--checkpoint", checkpoint, "--checkpoint-every", "37"});
    trainWell(stages().source, options + Args{"--resume", checkpoint});
    CHECK(bytesOf(outputPath()) == whole);
  }
}

TEST_CASE("--stop-gradient lets nothing train in front of a value") {
  for (const std::string& model : {stages().source, stages().prepared}) {
    INFO(model);
    trainWell(model, {"--steps", "3", "--stop-gradient", "pool*,input"});
    const std::set<std::string> names = changed(model);
    for (const char* stopped : {"first.weight", "first.beta", "second.weight", "second.gamma"}) {
      CHECK(names.count(stopped) == 0);
    }
    CHECK(names.count("fc.weight") == 1);
    CHECK(bytesOf(outputPath()).find("StopGradient") == std::string::npos);
  }
}

TEST_CASE("frozen ranges and statistics stay what they were when they froze") {
  const std::string& prepared = stages().prepared;
  const Args options = {"--lr", "0.05", "--steps"};
  trainWell(prepared, options + Args{"12"});
  const Json ranges = rangesOf(outputPath());
  const auto before = weightsOf(outputPath());
  trainWell(prepared, options + Args{"30"});
  CHECK(rangesOf(outputPath()) != ranges);
  trainWell(prepared, options + Args{"30", "--freeze-observers-after", "12"});
  CHECK(rangesOf(outputPath()) == ranges);
  trainWell(prepared, options + Args{"30", "--freeze-bn-after", "12"});
  const auto after = weightsOf(outputPath());
  for (const char* name : {"first.mean", "first.var", "second.mean", "second.var"}) {
    INFO(name);
    CHECK((after.at(name) == before.at(name)));
  }
  CHECK((after.at("first.gamma") != before.at("first.gamma")));
}

// The losses of steps with a learning rate of 0, quantized by a recipe.
std::vector<double> lossesOf(const std::string& fp32, const std::string& recipe,
                             const Args& options) {
  const std::string prepared = scratch("run/observers-prepared.onnx");
  runWell({"prepare", fp32, "-o", prepared, "--recipe",
           saveText(recipe, scratch("run/observers.json"))});
  std::vector<double> losses;
  for (const Json& line : metricsOf(options + Args{"--lr", "0", "--steps", "12"}, prepared)) {
    if (line.contains("loss")) losses.push_back(line["loss"]);
  }
  REQUIRE(losses.size() == 12);
  return losses;
}

TEST_CASE("where observers freeze, quantization goes on with the ranges there are") {
  trainWell(stages().source, {"--epochs", "6", "--lr", "0.05"});
  const std::string fp32 = scratch("run/observed.onnx");
  std::filesystem::copy_file(outputPath(), fp32, std::filesystem::copy_options::overwrite_existing);
  std::set<std::vector<double>> coarse;
  for (const std::string observer :
       {"moving_average_min_max", "min_max", "percentile", "mse", "entropy"}) {
    INFO(observer);
    const std::string with = R"({"activation": {"observer": ")" + observer + "\"";
    const std::vector<double> observed = lossesOf(fp32, with + "}}", {});
    const std::vector<double> frozen =
        lossesOf(fp32, with + "}}", {"--freeze-observers-after", "6"});
    const std::vector<double> at_once =
        lossesOf(fp32, with + "}}", {"--calibrate", "4", "--freeze-observers-after", "0"});
    for (size_t step = 0; step < 12; ++step) {
      CHECK(at_once[step] == Approx(observed[step]).epsilon(0.1).margin(0.03));
      CHECK(frozen[step] == Approx(observed[step]).epsilon(step < 6 ? 0 : 0.1).margin(0.03));
    }
    // Without quantization these would be the same for all.
    coarse.insert(lossesOf(fp32, with + R"(, "bits": 4}})",
                           {"--calibrate", "4", "--freeze-observers-after", "0"}));
  }
  // A moving average with few batches is near the extremes, and may be the same.
  CHECK(coarse.size() >= 4);
}

TEST_CASE("--steps 0 --calibrate is post-training quantization") {
  const Stages& s = stages();
  const std::string fp32 = scratch("run/fp32.onnx");
  trainWell(s.source, {"--epochs", "6", "--lr", "0.05"});
  std::filesystem::copy_file(outputPath(), fp32, std::filesystem::copy_options::overwrite_existing);
  const std::string prepared = scratch("run/ptq-prepared.onnx");
  runWell({"prepare", fp32, "-o", prepared});
  trainWell(prepared, {"--steps", "0", "--calibrate", "10"});
  for (const std::string& name : changed(prepared)) {
    INFO(name);
    CHECK((name.find("/range_") != std::string::npos || endsWith(name, "/scale") ||
           endsWith(name, "/zero_point")));
  }
  const Json ranges = rangesOf(outputPath());
  CHECK(ranges.size() == 5);
  for (const auto& [value, range] : ranges.items()) {
    INFO(value);
    CHECK(range[0] < range[1]);
  }
  const std::string finalized = scratch("run/ptq.onnx");
  runWell({"finalize", outputPath(), "-o", finalized});
  const double quantized = eval(finalized)["top1"];
  CHECK(quantized > 0.9);
  CHECK(quantized == Approx(eval(fp32)["top1"].get<double>()).margin(0.03));
}

TEST_CASE("--init random starts anew") {
  // The weights as they are would train to nothing.
  onnx::ModelProto model = smallNetwork();
  for (auto& tensor : *model.mutable_graph()->mutable_initializer()) {
    if (!endsWith(tensor.name(), ".weight")) continue;
    std::fill(tensor.mutable_float_data()->begin(), tensor.mutable_float_data()->end(), 0.0f);
  }
  const std::string zeros = save(model, scratch("run/zeros.onnx"));
  trainWell(zeros, {"--epochs", "6", "--lr", "0.05"});
  CHECK(eval(outputPath())["top1"].get<double>() < 0.5);
  trainWell(zeros, {"--epochs", "6", "--lr", "0.05", "--init", "random"});
  CHECK(eval(outputPath())["top1"].get<double>() > 0.9);
  // It is still a file that prepare takes.
  runWell({"prepare", outputPath(), "-o", scratch("run/again.onnx")});

  trainWell(zeros, {"--steps", "0", "--init", "random", "--seed", "1"});
  const auto first = weightsOf(outputPath());
  trainWell(zeros, {"--steps", "0", "--init", "random", "--seed", "2"});
  CHECK((weightsOf(outputPath()).at("fc.weight") != first.at("fc.weight")));
}

TEST_CASE("a trained file trains on") {
  const std::string& trained = stages().trained;
  const double before = eval(trained)["loss"];
  const std::vector<Json> lines = metricsOf({"--epochs", "3", "--lr", "0.02"}, trained);
  // From where it was, not from the start.
  CHECK(lines.front()["loss"].get<double>() < 1);
  CHECK(eval(outputPath())["loss"].get<double>() < before);
  CHECK(Json::parse(runWell({"inspect", outputPath(), "--json"}).out)["stage"] == "trained");
  trainWell(trained, {"--steps", "0"});
  const bool same = bytesOf(outputPath()) == bytesOf(trained);
  CHECK(same);
}

TEST_CASE("nothing that trains is an error") {
  const Result result =
      run({"train", stages().prepared, "--loss", "cross_entropy", "--data", stages().manifest, "-o",
           outputPath(), "--batch-size", "16", "--freeze", "*"});
  CHECK(result.status == 3);
  CHECK_THAT(result.err, ContainsSubstring("nothing trains"));
}
