// prepare, finalize, export, eval, bench and inspect, as a user runs them one after the other.
#include <map>
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

// Standard output of a command that was told --json: one object on one line, and nothing else.
Json jsonOf(const Args& args) {
  const std::string out = runWell(args + Args{"--json"}).out;
  REQUIRE(linesOf(out).size() == 1);
  Json json = Json::parse(out);
  REQUIRE(json.is_object());
  return json;
}

std::set<std::string> keysOf(const Json& json) {
  std::set<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.insert(key);
  return keys;
}

Json inspect(const std::string& model) { return jsonOf({"inspect", model}); }

Json eval(const std::string& model, const std::string& manifest) {
  return jsonOf({"eval", model, "--data", manifest, "--loss", "cross_entropy"});
}

std::string metadata(const onnx::ModelProto& model, const std::string& key) {
  for (const auto& entry : model.metadata_props()) {
    if (entry.key() == key) return entry.value();
  }
  return "";
}

std::set<std::string> domainsOf(const onnx::ModelProto& model) {
  std::set<std::string> domains;
  for (const auto& node : model.graph().node()) domains.insert(node.domain());
  return domains;
}

const std::vector<std::string>& allStages() {
  static const auto& paths = *new std::vector<std::string>{
      stages().source, stages().prepared, stages().trained, stages().finalized, stages().exported};
  return paths;
}

// The data under other names for input and labels.
std::string renamedManifest(const std::string& input, const std::string& labels) {
  std::string text = bytesOf(stages().manifest);
  for (const auto& [from, to] : {std::pair{std::string("\"input\""), '"' + input + '"'},
                                 std::pair{std::string("\"labels\""), '"' + labels + '"'}}) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
      text.replace(at, from.size(), to);
    }
  }
  return saveText(text, scratch("stages/renamed.json"));
}

// The small network with a second head.
onnx::ModelProto twoHeads() {
  onnx::ModelProto model = smallNetwork();
  addWeight(model, "aux.weight", {8, 3}, std::vector<float>(24, 0.1f));
  addNode(model, "MatMul", {"flat", "aux.weight"}, {"aux"});
  addOutput(model, "aux");
  return model;
}

}  // namespace

TEST_CASE("prepare tells what trains and where quantizers stand") {
  const std::string output = scratch("prepared.onnx");
  const std::string out =
      runWell({"prepare", stages().source, "-o", output, "--batch-size", "4"}).out;
  for (const char* piece :
       {"first.weight", "[6, 1, 3, 3]", "/first/relu", "uint8 per tensor",
        "int8 per channel (axis 0)", "fused with BatchNormalization '/first/bn'", "ONNX RUNTIME",
        "integer", "moves codes", "gone",
        // 54 + 432 + 32 weights, 2 x 6 + 2 x 8 of BatchNormalization, 4 biases.
        "550 trained elements", "a training step at batch 4"}) {
    CHECK_THAT(out, ContainsSubstring(piece));
  }
  const bool same = bytesOf(output) == bytesOf(stages().prepared);
  CHECK(same);
}

TEST_CASE("prepare --equalize scales weights, and the model computes what it did") {
  const std::string output = scratch("equalized.onnx");
  const Result result = runWell({"prepare", stages().source, "-o", output, "--equalize"});
  CHECK_THAT(result.err, ContainsSubstring("1 pairs of layers equalized"));
  CHECK(weightsOf(output).at("second.weight") != weightsOf(stages().source).at("second.weight"));
  const auto lossOf = [&](const std::string& model) {
    const Result evaluated =
        runWell({"eval", model, "--data", stages().manifest, "--loss", "cross_entropy", "--json"});
    return Json::parse(evaluated.out)["loss"].get<double>();
  };
  // Without ranges nothing but weights is quantized.
  CHECK(lossOf(output) == Catch::Approx(lossOf(stages().source)).epsilon(0.02));
}

