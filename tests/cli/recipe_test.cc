// What recipes choose, through every command: the trained, the finalized and the exported file agree.
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/catch.h"
#include "tests/cli/bad_input.h"
#include "tests/cli/run.h"
#include "tests/cli/samples.h"

namespace simaqat::cli {
namespace {

using Json = nlohmann::json;

Json jsonOf(const Args& args) { return Json::parse(runWell(args).out); }

struct Shipped {
  std::string prepared = scratch("recipe-prepared.onnx");
  std::string trained = scratch("recipe-trained.onnx");
  std::string finalized = scratch("recipe-finalized.onnx");
  std::string exported = scratch("recipe-exported.onnx");
};

const std::string& recipeFile(const std::string& recipe) {
  static std::string path;
  path = saveText(recipe, scratch("recipe.json"));
  return path;
}

Args training(const Shipped& files) {
  return {"train", files.prepared, "--data", stages().manifest, "-o", files.trained, "--loss",
          "cross_entropy", "--epochs", "5", "--batch-size", "16", "--lr", "0.05", "--seed", "3"};
}

Shipped ship(const std::string& recipe) {
  Shipped files;
  runWell({"prepare", stages().source, "-o", files.prepared, "--recipe", recipeFile(recipe)});
  runWell(training(files));
  runWell({"finalize", files.trained, "-o", files.finalized});
  runWell({"export", files.finalized, "-o", files.exported});
  return files;
}

Json evaluated(const std::string& model) {
  return jsonOf({"eval", model, "--data", stages().manifest, "--split", "test", "--loss",
                 "cross_entropy", "--json"});
}

std::set<std::string> kinds(const std::string& model) {
  std::set<std::string> result;
  const Json inspected = jsonOf({"inspect", model, "--json"});
  for (const Json& entry : inspected["quantizers"]) {
    result.insert(entry["kind"].get<std::string>());
  }
  return result;
}

std::set<int> initializerTypes(const std::string& model) {
  std::set<int> types;
  const onnx::ModelProto loaded = load(model);
  for (const auto& tensor : loaded.graph().initializer()) types.insert(tensor.data_type());
  return types;
}

void checkAgreement(const std::string& recipe, double least_top1) {
  INFO(recipe);
  const Shipped files = ship(recipe);
  const Json trained = evaluated(files.trained);
  const Json exported = evaluated(files.exported);
  CHECK(evaluated(files.finalized) == exported);
  CHECK(std::fabs(trained["top1"].get<double>() - exported["top1"].get<double>()) <= 0.02);
  CHECK(std::fabs(trained["loss"].get<double>() - exported["loss"].get<double>()) <= 0.02);
  CHECK(exported["top1"].get<double>() >= least_top1);
}

TEST_CASE("presets train and ship") {
  for (const char* preset :
       {"sima", "onnxruntime", "onnxruntime-7bit", "xnnpack", "tensorrt", "weights-only"}) {
    checkAgreement(std::string(R"({"preset": ")") + preset + "\"}", 0.9);
  }
}

TEST_CASE("what presets choose") {
  CHECK(kinds(ship(R"({"preset": "xnnpack"})").prepared) ==
        std::set<std::string>{"int8 per tensor", "int8 per channel (axis 0)"});
  CHECK(kinds(ship(R"({"preset": "onnxruntime-7bit"})").prepared) ==
        std::set<std::string>{"uint8 per tensor", "int8 (7 bits) per channel (axis 0)"});
  CHECK(kinds(ship(R"({"preset": "tensorrt"})").prepared) ==
        std::set<std::string>{"int8 symmetric per tensor", "int8 per channel (axis 0)"});
  CHECK(kinds(ship(R"({"preset": "weights-only"})").prepared) ==
        std::set<std::string>{"int8 per channel (axis 0)"});
  const int integer_bias = onnx::TensorProto::INT32;
  CHECK(initializerTypes(ship(R"({"preset": "sima"})").exported).count(integer_bias) == 1);
  CHECK(initializerTypes(ship(R"({"preset": "tensorrt"})").exported).count(integer_bias) == 0);
}

TEST_CASE("observers of activations and weights") {
  for (const char* observer :
       {"moving_average_min_max", "min_max", "percentile", "mse", "entropy", "lsq", "lsq_plus"}) {
    checkAgreement(std::string(R"({"activation": {"observer": ")") + observer + "\"}}", 0.9);
  }
  for (const char* observer : {"max", "mse", "lsq"}) {
    checkAgreement(std::string(R"({"weight": {"observer": ")") + observer + "\"}}", 0.9);
    checkAgreement(
        std::string(R"({"weight": {"granularity": "tensor", "observer": ")") + observer + "\"}}",
        0.9);
  }
}

// Attributes of the FakeQuantize behind a value.
std::map<std::string, onnx::AttributeProto> quantizerOf(const std::string& prepared,
                                                        const std::string& value) {
  const onnx::ModelProto loaded = load(prepared);
  std::map<std::string, onnx::AttributeProto> attributes;
  for (const auto& node : loaded.graph().node()) {
    if (node.op_type() != "FakeQuantize" || node.input(0) != value) continue;
    for (const auto& attribute : node.attribute()) attributes[attribute.name()] = attribute;
  }
  REQUIRE(!attributes.empty());
  return attributes;
}

TEST_CASE("an observer's numbers reach the quantizer") {
  const std::string prepared = ship(R"({
      "activation": {"observer": "percentile", "percentile": 99.5, "averaging_constant": 0.125},
      "overrides": [{"op_type": "input", "activation": {"observer": "min_max", "signed": true,
                                                        "symmetric": true}}]})")
                                   .prepared;
  auto logits = quantizerOf(prepared, "logits/raw");
  CHECK(logits["observer"].s() == "percentile");
  CHECK(logits["percentile"].f() == 99.5f);
  CHECK(logits["averaging_constant"].f() == 0.125f);
  CHECK(logits["qmin"].i() == 0);
  auto input = quantizerOf(prepared, "input");
  CHECK(input["observer"].s() == "min_max");
  CHECK(input["symmetric"].i() == 1);
  CHECK(input["qmin"].i() == -128);
}

TEST_CASE("an observer's numbers may come from another override than the observer") {
  const Shipped files = ship(R"({"overrides": [
      {"op_type": "Gemm", "activation": {"observer": "percentile"}},
      {"op_type": "Gemm", "activation": {"percentile": 99.5}}]})");
  CHECK(quantizerOf(files.prepared, "logits/raw")["percentile"].f() == 99.5f);
}

