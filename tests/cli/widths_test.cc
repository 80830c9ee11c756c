// Widths of weights and of activations that are measured and chosen.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "qat/train/width_choice.h"
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
    std::vector<WidthItem> items(5);
    for (WidthItem& item : items) {
      item.elements = 10 + random() % 500;
      for (double& cost : item.costs) cost = static_cast<double>(random() % 1000) / 1000;
      std::sort(item.costs.rbegin(), item.costs.rend());
    }
    int64_t least = 0;
    for (const WidthItem& item : items) least += bytesAt(item.elements, 4);
    const int64_t budget = least + static_cast<int64_t>(random() % 1500);

    double best = INFINITY;
    for (int choice = 0; choice < 243; ++choice) {
      int64_t bytes = 0;
      double cost = 0;
      for (int i = 0, rest = choice; i < 5; ++i, rest /= 3) {
        const WidthItem& item = items[static_cast<size_t>(i)];
        const auto w = static_cast<size_t>(rest % 3);
        bytes += bytesAt(item.elements, kWidths[w]);
        cost += item.costs[w];
      }
      if (bytes <= budget) best = std::min(best, cost);
    }

    const std::vector<int64_t> widths = chooseWidths(items, budget);
    int64_t bytes = 0;
    double cost = 0;
    for (size_t i = 0; i < 5; ++i) {
      bytes += bytesAt(items[i].elements, widths[i]);
      for (size_t w = 0; w < kWidths.size(); ++w) {
        if (kWidths[w] == widths[i]) cost += items[i].costs[w];
      }
    }
    CHECK(bytes <= budget);
    CHECK(cost == Catch::Approx(best));
    CHECK_THROWS_WITH(chooseWidths(items, least - 1), ContainsSubstring("4 bits"));
  }
}

TEST_CASE("room for all of them gives each the widest") {
  std::vector<WidthItem> items(30);
  for (size_t i = 0; i < items.size(); ++i) {
    items[i].elements = 99991 + static_cast<int64_t>(i);
    items[i].costs = {2, 1, 0};
  }
  CHECK(chooseWidths(items, 1 << 30) == std::vector<int64_t>(30, 16));
}