TEST_CASE("inspect tells what each stage holds") {
  const char* names[] = {"source", "prepared", "trained", "finalized", "exported"};
  for (size_t i = 0; i < 5; ++i) {
    INFO(names[i]);
    const Json json = inspect(allStages()[i]);
    CHECK(keysOf(json) == std::set<std::string>{"stage", "inputs", "outputs", "parameters",
                                                "float_bytes", "quantized_bytes", "operators",
                                                "quantizers"});
    CHECK(json["stage"] == names[i]);
    CHECK(json["inputs"] == Json{{{"name", "input"}, {"type", "float[N, 1, 8, 8]"}}});
    CHECK(json["outputs"] == Json{{{"name", "logits"}, {"type", "float[N, 4]"}}});
    CHECK(json["operators"].contains("BatchNormalization") == (i < 3));
    CHECK(json["operators"].contains("simaqat::FakeQuantize") == (i == 1 || i == 2));
    CHECK(json["operators"].contains("QuantizeLinear") == (i >= 3));
    CHECK(json["quantizers"].empty() == (i == 0));
    // The same in words.
    CHECK_THAT(runWell({"inspect", allStages()[i]}).out,
               ContainsSubstring(std::string("stage ") + names[i]));
  }
  // 54 + 432 + 32 weights, 4 biases, 2 x 14 of BatchNormalization; folded, that is 14 biases.
  for (size_t i = 0; i < 5; ++i) {
    CHECK(inspect(allStages()[i])["parameters"] == (i < 3 ? 550 : 536));
  }
  const Json exported = inspect(stages().exported);
  // Codes, INT32 biases, and for each of 18 channels a scale and a zero point of each.
  CHECK(exported["quantized_bytes"] == 518 + 4 * 18 + 18 * (4 + 1) + 18 * (4 + 4));
  // input, two activations, the mean and the logits; three weights.
  CHECK(inspect(stages().prepared)["operators"]["simaqat::FakeQuantize"] == 8);
  CHECK(inspect(stages().prepared)["quantizers"][0]["range"].is_null());
  const Json range = inspect(stages().trained)["quantizers"][0]["range"];
  CHECK(range[0].get<double>() < 0);
  CHECK(range[1].get<double>() > 0);
}

TEST_CASE("--outputs leaves out what the other outputs need") {
  const std::string source = save(twoHeads(), scratch("two-heads.onnx"));
  const std::string prepared = scratch("one-head.onnx");
  runWell({"prepare", source, "-o", prepared, "--outputs", "logits"});
  const onnx::ModelProto model = load(prepared);
  REQUIRE(model.graph().output_size() == 1);
  CHECK(model.graph().output(0).name() == "logits");
  CHECK(weightsOf(prepared).count("aux.weight") == 0);
  CHECK(inspect(prepared)["operators"].contains("MatMul") == false);
  CHECK(inspect(prepared)["operators"] == inspect(stages().prepared)["operators"]);

  const std::string swapped = scratch("swapped-heads.onnx");
  runWell({"prepare", source, "-o", swapped, "--outputs", "aux,logits"});
  CHECK(inspect(swapped)["outputs"][0]["name"] == "aux");
  CHECK(inspect(swapped)["outputs"][1]["name"] == "logits");
}

TEST_CASE("prepare keeps what it was told about weights and BatchNormalization") {
  const std::string prepared = scratch("frozen.onnx");
  const std::string trainable = "simaqat.trainable";
  runWell({"prepare", stages().source, "-o", prepared, "--bn", "frozen", "--freeze", "first.*"});
  const onnx::ModelProto model = load(prepared);
  for (const auto& node : model.graph().node()) {
    if (node.op_type() == "BatchNormalization") CHECK(node.output_size() == 1);
  }
  const std::string kept = metadata(model, trainable);
  CHECK_THAT(kept, ContainsSubstring("second.weight\n") && ContainsSubstring("fc.bias\n"));
  CHECK_THAT(kept, !ContainsSubstring("first."));

  runWell({"prepare", stages().source, "-o", prepared, "--freeze", "*", "--train", "norm"});
  // --freeze goes last: nothing is left.
  CHECK(metadata(load(prepared), trainable).empty());
  CHECK_THAT(metadata(load(stages().prepared), trainable), ContainsSubstring("first.gamma\n"));
}

