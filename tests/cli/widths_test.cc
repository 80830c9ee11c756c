// Widths of weights that are measured and chosen.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "qat/train/sensitivity.h"
#include "tests/catch.h"
#include "tests/cli/bad_input.h"
#include "tests/cli/run.h"
#include "tests/cli/samples.h"

using Catch::Matchers::ContainsSubstring;
using Json = nlohmann::json;

namespace simaqat::cli {
namespace {

int64_t bytesAt(int64_t elements, int64_t bits) { return (elements * bits + 7) / 8; }

const std::string& trainedFloat() {
  static const std::string& path = *[] {
    auto* made = new std::string(scratch("widths-fp32.onnx"));
    runWell({"train", stages().source, "--loss", "cross_entropy", "--data", stages().manifest, "-o",
             *made, "--epochs", "4", "--batch-size", "16", "--lr", "0.05"});
    return made;
  }();
  return path;
}

Args prepare(const std::string& output, const Args& options) {
  return Args{"prepare", trainedFloat(), "-o", output, "--data", stages().manifest, "--samples",
              "128"} +
         options;
}

int64_t quantizedBytes(const std::string& model) {
  return Json::parse(runWell({"inspect", model, "--json"}).out)["quantized_bytes"].get<int64_t>();
}

// The words of the line that begins so.
std::vector<std::string> wordsOf(const std::string& text, const std::string& beginning) {
  for (const std::string& line : linesOf(text)) {
    if (line.rfind(beginning, 0) != 0) continue;
    std::vector<std::string> words;
    std::istringstream stream(line);
    for (std::string word; stream >> word;) words.push_back(word);
    return words;
  }
  FAIL("no line begins with " << beginning);
  return {};
}

}  // namespace

TEST_CASE("the widths chosen are the best that fit") {
  std::mt19937 random(5);
  for (int round = 0; round < 20; ++round) {
    Sensitivity sensitivity;
    for (int i = 0; i < 5; ++i) {
      LayerSensitivity entry{};
      entry.layer.weight_elements = 10 + random() % 500;
      for (double& loss : entry.weight_loss) loss = static_cast<double>(random() % 1000) / 1000;
      std::sort(entry.weight_loss.rbegin(), entry.weight_loss.rend());
      sensitivity.layers.push_back(entry);
    }
    int64_t least = 0;
    for (const auto& entry : sensitivity.layers) least += bytesAt(entry.layer.weight_elements, 4);
    const int64_t budget = least + static_cast<int64_t>(random() % 1500);

    double best = INFINITY;
    for (int choice = 0; choice < 243; ++choice) {
      int64_t bytes = 0;
      double loss = 0;
      for (int i = 0, rest = choice; i < 5; ++i, rest /= 3) {
        const auto& entry = sensitivity.layers[static_cast<size_t>(i)];
        const auto w = static_cast<size_t>(rest % 3);
        bytes += bytesAt(entry.layer.weight_elements, kWidths[w]);
        loss += entry.weight_loss[w];
      }
      if (bytes <= budget) best = std::min(best, loss);
    }

    const std::vector<int64_t> widths = chooseWidths(sensitivity, budget);
    int64_t bytes = 0;
    double loss = 0;
    for (size_t i = 0; i < 5; ++i) {
      const auto& entry = sensitivity.layers[i];
      bytes += bytesAt(entry.layer.weight_elements, widths[i]);
      for (size_t w = 0; w < kWidths.size(); ++w) {
        if (kWidths[w] == widths[i]) loss += entry.weight_loss[w];
      }
    }
    CHECK(bytes <= budget);
    CHECK(loss == Catch::Approx(best));
    CHECK_THROWS_WITH(chooseWidths(sensitivity, least - 1), ContainsSubstring("4 bits"));
  }
}

TEST_CASE("--sensitivity tells what each layer's quantization costs by itself") {
  const std::string output = scratch("measured.onnx");
  const std::string out = runWell(prepare(output, {"--sensitivity"})).out;
  // LAYER, WEIGHTS, three losses of the weight, three of the output.
  const std::vector<std::string> words = wordsOf(out, "/first/conv");
  REQUIRE(words.size() == 8);
  CHECK(words[1] == "54");
  const std::string heading = linesOf(out)[0];
  const double fp32 = std::stod(heading.substr(heading.find("FP32: ") + 6));
  const auto off = [&](size_t column) { return std::fabs(std::stod(words[column]) - fp32); };
  CHECK(off(4) <= 1e-4);
  CHECK(off(7) <= 1e-3);
  CHECK(off(2) > off(4));
  CHECK(off(5) > off(7));
  // What is prepared is what is prepared without a look.
  const std::string plain = scratch("unmeasured.onnx");
  runWell({"prepare", trainedFloat(), "-o", plain});
  const bool same = bytesOf(output) == bytesOf(plain);
  CHECK(same);
}

TEST_CASE("--size-budget chooses widths, and writes a recipe that says so") {
  const std::string output = scratch("budget.onnx");
  const std::string recipe = scratch("budget.json");
  const auto within = [&](int64_t budget) {
    return runWell(prepare(output, {"--size-budget", std::to_string(budget), "--write-recipe",
                                    recipe}))
        .out;
  };
  const std::string generous = within(1000000);
  CHECK(wordsOf(generous, "/first/conv")[8] == "16");
  CHECK(wordsOf(generous, "/second/conv")[8] == "16");
  const int64_t largest = quantizedBytes(output);
  // All of it at 4 bits, and a few bytes.
  const int64_t codes = bytesAt(54, 16) + bytesAt(432, 16) + bytesAt(32, 16);
  const int64_t narrow = largest - codes + bytesAt(54, 4) + bytesAt(432, 4) + bytesAt(32, 4);
  for (const int64_t budget : {narrow, narrow + 30, narrow + 300}) {
    within(budget);
    CHECK(quantizedBytes(output) <= budget);
    CHECK(quantizedBytes(output) > budget - 250);
  }
  const std::string again = scratch("budget-again.onnx");
  runWell({"prepare", trainedFloat(), "-o", again, "--recipe", recipe});
  const bool same = bytesOf(output) == bytesOf(again);
  CHECK(same);

  expectBadInput({"prepare", trainedFloat(), "--data", stages().manifest, "--size-budget",
                  std::to_string(narrow - 1)},
                 {"--size-budget", "4 bits take", "room for"});
  CHECK(runUntouched({"prepare", trainedFloat(), "--size-budget", "1000"}).status == 2);
  CHECK(runUntouched({"prepare", trainedFloat(), "--sensitivity"}).status == 2);
}

TEST_CASE("a recipe is kept where widths are chosen for it") {
  const std::string given = saveText(
      R"({"preset": "weights-only", "overrides": [{"op_type": "Gemm", "quantize": false}]})",
      scratch("given.json"));
  const std::string recipe = scratch("extended.json");
  const std::string out =
      runWell(prepare(scratch("extended.onnx"), {"--recipe", given, "--size-budget", "1000000",
                                                 "--write-recipe", recipe}))
          .out;
  const Json json = Json::parse(bytesOf(recipe));
  CHECK(json["preset"] == "weights-only");
  CHECK(json["overrides"].size() == 3);
  CHECK(json["overrides"][0]["op_type"] == "Gemm");
  CHECK(json["overrides"][2]["weight"]["bits"] == 16);
  // Outputs that nothing quantizes are not measured.
  CHECK(wordsOf(out, "/second/conv")[5] == "-");
}

TEST_CASE("--size-budget keeps the widths that the recipe has") {
  const auto chosen = [](const std::string& given) {
    const std::string recipe = scratch("kept.json");
    runWell(prepare(scratch("kept.onnx"), {"--recipe", saveText(given, scratch("kept-given.json")),
                                           "--size-budget", "1000000", "--write-recipe", recipe}));
    return Json::parse(bytesOf(recipe));
  };
  // A layer's own is no choice.
  const Json pinned = chosen(R"({"overrides": [{"op_type": "Gemm", "weight": {"bits": 8}}]})");
  REQUIRE(pinned["overrides"].size() == 3);
  CHECK(pinned["overrides"][1]["weight"]["bits"] == 16);
  CHECK(pinned["overrides"][2]["weight"]["bits"] == 16);
  // Weights of 7 bits are a byte, and the widest that have integer kernels.
  CHECK(chosen(R"({"preset": "onnxruntime-7bit"})").count("overrides") == 0);
}

}  // namespace simaqat::cli
