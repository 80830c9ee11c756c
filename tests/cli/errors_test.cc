// Bad input: exit status 3, one line on standard error that names the culprit, and the output file
// as it was. Bad command lines: exit status 2.
#include <filesystem>

#include "tests/catch.h"
#include "tests/cli/bad_input.h"
#include "tests/cli/run.h"
#include "tests/cli/samples.h"

namespace fs = std::filesystem;
using Catch::Matchers::ContainsSubstring;
using namespace simaqat::cli;

namespace {

// The mean of the difference of "logits" and an input of that name.
std::string lossWithInput(const std::string& name) {
  onnx::ModelProto loss = emptyModel();
  addInput(loss, "logits", onnx::TensorProto::FLOAT, {"N", "4"});
  addInput(loss, name, onnx::TensorProto::FLOAT, {"N", "4"});
  addNode(loss, "Sub", {"logits", name}, {"difference"});
  onnx::AttributeProto* keep =
      addNode(loss, "ReduceMean", {"difference"}, {"loss"})->add_attribute();
  keep->set_name("keepdims");
  keep->set_type(onnx::AttributeProto::INT);
  keep->set_i(0);
  addOutput(loss, "loss");
  return save(loss, scratch("loss-" + name + ".onnx"));
}

// What cross_entropy is, from a file.
std::string crossEntropyFile() {
  onnx::ModelProto loss = emptyModel();
  addInput(loss, "logits", onnx::TensorProto::FLOAT, {"N", "4"});
  addInput(loss, "labels", onnx::TensorProto::INT64, {"N"});
  addNode(loss, "SoftmaxCrossEntropyLoss", {"logits", "labels"}, {"loss"});
  addOutput(loss, "loss");
  return save(loss, scratch("cross-entropy.onnx"));
}

// A weight that another file holds.
std::string externalModel(const std::string& location) {
  onnx::ModelProto model = smallNetwork();
  onnx::TensorProto* weight = nullptr;
  for (auto& tensor : *model.mutable_graph()->mutable_initializer()) {
    if (tensor.name() == "fc.weight") weight = &tensor;
  }
  REQUIRE(weight != nullptr);
  weight->clear_float_data();
  weight->set_data_location(onnx::TensorProto::EXTERNAL);
  auto* entry = weight->add_external_data();
  entry->set_key("location");
  entry->set_value(location);
  return save(model, scratch("external/model.onnx"));
}

}  // namespace

TEST_CASE("what is not an ONNX model is refused") {
  const std::string text = saveText("this is no model\n", scratch("text.onnx"));
  const std::string empty = saveText("", scratch("empty.onnx"));
  const std::string whole = bytesOf(stages().source);
  const std::string cut =
      saveText(whole.substr(0, whole.size() * 2 / 3), scratch("truncated.onnx"));
  for (const std::string& model : {text, empty, cut}) {
    expectBadInput({"prepare", model}, {model, "not an ONNX model", "truncated"});
  }
  expectBadInput({"prepare", scratch("missing.onnx")}, {"missing.onnx", "cannot be opened"});
  expectBadInput({"prepare", scratch("out")}, {"is a folder"});
  checkOneLine(run({"eval", text, "--data", stages().manifest}), {text});
  checkOneLine(run({"inspect", cut}), {cut});
  checkOneLine(run({"bench", cut, "--batch-size", "2"}), {cut});
}

TEST_CASE("unknown operators are listed, all of them") {
  onnx::ModelProto model = smallNetwork();
  addNode(model, "Frobnicate", {"logits"}, {"frobnicated"});
  addNode(model, "Mystery", {"frobnicated"}, {"end"})->set_domain("com.example");
  addOutput(model, "end");
  expectBadInput({"prepare", save(model, scratch("unknown.onnx"))},
                 {"unknown.onnx", "Frobnicate '/frobnicated'", "com.example::Mystery '/end'"});
}

