// Bad manifests and bad data.
#include <cmath>

#include "tests/catch.h"
#include "tests/cli/bad_input.h"
#include "tests/cli/run.h"
#include "tests/cli/samples.h"

using namespace simaqat::cli;

namespace {

std::string manifestWith(const std::string& name, const std::string& images,
                         const std::string& labels) {
  return saveText(R"({"splits": {"train": {"fields": {"input": {"array": ")" + images +
                      R"("}, "labels": {"array": ")" + labels + R"("}}}}})",
                  scratch("stages/" + name));
}

}  // namespace

TEST_CASE("bad data is refused") {
  const Stages& s = stages();
  const std::string misspelt =
      saveText(R"({"splits": {"train": {"fields": {"input": {"arrays": "train-images"}}}}})",
               scratch("stages/misspelt.json"));
  expectBadInput(trainArgs(s.prepared, misspelt), {"misspelt.json", "arrays"});
  const auto train = [&](const std::string& name, const std::string& text) {
    return trainArgs(s.prepared, saveText(text, scratch("stages/" + name)));
  };
  const auto with_field = [](const std::string& field) {
    return R"({"splits": {"train": {"fields": {"input": )" + field +
           R"(, "labels": {"array": "train-labels"}}}}})";
  };
  for (const char* nothing :
       {R"({"array": "train-images", "transforms": [null]})",
        R"({"array": "train-images", "transforms": null})", R"({"array": null})", "null"}) {
    expectBadInput(train("null.json", with_field(nothing)), {"null.json", "null"});
  }
  expectBadInput(train("twice.json", with_field(R"({"array": "a", "array": "b"})")),
                 {"twice.json", "'array' is given twice"});
  expectBadInput(train("empty.json", with_field("{}")),
                 {"empty.json", "'train'", "'input'", "no source"});
  expectBadInput(train("unnamed.json", with_field(R"({"array": ""})")), {"'input'", "no source"});
  expectBadInput(train("no-fields.json", R"({"splits": {"train": {"fields": {}}}})"),
                 {"no-fields.json", "'train' has no fields"});
  expectBadInput(train("no-splits.json", "{}"), {"no-splits.json", "no splits"});
  expectBadInput(train("list.json", "[]"), {"list.json"});
  expectBadInput(train("kind.json", with_field(R"({"array": "train-images", "transforms": [{}]})")),
                 {"kind.json", "transforms[0]", "normalize"});
  const std::string syntax = saveText("{\"splits\": [,\n}", scratch("stages/syntax.json"));
  expectBadInput(trainArgs(s.prepared, syntax), {"syntax.json"});
  expectBadInput(trainArgs(s.prepared, manifestWith("gone.json", "gone-images", "train-labels")),
                 {"'input'", "gone-images"});
  expectBadInput(trainArgs(s.prepared, s.manifest) + Args{"--split", "nothing"},
                 {"data.json", "'nothing'", "train"});

  saveText(idx(std::vector<uint8_t>(64 * 49), {64, 7, 7}), scratch("stages/small-images"));
  saveText(idx(std::vector<uint8_t>(64), {64}), scratch("stages/small-labels"));
  expectBadInput(trainArgs(s.prepared, manifestWith("shape.json", "small-images", "small-labels")),
                 {"'input'", "small-images", "8", "[7, 7]"});
  expectBadInput(trainArgs(s.prepared, manifestWith("count.json", "train-images", "small-labels")),
                 {"count.json", "256", "64"});
  expectBadInput(trainArgs(s.prepared, manifestWith("text.json", "data.json", "small-labels")),
                 {"data.json"});
  saveText(idx(std::vector<uint8_t>(4 * 64), {4, 8, 8}), scratch("stages/few-images"));
  saveText(idx(std::vector<uint8_t>(4), {4}), scratch("stages/few-labels"));
  expectBadInput(trainArgs(s.prepared, manifestWith("few.json", "few-images", "few-labels")),
                 {"few.json", "4 samples"});
}

