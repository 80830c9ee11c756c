// Bad manifests and bad data.
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