TEST_CASE("random numbers that evaluation depends on are refused") {
  onnx::ModelProto model = smallNetwork();
  addNode(model, "RandomNormalLike", {"logits"}, {"noise"})->set_name("/head/noise");
  addNode(model, "Add", {"logits", "noise"}, {"noisy"});
  addOutput(model, "noisy");
  const std::string path = save(model, scratch("noisy.onnx"));
  expectBadInput({"prepare", path},
                 {path, "RandomNormalLike '/head/noise' draws random numbers", "in evaluation"});
  // Not where that output is left out.
  runWell({"prepare", path, "-o", scratch("quiet.onnx"), "--outputs", "logits"});
}

TEST_CASE("names that would break the line do not") {
  onnx::ModelProto model = smallNetwork();
  addNode(model, "Frob\nnicate", {"logits"}, {"a\n\nb"});
  addOutput(model, "a\n\nb");
  expectBadInput({"prepare", save(model, scratch("lines.onnx"))}, {"Frob nicate '/a b'"});
}

TEST_CASE("a loss that does not fit is refused") {
  const Stages& s = stages();
  expectBadInput(trainArgs(s.prepared, s.manifest, lossWithInput("target")),
                 {"'target'", "nothing provides", "--bind"});
  expectBadInput(
      trainArgs(s.prepared, s.manifest, lossWithInput("target")) + Args{"--bind", "target=nowhere"},
      {"'target'", "'nowhere'"});
  // A field that has the name of the model's output.
  const std::string both = saveText(R"({"splits": {"train": {"fields": {
      "input": {"array": "train-images"}, "logits": {"array": "train-labels"}}}}})",
                                    scratch("stages/both.json"));
  expectBadInput(trainArgs(s.prepared, both, lossWithInput("input")), {"'logits'", "both"});
  expectBadInput(trainArgs(s.prepared, s.manifest, scratch("no-loss.onnx")), {"no-loss.onnx"});
}

TEST_CASE("external data stays in the model's folder") {
  const std::string outside = saveText(std::string(128, '\0'), scratch("outside.bin"));
  for (const std::string& location :
       {std::string("../outside.bin"), outside, std::string("a/../../outside.bin")}) {
    expectBadInput({"prepare", externalModel(location)},
                   {"model.onnx", "'fc.weight'", location, "leaves the model's folder"});
  }
  fs::create_symlink(outside, scratch("external/link.bin"));
  expectBadInput({"prepare", externalModel("link.bin")}, {"'fc.weight'", "leaves"});
  expectBadInput({"prepare", externalModel("missing.bin")}, {"'fc.weight'", "missing.bin"});
  saveText(std::string(100, '\0'), scratch("external/short.bin"));
  expectBadInput({"prepare", externalModel("short.bin")}, {"'fc.weight'", "short.bin"});
  saveText(std::string(128, '\0'), scratch("external/inside.bin"));
  runWell({"prepare", externalModel("inside.bin"), "-o", scratch("external/prepared.onnx")});
}

TEST_CASE("each command refuses the stages that it does not take") {
  const Stages& s = stages();
  expectBadInput(trainArgs(s.finalized, s.manifest), {s.finalized, "finalized", "inference only"});
  expectBadInput(trainArgs(s.exported, s.manifest), {s.exported, "exported", "inference only"});
  for (const std::string& model : {s.source, s.prepared, s.trained}) {
    expectBadInput({"export", model}, {model, "finalize", "--float"});
  }
  expectBadInput({"export", s.finalized, "--float"}, {s.finalized, "FP32 weights are gone"});
  expectBadInput({"finalize", s.prepared}, {s.prepared, "no range yet", "'input'"});
  expectBadInput({"finalize", s.source}, {s.source, "finalize takes a trained model"});
  expectBadInput({"finalize", s.finalized}, {s.finalized, "is finalized"});
  for (const std::string& model : {s.prepared, s.trained, s.finalized, s.exported}) {
    expectBadInput({"prepare", model}, {model, "already"});
  }
  expectBadInput(trainArgs(s.source, s.manifest) + Args{"--calibrate", "2"},
                 {s.source, "no observers"});
}