TEST_CASE("widths that are not for choice") {
  std::vector<WidthItem> items(3);
  for (WidthItem& item : items) {
    item.elements = 100;
    item.costs = {2, 1, 0};
  }
  items[1].pinned = 7;
  CHECK(chooseWidths(items, 1000) == std::vector<int64_t>{16, 7, 16});
  CHECK(chooseWidths(items, 1000, 8) == std::vector<int64_t>{8, 7, 8});
  CHECK(chooseWidths(items, 200) == std::vector<int64_t>{4, 7, 4});
  CHECK_THROWS_WITH(chooseWidths(items, 199), ContainsSubstring("as the recipe tells, take 200"));
  CHECK(chooseWidths({}, 0).empty());
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

// What is printed of the layers, word by word.
std::vector<std::vector<std::string>> layerRows(const std::string& out) {
  const std::vector<std::string> lines = linesOf(out);
  std::vector<std::vector<std::string>> rows;
  for (size_t i = 2; i < lines.size() && !lines[i].empty(); ++i) {
    std::istringstream stream(lines[i]);
    rows.emplace_back();
    for (std::string word; stream >> word;) rows.back().push_back(word);
  }
  return rows;
}

// The columns VALUES and OUTPUT CHOSEN without a --size-budget.
int64_t outputBytes(const std::vector<std::vector<std::string>>& rows, int64_t bits = 0) {
  int64_t bytes = 0;
  for (const auto& row : rows) {
    bytes += bytesAt(std::stoll(row.at(8)), bits > 0 ? bits : std::stoll(row.at(9)));
  }
  return bytes;
}

TEST_CASE("--activation-budget chooses widths of outputs, and writes a recipe that says so") {
  const std::string output = scratch("activations.onnx");
  const std::string recipe = scratch("activations.json");
  const auto within = [&](int64_t budget) {
    return layerRows(runWell(prepare(output, {"--activation-budget", std::to_string(budget),
                                              "--write-recipe", recipe}))
                         .out);
  };
  const auto generous = within(1000000);
  REQUIRE(generous.size() == 3);
  // Of one sample: 6 channels of 8 x 8.
  CHECK(generous[0][0] == "/first/conv");
  CHECK(generous[0][8] == "384");
  for (const auto& row : generous) CHECK(row[9] == "16");
  const int64_t narrow = outputBytes(generous, 4);
  const int64_t wide = outputBytes(generous, 16);
  for (const int64_t budget : {narrow, narrow + 40, (narrow + wide) / 2, wide}) {
    const auto rows = within(budget);
    CHECK(outputBytes(rows) <= budget);
    if (budget == narrow) CHECK(outputBytes(rows) == narrow);
    if (budget == wide) CHECK(outputBytes(rows) == wide);
    // What is chosen is what is prepared.
    const Json inspected = Json::parse(runWell({"inspect", output, "--json"}).out);
    for (const Json& quantizer : inspected["quantizers"]) {
      const auto expect = [&](const char* value, const std::string& bits) {
        if (quantizer["value"] != value) return;
        CHECK(quantizer["kind"].get<std::string>() == "uint" + bits + " per tensor");
      };
      expect("/first/relu", rows[0][9]);
      expect("/second/relu", rows[1][9]);
    }
  }
  within((narrow + wide) / 2);
  const std::string again = scratch("activations-again.onnx");
  runWell({"prepare", trainedFloat(), "-o", again, "--recipe", recipe});
  const bool same = bytesOf(output) == bytesOf(again);
  CHECK(same);

  expectBadInput({"prepare", trainedFloat(), "--data", stages().manifest, "--activation-budget",
                  std::to_string(narrow - 1)},
                 {"--activation-budget", "the outputs' codes of 4 bits take", "room for"});
  CHECK(runUntouched({"prepare", trainedFloat(), "--activation-budget", "1000"}).status == 2);
  CHECK(runUntouched({"prepare", trainedFloat(), "--write-recipe", "w.json"}).status == 2);
}

TEST_CASE("both budgets at once") {
  const std::string recipe = scratch("both.json");
  const std::string output = scratch("both.onnx");
  const auto rows =
      layerRows(runWell(prepare(output, {"--size-budget", "1000000", "--activation-budget",
                                         "1000000", "--write-recipe", recipe}))
                    .out);
  CHECK(rows[0].at(8) == "16");   // CHOSEN, "bits", VALUES
  CHECK(rows[0].at(11) == "16");  // OUTPUT CHOSEN
  const Json json = Json::parse(bytesOf(recipe));
  REQUIRE(json["overrides"].size() == 3);
  for (const Json& rule : json["overrides"]) {
    CHECK(rule["weight"]["bits"] == 16);
    CHECK(rule["activation"]["bits"] == 16);
  }
}

TEST_CASE("--activation-budget keeps the widths that the recipe has") {
  const auto chosen = [](const std::string& given) {
    const std::string recipe = scratch("kept-outputs.json");
    runWell(prepare(scratch("kept-outputs.onnx"),
                    {"--recipe", saveText(given, scratch("kept-outputs-given.json")),
                     "--activation-budget", "1000000", "--write-recipe", recipe}));
    return Json::parse(bytesOf(recipe));
  };
  // A Relu's quantizer is that of the Conv it is fused with.
  const Json pinned = chosen(R"({"overrides": [{"op_type": "Relu", "activation": {"bits": 8}}]})");
  REQUIRE(pinned["overrides"].size() == 2);
  CHECK(pinned["overrides"][1]["activation"]["bits"] == 16);
  CHECK(pinned["overrides"][1].count("weight") == 0);
  // 16 bits have no integer kernel, and 8 are what there is already.
  CHECK(chosen(R"({"preset": "onnxruntime"})").count("overrides") == 0);
  CHECK(chosen(R"({"activation": {"bits": 16}})").count("overrides") == 0);
  const std::string floats = saveText(R"({"preset": "weights-only"})", scratch("floats.json"));
  expectBadInput({"prepare", trainedFloat(), "--data", stages().manifest, "--recipe", floats,
                  "--activation-budget", "1000000"},
                 {"--activation-budget", "no layer has a quantizer at its output"});
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