TEST_CASE("widths, and the opset that they need") {
  checkAgreement(R"({"weight": {"bits": 4}})", 0.9);
  checkAgreement(R"({"weight": {"bits": 4, "observer": "lsq"}, "activation": {"bits": 4,
                     "observer": "lsq"}})",
                 0.7);
  checkAgreement(R"({"activation": {"bits": 16}})", 0.9);
  const Shipped four = ship(R"({"weight": {"bits": 4}})");
  CHECK(load(four.exported).opset_import(0).version() == 21);
  CHECK(initializerTypes(four.exported).count(22) == 1);  // INT4
  // Two codes to a byte.
  const onnx::ModelProto exported = load(four.exported);
  for (const auto& tensor : exported.graph().initializer()) {
    if (tensor.data_type() != 22) continue;
    int64_t elements = 1;
    for (int64_t dim : tensor.dims()) elements *= dim;
    CHECK(static_cast<int64_t>(tensor.raw_data().size()) == (elements + 1) / 2);
  }
  const Result old = run({"export", four.finalized, "-o", four.exported, "--opset", "17"});
  CHECK(old.status == 3);
  CHECK_THAT(old.err, Catch::Matchers::ContainsSubstring("21"));
}

TEST_CASE("overrides choose node by node") {
  const Shipped files = ship(R"({"overrides": [
      {"op_type": "Conv", "weight": {"bits": 4}},
      {"op_type": "Gemm", "weight": {"granularity": "tensor"}, "activation": {"bits": 16}},
      {"op_type": "input", "activation": {"signed": true}}]})");
  CHECK(kinds(files.prepared) ==
        std::set<std::string>{"int4 per channel (axis 0)", "int8 per tensor", "uint8 per tensor",
                              "uint16 per tensor"});
}

TEST_CASE("approximated functions train and ship") {
  for (const char* how : {R"("segments": 16, "range": [-8, 8])", R"("table": 256, "range": [-8, 8])",
                          R"("segments": 4, "range": [-8, 8], "export": "function")"}) {
    checkAgreement(std::string(R"({"approximate": {"Relu": {)") + how + "}}}", 0.9);
  }
  const Shipped files = ship(R"({"approximate": {"Relu": {"segments": 16, "range": [-8, 8]}}})");
  const std::string whole = bytesOf(files.trained);
  const std::string checkpoint = scratch("approximated.ckpt");
  runWell(training(files) + Args{"--checkpoint", checkpoint, "--checkpoint-every", "7"});
  runWell(training(files) + Args{"--resume", checkpoint});
  CHECK((bytesOf(files.trained) == whole));
}

TEST_CASE("one learned scale of a weight with its BatchNormalization is the one that ships") {
  const Shipped files =
      ship(R"({"weight": {"bits": 4, "observer": "lsq", "granularity": "tensor"}})");
  CHECK(kinds(files.trained) == std::set<std::string>{"int4 per tensor", "uint8 per tensor"});
  const auto floatOf = [](const std::string& path, const std::string& name) {
    const std::string bytes = weightsOf(path).at(name);
    REQUIRE(bytes.size() == sizeof(float));
    float number;
    std::memcpy(&number, bytes.data(), sizeof(float));
    return number;
  };
  for (const std::string name : {"first.weight", "second.weight"}) {
    const float learned = floatOf(files.trained, name + "/folded_scale");
    CHECK(learned != floatOf(files.prepared, name + "/folded_scale"));
    CHECK(floatOf(files.exported, name + "/quantized_scale") ==
          Catch::Approx(learned).epsilon(1e-6));
  }
}