TEST_CASE("a label out of range names its node and itself") {
  const Stages& s = stages();
  saveText(idx(std::vector<uint8_t>(256, 77), {256}), scratch("stages/far-labels"));
  const std::string manifest = manifestWith("far.json", "train-images", "far-labels");
  // Found in the first step, behind the line that says what a step takes.
  expectBadInput(trainArgs(s.prepared, manifest) + Args{"--quiet"},
                 {"SoftmaxCrossEntropyLoss", "loss", "77"});
  checkOneLine(
      run({"eval", s.prepared, "--data", manifest, "--split", "train", "--loss", "cross_entropy"}),
      {"SoftmaxCrossEntropyLoss", "loss", "77"});
}

TEST_CASE("numbers that are not finite, and labels that are no classes, are named") {
  const Stages& s = stages();
  std::vector<float> images(16 * 64, 0.5f);
  images[7 * 64 + 5] = -INFINITY;
  saveText(npy(images, {16, 1, 8, 8}), scratch("stages/infinite.npy"));
  images[7 * 64 + 5] = 0;
  saveText(npy(images, {16, 1, 8, 8}), scratch("stages/finite.npy"));
  std::vector<uint8_t> labels(16, 3);
  saveText(idx(labels, {16}), scratch("stages/right-labels"));
  labels[9] = 4;
  saveText(idx(labels, {16}), scratch("stages/wrong-labels"));
  const Args batch = {"--batch-size", "4"};
  const auto refused = [&](const std::string& manifest, const std::vector<std::string>& words) {
    for (const Args& more : {Args{}, Args{"--calibrate", "1"}}) {
      expectBadInput(trainArgs(s.prepared, manifest) + more, words);
    }
    for (const Args& args :
         {Args{"eval", s.exported, "--loss", "cross_entropy", "--data", manifest, "--split", "train"},
          Args{"bench", s.prepared, "--loss", "cross_entropy", "--data", manifest, "--batch-size",
               "4"}}) {
      const Result result = run(args);
      CHECK(result.status == 3);
      for (const std::string& word : words) {
        CHECK_THAT(result.err, Catch::Matchers::ContainsSubstring(word));
      }
    }
  };
  refused(manifestWith("infinite.json", "infinite.npy", "right-labels"),
          {"'input'", "infinite.npy", "sample 7", "-inf"});
  const std::string wrong = manifestWith("wrong.json", "finite.npy", "wrong-labels");
  refused(wrong, {"'labels'", "wrong-labels", "sample 9", "has 4", "0 to 3"});
  runWell(trainArgs(s.prepared, manifestWith("right.json", "finite.npy", "right-labels")) +
          Args{"-o", scratch("stages/right.onnx")});

  // A loss by ONNX graph that ignores the label takes it.
  for (const bool ignores : {false, true}) {
    onnx::ModelProto loss = emptyModel();
    addInput(loss, "logits", onnx::TensorProto::FLOAT, {"N", "4"});
    addInput(loss, "labels", onnx::TensorProto::INT64, {"N"});
    addNode(loss, "LogSoftmax", {"logits"}, {"p"});
    onnx::NodeProto* node = addNode(loss, "NegativeLogLikelihoodLoss", {"p", "labels"}, {"loss"});
    if (ignores) {
      onnx::AttributeProto* attribute = node->add_attribute();
      attribute->set_name("ignore_index");
      attribute->set_type(onnx::AttributeProto::INT);
      attribute->set_i(4);
    }
    addOutput(loss, "loss");
    const std::string path = save(loss, scratch("stages/loss.onnx"));
    const Args args = {"train", s.prepared, "--loss", path, "--data", wrong,
                       "--steps", "1"};
    if (ignores) {
      runWell(args + batch + Args{"-o", scratch("stages/labels.onnx")});
    } else {
      expectBadInput(args + batch, {"'labels'", "sample 9", "has 4"});
    }
  }
}