TEST_CASE("a recipe switches quantization off by operator and by name") {
  const std::string prepared = scratch("recipe.onnx");
  const auto quantizersWith = [&](const std::string& overrides) {
    const std::string recipe =
        saveText(R"({"preset": "sima", "overrides": [)" + overrides + "]}", scratch("recipe.json"));
    runWell({"prepare", stages().source, "-o", prepared, "--recipe", recipe});
    std::set<std::string> names;
    const Json json = inspect(prepared);
    for (const Json& entry : json["quantizers"]) names.insert(entry["value"]);
    return names;
  };
  const std::set<std::string> all = quantizersWith("");
  CHECK(all.size() == 8);
  std::set<std::string> without = all;
  without.erase("fc.weight");
  without.erase("logits/raw");
  CHECK(quantizersWith(R"({"op_type": "Gemm", "quantize": false})") == without);
  const std::set<std::string> by_name = quantizersWith(R"({"node": "/log*", "quantize": false})");
  CHECK(by_name.count("fc.weight") == 0);
  CHECK(by_name.count("first.weight") == 1);
}

TEST_CASE("finalize and export write standard files") {
  const onnx::ModelProto finalized = load(stages().finalized);
  const onnx::ModelProto exported = load(stages().exported);
  for (const onnx::ModelProto* model : {&finalized, &exported}) {
    CHECK(domainsOf(*model) == std::set<std::string>{""});
    CHECK(model->functions_size() == 0);
    CHECK(model->opset_import_size() == 1);
  }
  CHECK(exported.opset_import(0).version() == 13);
  std::map<std::string, int> types;
  for (const auto& tensor : exported.graph().initializer()) {
    types[tensor.name()] = tensor.data_type();
  }
  std::map<std::string, int> dequantized;  // what is behind a DequantizeLinear's output
  for (const auto& node : exported.graph().node()) {
    if (node.op_type() == "DequantizeLinear") dequantized[node.output(0)] = types[node.input(0)];
  }
  int integer_nodes = 0;
  for (const auto& node : exported.graph().node()) {
    if (node.op_type() != "Conv" && node.op_type() != "Gemm") continue;
    REQUIRE(node.input_size() == 3);
    CHECK(dequantized.at(node.input(1)) == onnx::TensorProto::INT8);
    CHECK(dequantized.at(node.input(2)) == onnx::TensorProto::INT32);
    ++integer_nodes;
  }
  CHECK(integer_nodes == 3);
  for (int opset = 13; opset <= 21; ++opset) {
    const std::string path = scratch("opset.onnx");
    runWell({"export", stages().finalized, "-o", path, "--opset", std::to_string(opset)});
    CHECK(load(path).opset_import(0).version() == opset);
    CHECK(eval(path, stages().manifest) == eval(stages().exported, stages().manifest));
  }
}

TEST_CASE("export renames inputs and outputs by position") {
  const std::string path = scratch("renamed.onnx");
  // "first.weight" is a name that is taken inside the graph.
  runWell({"export", stages().finalized, "-o", path, "--input-names", "image", "--output-names",
           "first.weight"});
  const onnx::ModelProto model = load(path);
  CHECK(model.graph().input(0).name() == "image");
  CHECK(model.graph().output(0).name() == "first.weight");
  CHECK(eval(path, renamedManifest("image", "kind")) == eval(stages().exported, stages().manifest));
}

TEST_CASE("export --float writes FP32 of every stage that has it") {
  const std::string path = scratch("float.onnx");
  const Stages& s = stages();
  for (const std::string& model : {s.source, s.prepared, s.trained}) {
    INFO(model);
    runWell({"export", model, "-o", path, "--float"});
    const onnx::ModelProto written = load(path);
    CHECK(domainsOf(written) == std::set<std::string>{""});
    CHECK(written.metadata_props_size() <= 1);
    for (const auto& node : written.graph().node()) {
      CHECK(node.op_type().find("QuantizeLinear") == std::string::npos);
      if (node.op_type() == "BatchNormalization") CHECK(node.output_size() == 1);
    }
    const auto before = weightsOf(model);
    for (const auto& [name, bytes] : weightsOf(path)) {
      INFO(name);
      const bool same = bytes == before.at(name);
      CHECK(same);
    }
    CHECK(weightsOf(path).count("first.weight") == 1);
  }
  // Nothing has been observed there: all three compute the same.
  runWell({"export", s.prepared, "-o", path, "--float"});
  CHECK(eval(path, s.manifest) == eval(s.source, s.manifest));
  runWell({"export", s.trained, "-o", path, "--float"});
  CHECK(eval(path, s.manifest)["top1"].get<double>() > 0.9);
}