TEST_CASE("learned scales change, and a run goes on bit for bit") {
  const std::string granularity = GENERATE(as<std::string>(), "channel", "tensor");
  const std::string recipe = R"({"weight": {"observer": "lsq", "granularity": ")" + granularity +
                             R"("}, "activation": {"observer": "lsq_plus"}})";
  const Shipped files = ship(recipe);
  const std::string whole = bytesOf(files.trained);
  const auto scales = [](const std::string& path) {
    std::map<std::string, std::string> found;
    for (const auto& [name, bytes] : weightsOf(path)) {
      if (name.size() > 6 && name.substr(name.size() - 6) == "/scale") found[name] = bytes;
    }
    return found;
  };
  const auto before = scales(files.prepared);
  const auto after = scales(files.trained);
  REQUIRE(before.size() == after.size());
  for (const auto& [name, bytes] : before) {
    INFO(name);
    CHECK((bytes != after.at(name)));
  }
  const std::string checkpoint = scratch("learned.ckpt");
  runWell(training(files) + Args{"--checkpoint", checkpoint, "--checkpoint-every", "7"});
  runWell(training(files) + Args{"--resume", checkpoint});
  CHECK((bytesOf(files.trained) == whole));
  runWell(training(files) + Args{"--quantizer-lr", "0.0001"});
  CHECK((bytesOf(files.trained) != whole));
}

TEST_CASE("histograms are kept by checkpoints") {
  const Shipped files = ship(R"({"activation": {"observer": "mse"}})");
  const std::string whole = bytesOf(files.trained);
  const std::string checkpoint = scratch("histogram.ckpt");
  runWell(training(files) + Args{"--checkpoint", checkpoint, "--checkpoint-every", "7"});
  runWell(training(files) + Args{"--resume", checkpoint});
  CHECK((bytesOf(files.trained) == whole));
}

TEST_CASE("recipes that cannot be") {
  const std::vector<std::pair<const char*, const char*>> bad = {
      {R"({"activation": {"bits": 5}})", "4, 8 or 16"},
      {R"({"weight": {"bits": 9}})", "2 to 8"},
      {R"({"weight": {"bits": 1}})", "2 to 8"},
      {R"({"weight": {"observer": "percentile"}})", "max, mse, lsq"},
      {R"({"activation": {"observer": "best"}})", "'best'"},
      {R"({"activation": {"granularity": "channel"}})", "granularity"},
      {R"({"weight": {"granularity": "row"}})", "channel or tensor"},
      {R"({"weight": {"symmetric": false}})", "symmetric"},
      {R"({"weight": {"signed": false}})", "signed"},
      {R"({"activation": {"percentile": 0}})", "percentile"},
      {R"({"activation": {"averaging_constant": 2}})", "averaging_constant"},
      {R"({"activation": {"observer": "lsq_plus", "symmetric": true}})", "lsq_plus"},
      {R"({"activation": {"bit": 8}})", "bit"},
      {R"({"overrides": [{"op_type": "Conv", "weight": {"bits": 12}}]})", "2 to 8"},
      {R"({"approximate": {"Relu": {}}})", "table or segments"},
      {R"({"approximate": {"Relu": {"table": 2, "segments": 2}}})", "table or segments"},
      {R"({"approximate": {"Relu": {"table": 1}}})", "2 to 65536"},
      {R"({"approximate": {"Relu": {"segments": 0}}})", "1 to 65536"},
      {R"({"approximate": {"Relu": {"table": 9, "range": [1]}}})", "two numbers"},
      {R"({"approximate": {"Relu": {"table": 9, "range": [1, 1]}}})", "two numbers"},
      {R"({"approximate": {"Relu": {"table": 9, "export": "table"}}})", "operators or function"},
      {R"({"approximate": {"Relu": {"table": 9, "lines": 2}}})", "lines"},
      {R"({"approximate": {"Tanh": {"table": 9}}})", "no node is or computes Tanh"},
      {R"({"approximate": {"Relu": {"table": 9}}})", "have no quantizer at their input"},
      {R"({"overrides": [{"op_type": "input", "node": "nothing", "quantize": false}]})",
       "'nothing'"}};
  for (const auto& [recipe, word] : bad) {
    const std::string path = saveText(recipe, scratch("bad-recipe.json"));
    expectBadInput({"prepare", stages().source, "--recipe", path}, {word});
  }
}

}  // namespace
}  // namespace simaqat::cli
