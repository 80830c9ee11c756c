// What happens at its time in a run, and what is done to the weights beside its steps.
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "tests/catch.h"
#include "tests/cli/bad_input.h"
#include "tests/cli/run.h"
#include "tests/cli/samples.h"

using Catch::Approx;
using Json = nlohmann::json;
using namespace simaqat::cli;

namespace {

constexpr int64_t kBatch = 16;
constexpr int64_t kSamples = 256;

struct Run {
  std::string output;
  std::vector<Json> steps;
};

Args base(const std::string& model) {
  return {"train",        model, "--loss", "cross_entropy", "--data", stages().manifest,
          "--batch-size", "16",  "--lr",   "0.05"};
}

Run trainWell(const std::string& model, const Args& options) {
  static int number = 0;
  Run result{scratch("schedule-" + std::to_string(++number) + ".onnx"), {}};
  const std::string metrics = scratch("schedule.jsonl");
  runWell(base(model) + options + Args{"-o", result.output, "--metrics", metrics});
  for (const std::string& line : linesOf(bytesOf(metrics))) {
    result.steps.push_back(Json::parse(line));
  }
  return result;
}

std::vector<float> floatsOf(const std::string& model, const std::string& weight) {
  const std::string bytes = weightsOf(model).at(weight);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

std::vector<double> lossesOf(const Run& run) {
  std::vector<double> losses;
  for (const Json& step : run.steps) losses.push_back(step["loss"].get<double>());
  return losses;
}

bool sameBytes(const std::string& a, const std::string& b) { return bytesOf(a) == bytesOf(b); }

double top1(const std::string& model) {
  const Result result = runWell({"eval", model, "--data", stages().manifest, "--json"});
  return Json::parse(result.out)["top1"].get<double>();
}

}  // namespace

TEST_CASE("a moment is told in steps or in epochs") {
  const std::string& prepared = stages().prepared;
  for (const char* option : {"--freeze-bn-after", "--freeze-observers-after", "--quantize-after"}) {
    INFO(option);
    const Run steps = trainWell(prepared, {"--epochs", "2", option, "16"});
    const Run epochs = trainWell(prepared, {"--epochs", "2", option, "1e"});
    const Run other = trainWell(prepared, {"--epochs", "2", option, "17"});
    CHECK(sameBytes(steps.output, epochs.output));
    CHECK(!sameBytes(steps.output, other.output));
    for (const char* bad : {"-1", "e", "1ee", "1.5", "1 e", "x", "99999999999999999999"}) {
      const Result refused = runUntouched(base(prepared) + Args{option, bad});
      CHECK(refused.status == 2);
      CHECK_THAT(refused.err, Catch::Matchers::ContainsSubstring(option));
    }
  }
}

TEST_CASE("until --quantize-after a prepared model trains in FP32 and observes") {
  const Run floats = trainWell(stages().source, {"--steps", "12"});
  const Run later = trainWell(stages().prepared, {"--steps", "12", "--quantize-after", "100"});
  CHECK(lossesOf(floats) == lossesOf(later));
  for (const char* weight : {"first.weight", "second.gamma", "second.var", "fc.bias"}) {
    CHECK(floatsOf(floats.output, weight) == floatsOf(later.output, weight));
  }
  const std::vector<float> range = floatsOf(later.output, "input/range_max");
  CHECK(std::isfinite(range[0]));

  const Run middle = trainWell(stages().prepared, {"--steps", "12", "--quantize-after", "5"});
  const std::vector<double> expected = lossesOf(floats);
  const std::vector<double> losses = lossesOf(middle);
  for (size_t step = 0; step < 5; ++step) CHECK(losses[step] == expected[step]);
  CHECK(losses[5] != expected[5]);
}

TEST_CASE("--ema saves the average of the weights") {
  const auto weights = [&](int64_t steps, const Args& options) {
    return trainWell(stages().source, Args{"--steps", std::to_string(steps)} + options).output;
  };
  for (const char* name : {"first.weight", "second.gamma", "fc.bias", "first.var"}) {
    std::vector<float> average = floatsOf(stages().source, name);
    for (int t = 0; t < 5; ++t) {
      const std::vector<float> now = floatsOf(weights(t + 1, {}), name);
      const double decay = std::min(0.25, (1.0 + t) / (10.0 + t));
      for (size_t i = 0; i < now.size(); ++i) {
        average[i] += static_cast<float>((1 - decay) * (now[i] - average[i]));
      }
    }
    const std::vector<float> saved = floatsOf(weights(5, {"--ema", "0.25"}), name);
    REQUIRE(saved.size() == average.size());
    for (size_t i = 0; i < saved.size(); ++i) {
      CHECK(saved[i] == Approx(average[i]).epsilon(1e-5).margin(1e-6));
    }
  }
  // Steps are those of a run without an average.
  const Run with = trainWell(stages().prepared, {"--steps", "20", "--ema", "0.9"});
  const Run without = trainWell(stages().prepared, {"--steps", "20"});
  CHECK(lossesOf(with) == lossesOf(without));
  CHECK(!sameBytes(with.output, without.output));
}

TEST_CASE("evaluations of a run with --ema are those of what it saves") {
  const std::string metrics = scratch("ema.jsonl");
  const std::string output = scratch("ema.onnx");
  runWell(base(stages().prepared) + Args{"--epochs", "3", "--ema", "0.9", "--eval-every", "1",
                                         "--metrics", metrics, "-o", output});
  const Json last = Json::parse(linesOf(bytesOf(metrics)).back())["eval"];
  const Json file =
      Json::parse(runWell({"eval", output, "--data", stages().manifest, "--loss", "cross_entropy",
                           "--batch-size", "16", "--json"})
                      .out);
  CHECK(file["loss"] == last["loss"]);
}

TEST_CASE("--reestimate-bn gives the means of the batches' statistics") {
  // All batches of an epoch together are the training images, whatever their order.
  const std::string all = std::to_string(kSamples / kBatch);
  const std::string output =
      trainWell(stages().source, {"--steps", "0", "--reestimate-bn", all}).output;
  const std::string images = bytesOf(scratch("stages/train-images")).substr(16);
  REQUIRE(images.size() == kSamples * 64);
  const std::vector<float> weight = floatsOf(stages().source, "first.weight");
  const auto pixel = [&](int64_t n, int64_t y, int64_t x) {
    if (y < 0 || y > 7 || x < 0 || x > 7) return 0.0;
    const auto byte = static_cast<uint8_t>(images[static_cast<size_t>(n * 64 + y * 8 + x)]);
    return (byte / 255.0 - 0.45) / 0.25;
  };
  const std::vector<float> means = floatsOf(output, "first.mean");
  for (size_t channel = 0; channel < means.size(); ++channel) {
    double sum = 0;
    for (int64_t at = 0; at < kSamples * 64; ++at) {
      for (int64_t k = 0; k < 9; ++k) {
        sum += weight[channel * 9 + static_cast<size_t>(k)] *
               pixel(at / 64, at / 8 % 8 + k / 3 - 1, at % 8 + k % 3 - 1);
      }
    }
    CHECK(means[channel] == Approx(sum / (kSamples * 64)).epsilon(1e-4).margin(1e-5));
  }
  // Weights stay.
  CHECK(floatsOf(output, "first.weight") == weight);
}

TEST_CASE("--reestimate-bn mends statistics that are wrong") {
  const std::string spoilt = scratch("spoilt.onnx");
  onnx::ModelProto model = load(stages().trained);
  for (auto& tensor : *model.mutable_graph()->mutable_initializer()) {
    if (tensor.name() != "second.var") continue;
    std::string zeros(tensor.raw_data().size(), '\0');
    const float large = 1e4f;
    for (size_t at = 0; at < zeros.size(); at += 4) std::memcpy(&zeros[at], &large, 4);
    tensor.set_raw_data(zeros);
  }
  save(model, spoilt);
  CHECK(top1(spoilt) < 0.5);
  const Args mend = {"--steps", "0", "--reestimate-bn", "8"};
  const std::string mended = trainWell(spoilt, mend).output;
  CHECK(top1(mended) > 0.9);
  CHECK(sameBytes(mended, trainWell(spoilt, mend + Args{"--threads", "1"}).output));

  onnx::ModelProto plain = emptyModel();
  addInput(plain, "input", onnx::TensorProto::FLOAT, {"N", "1", "8", "8"});
  addNode(plain, "Flatten", {"input"}, {"flat"});
  addWeight(plain, "w", {64, 4}, std::vector<float>(256, 0.01f));
  addNode(plain, "Gemm", {"flat", "w"}, {"logits"});
  addOutput(plain, "logits");
  const std::string without = save(plain, scratch("plain.onnx"));
  expectBadInput(base(without) + Args{"--steps", "1", "--reestimate-bn", "2"},
                 {"plain.onnx", "no BatchNormalization", "--reestimate-bn"});
}

TEST_CASE("--correct-biases knows the channels of a ConvTranspose") {
  // As many as there are columns.
  onnx::ModelProto model = emptyModel();
  addInput(model, "input", onnx::TensorProto::FLOAT, {"N", "1", "8", "8"});
  const std::vector<float> weight = {1, 0.4f, -0.4f, 0.2f, -0.2f, -1, 0.4f, 0};
  addWeight(model, "w", {1, 8, 1, 1}, weight);
  addWeight(model, "b", {8}, std::vector<float>(8, 0));
  addNode(model, "ConvTranspose", {"input", "w", "b"}, {"up"});
  addNode(model, "GlobalAveragePool", {"up"}, {"mean"});
  addNode(model, "Flatten", {"mean"}, {"logits"});
  addOutput(model, "logits");
  const std::string prepared = scratch("up-prepared.onnx");
  runWell({"prepare", save(model, scratch("up.onnx")), "-o", prepared, "--recipe",
           saveText(R"({"weight": {"bits": 2, "granularity": "tensor"}})", scratch("up.json"))});
  const std::string corrected =
      trainWell(prepared, {"--steps", "0", "--calibrate", "4", "--correct-biases", "4"}).output;
  // Of 2 bits the greatest magnitudes alone are left. What the others lose goes into their biases.
  const std::vector<float> bias = floatsOf(corrected, "b");
  REQUIRE(std::fabs(bias[1]) > 0.01f);
  for (size_t c = 0; c < weight.size(); ++c) {
    const float lost = std::fabs(weight[c]) == 1 ? 0 : weight[c];
    CHECK(bias[c] == Approx(bias[1] * lost / 0.4f).margin(0.02f * std::fabs(bias[1])));
  }
}

TEST_CASE("--correct-biases brings channels' means back to those of FP32") {
  // Two bits and one scale shift means a good deal.
  const std::string prepared = scratch("two-bits.onnx");
  const std::string fp32 = trainWell(stages().source, {"--epochs", "4"}).output;
  const std::string recipe = saveText(R"({"weight": {"bits": 2, "granularity": "tensor"}})",
                                      scratch("two-bits.json"));
  runWell({"prepare", fp32, "-o", prepared, "--recipe", recipe});
  const Args calibrated = {"--steps", "0", "--calibrate", "16"};
  const auto lossOf = [&](const std::string& model) {
    const Result result = runWell({"inspect", model, "--data", stages().manifest, "--loss",
                                   "cross_entropy", "--json"});
    return Json::parse(result.out)["report"]["quantized"]["loss"].get<double>();
  };
  const std::string plain = trainWell(prepared, calibrated).output;
  const std::string corrected = trainWell(prepared, calibrated + Args{"--correct-biases", "16"}).output;
  CHECK(lossOf(corrected) < lossOf(plain));
  CHECK(floatsOf(corrected, "first.weight") == floatsOf(plain, "first.weight"));
  CHECK(floatsOf(corrected, "second.mean") != floatsOf(plain, "second.mean"));
  CHECK(floatsOf(corrected, "fc.bias") != floatsOf(plain, "fc.bias"));
  CHECK(sameBytes(corrected, trainWell(prepared, calibrated + Args{"--correct-biases", "16",
                                                                   "--threads", "1"})
                                 .output));
  expectBadInput(base(prepared) + Args{"--steps", "0", "--correct-biases", "4"},
                 {"two-bits.onnx", "--correct-biases", "'input'"});
}