TEST_CASE("eval tells the split, the samples, the loss and the share of right classes") {
  const std::string& manifest = stages().manifest;
  const Json json = eval(stages().trained, manifest);
  CHECK(keysOf(json) == std::set<std::string>{"split", "samples", "loss", "top1"});
  CHECK(json["split"] == "test");
  CHECK(json["samples"] == 100);
  CHECK(json["top1"].get<double>() > 0.9);
  CHECK(json["loss"].get<double>() < 0.7);

  CHECK(keysOf(jsonOf({"eval", stages().exported, "--data", manifest})) ==
        std::set<std::string>{"split", "samples", "top1"});
  CHECK(keysOf(jsonOf({"eval", stages().exported, "--data", manifest, "--metric", "none"})) ==
        std::set<std::string>{"split", "samples"});
  const Json train = jsonOf({"eval", stages().exported, "--data", manifest, "--split", "train"});
  CHECK(train["split"] == "train");
  CHECK(train["samples"] == 256);
  CHECK_THAT(runWell({"eval", stages().exported, "--data", manifest}).out,
             ContainsSubstring("test: 100 samples\ntop1 "));
}

TEST_CASE("eval writes what each sample was taken for") {
  const std::string classes = scratch("classes.txt");
  const Json result =
      jsonOf({"eval", stages().exported, "--data", stages().manifest, "--classes", classes});
  const std::vector<std::string> lines = linesOf(bytesOf(classes));
  REQUIRE(lines.size() == 100);
  int right = 0;
  for (size_t i = 0; i < lines.size(); ++i) right += std::stoi(lines[i]) == static_cast<int>(i % 4);
  CHECK(right / 100.0 == Catch::Approx(result["top1"].get<double>()));
}

TEST_CASE("--reference evaluates, trains and times without what makes a graph fast") {
  const Stages& s = stages();
  for (const std::string& model : allStages()) {
    INFO(model);
    const Args args = {"eval", model, "--data", s.manifest, "--loss", "cross_entropy"};
    const double fast = jsonOf(args)["loss"];
    CHECK(jsonOf(args + Args{"--reference"})["loss"].get<double>() == Approx(fast).epsilon(1e-3));
    jsonOf({"bench", model, "--batch-size", "4", "--steps", "1", "--reference"});
  }
  const Args args = {"train",   s.prepared, "--data", s.manifest, "--loss", "cross_entropy",
                     "--steps", "2",        "--lr",   "0",        "-o",     scratch("r.onnx")};
  CHECK_THAT(runWell(args + Args{"--dump-after", "store-codes"}).err,
             ContainsSubstring("# after store-codes"));
  runWell(args + Args{"--reference"});
  // A pass that does not run cannot be dumped.
  CHECK(run(args + Args{"--reference", "--dump-after", "store-codes"}).status != 0);
  CHECK(run(args + Args{"--reference", "--memory-limit", "1GiB"}).status == 2);
  CHECK(run(args + Args{"--reference", "--backward", "fp32"}).status == 2);
}