TEST_CASE("a batch that a Reshape fixes is named, and is the only one") {
  onnx::ModelProto model = smallNetwork();
  fixBatch(model, 8);
  for (auto& node : *model.mutable_graph()->mutable_node()) {
    if (node.op_type() != "Flatten") continue;
    node.set_op_type("Reshape");
    node.add_input("to");
  }
  onnx::TensorProto* to = model.mutable_graph()->add_initializer();
  to->set_name("to");
  to->set_data_type(onnx::TensorProto::INT64);
  to->add_dims(2);
  to->add_int64_data(8);
  to->add_int64_data(-1);
  const std::string source = save(model, scratch("fixed.onnx"));
  const std::string prepared = scratch("fixed-prepared.onnx");
  runWell({"prepare", source, "-o", prepared});
  expectBadInput(trainArgs(prepared, stages().manifest), {"Reshape '/flat'", "8", "16"});
  for (const Args& args : {Args{"eval", prepared, "--data", stages().manifest, "--batch-size", "16"},
                           Args{"bench", prepared, "--batch-size", "16"}}) {
    checkOneLine(run(args), {"Reshape '/flat'", "fixes the batch to 8", "16"});
  }
  // No option is cited that was not given.
  const Result result = run({"train", prepared, "--loss", "cross_entropy", "--data",
                             stages().manifest, "-o", scratch("fixed-trained.onnx")});
  CHECK(result.status == 3);
  CHECK_THAT(result.err, ContainsSubstring("Reshape '/flat'") && !ContainsSubstring("--batch-size"));
}

TEST_CASE("a shape that is given must be one of the model's") {
  const Stages& s = stages();
  for (const std::string command : {"prepare", "bench"}) {
    const auto with = [&](const std::string& shape) {
      Args args = {command, s.source, "--batch-size", "4", "--input-shape", shape};
      return command == "prepare" ? args + Args{"-o", scratch("shaped.onnx")} : args;
    };
    checkOneLine(run(with("image:1x8x8")), {"image", "no input"});
    checkOneLine(run(with("input:3x8x8")), {"input:3x8x8", "[N, 1, 8, 8]"});
    CHECK(run(with("input")).status == 2);
    CHECK(run(with("input:1x8xa")).status == 2);
    runWell(with("input:1x8x8"));
  }
}

TEST_CASE("a checkpoint of another run is refused, and it is said why") {
  const Stages& s = stages();
  const std::string checkpoint = scratch("run.checkpoint");
  const Args same = trainArgs(s.prepared, s.manifest);
  runWell(same +
          Args{"-o", scratch("run.onnx"), "--checkpoint", checkpoint, "--checkpoint-every", "5"});
  const Args resume = {"--resume", checkpoint};
  runWell(same + resume + Args{"-o", scratch("again.onnx")});
  CHECK(bytesOf(scratch("again.onnx")) == bytesOf(scratch("run.onnx")));

  expectBadInput(trainArgs(s.trained, s.manifest) + resume, {checkpoint, "another model"});
  expectBadInput(trainArgs(s.prepared, s.manifest, crossEntropyFile()) + resume,
                 {checkpoint, "another loss"});
  const std::string other = saveText(bytesOf(s.manifest) + "\n", scratch("stages/other.json"));
  expectBadInput(trainArgs(s.prepared, other) + resume, {checkpoint, "another manifest"});
  for (const Args& option : {Args{"--lr", "0.5"}, Args{"--seed", "9"}, Args{"--nesterov"},
                             Args{"--stop-gradient", "input"}}) {
    expectBadInput(same + resume + option, {checkpoint, "options"});
  }

  std::string bytes = bytesOf(checkpoint);
  expectBadInput(same + Args{"--resume", s.prepared}, {s.prepared, "is not a checkpoint"});
  expectBadInput(same + Args{"--resume", scratch("gone")}, {"gone", "cannot be opened"});
  const std::string cut = saveText(bytes.substr(0, bytes.size() - 10), scratch("cut.checkpoint"));
  expectBadInput(same + Args{"--resume", cut}, {cut, "truncated or damaged"});
  bytes[bytes.size() / 2] ^= 1;
  const std::string damaged = saveText(bytes, scratch("damaged.checkpoint"));
  expectBadInput(same + Args{"--resume", damaged}, {damaged, "truncated or damaged"});
}

TEST_CASE("what prepare is told has to fit the model") {
  const std::string& source = stages().source;
  expectBadInput({"prepare", source, "--outputs", "logits,aux"}, {"'aux'", "logits"});
  const std::string unknown = saveText(R"({"overides": []})", scratch("unknown.json"));
  expectBadInput({"prepare", source, "--recipe", unknown}, {unknown, "overides"});
  const std::string syntax = saveText("{\"overrides\": [", scratch("syntax.json"));
  expectBadInput({"prepare", source, "--recipe", syntax}, {syntax});
  const std::string unmatched = saveText(
      R"({"overrides": [{"node": "/head/*", "quantize": false}]})", scratch("unmatched.json"));
  expectBadInput({"prepare", source, "--recipe", unmatched},
                 {"recipe", "'/head/*'", "matches no node"});
  for (const char* entry :
       {"null", R"({"op_type": "Conv", "quantize": null})", R"({"quantize": false})",
        R"({"op_type": "Conv"})", R"({"op_type": "Conv", "activation": {}})",
        R"({"op_type": "Conv", "weight": {"percentile": 99}})",
        R"({"op_type": "Conv", "weight": {"averaging_constant": 0.1}})",
        R"({"op_type": "Conv", "activation": {"percentile": 99}})",
        R"({"op_type": "Conv", "activation": {"observer": "lsq",
                                "averaging_constant": 0.1}})"}) {
    const std::string recipe =
        saveText(std::string("{\"overrides\": [") + entry + "]}", scratch("entry.json"));
    expectBadInput({"prepare", source, "--recipe", recipe}, {recipe});
  }
  const std::string preset = saveText(R"({"preset": "best"})", scratch("preset.json"));
  expectBadInput({"prepare", source, "--recipe", preset}, {preset, "'best'"});
  expectBadInput({"prepare", source, "--recipe", scratch("no-recipe.json")}, {"no-recipe.json"});
  expectBadInput({"prepare", source, "--freeze", "no.such*"}, {"--freeze no.such*", "no weight"});
  expectBadInput(trainArgs(source, stages().manifest) + Args{"--no-decay", "bias,no.such*"},
                 {"--no-decay no.such*", "no weight"});
  expectBadInput(trainArgs(source, stages().manifest) + Args{"--group", "no.such*:lr=1"},
                 {"--group no.such*", "no weight"});
  expectBadInput(trainArgs(source, stages().manifest) + Args{"--layer-decay", "0.5"},
                 {"--layer-decay", "no parameter's name", "blocks.N"});
  // Weights are frozen, not stopped.
  for (const std::string pattern : {"no.such*", "fc.weight"}) {
    expectBadInput(trainArgs(source, stages().manifest) + Args{"--stop-gradient", pattern},
                   {"--stop-gradient " + pattern, "no value"});
  }
}

TEST_CASE("bad command lines end with 2") {
  const Stages& s = stages();
  const Args train = trainArgs(s.prepared, s.manifest);
  const std::string bad_config = saveText("learning-rate=0.1\n", scratch("bad.ini"));
  const std::vector<Args> bad = {
      {"quantize", s.source},
      {"prepare", s.source, "--no-such-option"},
      {"prepare"},
      {"prepare", s.source, "--bn", "sometimes"},
      {"export", s.finalized, "--opset", "12"},
      {"export", s.finalized, "--opset", "22"},
      {"export", s.finalized, "--input-names", "a,b"},
      {"export", s.finalized, "--output-names", ""},
      {"train", s.prepared, "--data", s.manifest},
      train + Args{"--schedule", "sometimes"},
      train + Args{"--keep", "best", "--best-by", "top1"},
      train + Args{"--keep", "best", "--best-by", "top1:most"},
      train + Args{"--keep", "some"},
      train + Args{"--keep", "best", "--best-by", "f1:max"},
      train + Args{"--lr", "fast"},
      train + Args{"--lr", "nan"},
      train + Args{"--lr", "-0.1"},
      train + Args{"--momentum", "1.5"},
      train + Args{"--weight-decay", "-1"},
      train + Args{"--optimizer", "lion"},
      train + Args{"--optimizer", "adam", "--momentum", "0.9"},
      train + Args{"--optimizer", "adamw", "--nesterov"},
      train + Args{"--betas", "0.9,0.99"},
      train + Args{"--optimizer", "adam", "--betas", "0.9"},
      train + Args{"--optimizer", "adam", "--betas", "0.9,1"},
      train + Args{"--eps", "1e-6"},
      train + Args{"--group", "fc.*"},
      train + Args{"--group", "fc.*:rate=1"},
      train + Args{"--lr", "0", "--group", "fc.*:lr=1"},
      train + Args{"--layer-decay", "2"},
      train + Args{"--schedule", "multistep"},
      train + Args{"--schedule", "multistep", "--milestones", "5,x"},
      train + Args{"--milestones", "5"},
      train + Args{"--schedule", "cosine_restarts"},
      train + Args{"--schedule", "cosine", "--period", "5"},
      train + Args{"--final-lr", "-1"},
      train + Args{"--steps", "-5"},
      train + Args{"--steps", "99999999999999999999"},
      train + Args{"--epochs", "1.5"},
      train + Args{"--calibrate", "-1"},
      train + Args{"--threads", "0"},
      train + Args{"--threads", "100000"},
      train + Args{"--on-nonfinite", "shrug"},
      train + Args{"--bn-running-var", "neither"},
      train + Args{"--init", "random"},
      train + Args{"--bind", "labels"},
      train + Args{"--bind", "nothing=labels"},
      train + Args{"--checkpoint-every", "5"},
      train + Args{"--config", bad_config},
      train + Args{"--config", scratch("no.ini")},
      {"prepare", s.source, "-o", scratch("dumped.onnx"), "--quiet", "--dump-after", "no-pass"},
  };
  for (const Args& args : bad) {
    INFO(Catch::StringMaker<Args>::convert(args));
    const Result result = runUntouched(args);
    INFO(result.err);
    CHECK(result.status == 2);
    CHECK(linesOf(result.err).size() == 1);
  }
  CHECK_THAT(run(train + Args{"--config", bad_config}).err, ContainsSubstring(bad_config));
  CHECK(run({}).status == 2);
  CHECK(run({"bench", s.source}).status == 2);
  CHECK(run({"bench", s.source, "--batch-size", "0"}).status == 2);
  CHECK(run({"bench", s.source, "--batch-size", "2", "--input-shape", "3x3"}).status == 2);
  CHECK(run({"eval", s.source, "--data", s.manifest, "--metric", "luck"}).status == 2);
}

TEST_CASE("a path that cannot be written is told before anything is trained") {
  const Stages& s = stages();
  saveText("", scratch("file"));
  const std::string good = scratch("written.onnx");
  const Args train = trainArgs(s.prepared, s.manifest) + Args{"--steps", "1000000"};
  for (const Args& option :
       {Args{"-o", scratch("no-folder") + "/x.onnx"}, Args{"-o", scratch("file") + "/x.onnx"},
        Args{"-o", scratch("out")}, Args{"-o", good, "--checkpoint", scratch("no-folder") + "/x"},
        Args{"-o", good, "--metrics", scratch("no-folder") + "/x"}}) {
    const Result result = run(train + option);
    INFO(result.err);
    CHECK(result.status == 1);
    CHECK(linesOf(result.err).size() == 1);
    CHECK_THAT(result.err, ContainsSubstring(option.back()));
    CHECK_THAT(result.err, ContainsSubstring("cannot be written"));
  }
  CHECK_FALSE(fs::exists(good));
}

TEST_CASE("help and version are no errors") {
  CHECK(run({"--version"}).status == 0);
  CHECK_THAT(runWell({"--help"}).out, ContainsSubstring("prepare"));
  for (const char* command :
       {"prepare", "train", "finalize", "export", "eval", "bench", "inspect"}) {
    CHECK_THAT(runWell({command, "--help"}).out, ContainsSubstring("Example"));
  }
}