TEST_CASE("bench times a step of every stage") {
  for (const std::string& model : allStages()) {
    INFO(model);
    const Json json = jsonOf({"bench", model, "--batch-size", "4", "--steps", "3"});
    CHECK(keysOf(json) == std::set<std::string>{"median_ms", "fastest_ms", "samples_per_second",
                                                "arena_bytes", "step_memory_bytes",
                                                "peak_rss_bytes"});
    const double median = json["median_ms"];
    CHECK(json["fastest_ms"].get<double>() > 0);
    CHECK(json["fastest_ms"].get<double>() <= median);
    CHECK(json["samples_per_second"].get<double>() == Approx(4000 / median));
    // At least the first convolution's output.
    CHECK(json["arena_bytes"].get<int64_t>() >= 4 * 6 * 8 * 8 * 4);
    CHECK(json["peak_rss_bytes"].get<int64_t>() > json["arena_bytes"].get<int64_t>());
  }
  const std::string trace = scratch("trace.json");
  const Json profiled =
      jsonOf({"bench", stages().prepared, "--batch-size", "4", "--profile", trace});
  CHECK(profiled["floor_ms"].get<double>() > 0);
  CHECK_THAT(runWell({"bench", stages().prepared, "--batch-size", "4", "--profile", trace}).out,
             ContainsSubstring("floor") && ContainsSubstring("of the median"));
  const auto arena = [](const Args& args) {
    return jsonOf(Args{"bench", stages().prepared, "--steps", "1"} + args)["arena_bytes"]
        .get<int64_t>();
  };
  // Batches so large that kernels' scratch memory, which does not grow with them, is the smaller
  // part.
  CHECK(arena({"--batch-size", "512"}) > 4 * arena({"--batch-size", "64"}));
  CHECK(arena({"--batch-size", "4", "--loss", "mse"}) > 0);
  CHECK_THAT(runWell({"bench", stages().exported, "--batch-size", "2", "--steps", "1"}).out,
             ContainsSubstring("samples/s") && ContainsSubstring("arena"));
}

TEST_CASE("bench takes the shape of an input that leaves it open") {
  onnx::ModelProto model = smallNetwork();
  auto* shape = model.mutable_graph()
                    ->mutable_input(0)
                    ->mutable_type()
                    ->mutable_tensor_type()
                    ->mutable_shape();
  shape->mutable_dim(2)->set_dim_param("H");
  shape->mutable_dim(3)->set_dim_param("W");
  const std::string path = save(model, scratch("open.onnx"));
  const auto arena = [&](const char* dims) {
    return jsonOf({"bench", path, "--batch-size", "2", "--steps", "1", "--input-shape",
                   std::string("input:") + dims})["arena_bytes"]
        .get<int64_t>();
  };
  CHECK(arena("1x32x32") > 2 * arena("1x8x8"));
  const Result without = run({"bench", path, "--batch-size", "2"});
  INFO(without.err);
  CHECK(without.status == 3);
  CHECK_THAT(without.err, ContainsSubstring("'input'"));
}

TEST_CASE("bench takes batches of data, and makes up integers that indices may be") {
  const Stages& s = stages();
  for (const std::string& model : {s.prepared, s.exported}) {
    const Json json = jsonOf({"bench", model, "--batch-size", "4", "--steps", "2", "--data",
                              s.manifest});
    CHECK(json["median_ms"].get<double>() > 0);
  }
  CHECK(run({"bench", s.prepared, "--batch-size", "100000", "--data", s.manifest}).status == 3);

  onnx::ModelProto model = emptyModel();
  addInput(model, "indices", onnx::TensorProto::INT64, {"N", "6"});
  addOutput(model, "y");
  addWeight(model, "rows", {3, 2}, {1, 2, 3, 4, 5, 6});
  addNode(model, "Gather", {"rows", "indices"}, {"y"});
  jsonOf({"bench", save(model, scratch("indices.onnx")), "--batch-size", "8", "--steps", "1"});
}

TEST_CASE("a file of options does as the options do") {
  const Stages& s = stages();
  const std::string output = scratch("configured.onnx");
  const std::string config = saveText("data=\"" + s.manifest +
                                          "\"\nloss=cross_entropy\nlr=0.05\nepochs=6\n"
                                          "batch-size=16\n",
                                      scratch("train.ini"));
  runWell({"train", s.prepared, "-o", output, "--config", config});
  const bool same = bytesOf(output) == bytesOf(s.trained);
  CHECK(same);
  // The command line goes before it.
  runWell({"train", s.prepared, "-o", output, "--config", config, "--epochs", "1"});
  const bool still_same = bytesOf(output) == bytesOf(s.trained);
  CHECK_FALSE(still_same);
}

TEST_CASE("--dump-after prints the graph after a pass") {
  const Result result =
      runWell({"prepare", stages().source, "-o", scratch("dumped.onnx"), "--dump-after", "all"});
  CHECK_THAT(result.err, ContainsSubstring("# after") && ContainsSubstring("= Conv(%input"));
}
