// ../shared/cases: data and stored statistics that are not finite, labels that are no classes.
#include <cmath>

#include "tests/cases/cases.h"
#include "tests/catch.h"

using Catch::Matchers::ContainsSubstring;

namespace simaqat::cases {
namespace {

using cli::operator+;

void checkRefused(const cli::Args& args, const std::vector<std::string>& words) {
  const cli::Result result = cli::run(args);
  INFO(result.err);
  CHECK(result.status == 3);
  for (const std::string& word : words) CHECK_THAT(result.err, ContainsSubstring(word));
}

TEST_CASE("an infinity in the data is named") {
  if (!present()) QAT_SKIP("../shared is not here");
  const Case c("nonfinite_data");
  const std::vector<std::string> words = {"inf", "sample 5", "'x'", "x.npy"};
  const cli::Args data = {"--loss", "mse", "--data", c.manifest};
  const cli::Args train =
      data + cli::Args{"--batch-size", "4", "--steps", "1", "-o", c.out("t.onnx")};
  checkRefused(cli::Args{"train", c.model} + train, words);
  for (const cli::Args& recipe : {cli::Args{}, cli::Args{"--recipe", c.folder + "/min_max.json"}}) {
    cli::runWell(cli::Args{"prepare", c.model, "-o", c.out("p.onnx")} + recipe);
    checkRefused(cli::Args{"train", c.out("p.onnx")} + train, words);
    checkRefused(cli::Args{"train", c.out("p.onnx"), "--calibrate", "1"} + train, words);
    checkRefused(cli::Args{"eval", c.out("p.onnx")} + data, words);
  }
}

TEST_CASE("a label that is no class is named before the first step") {
  if (!present()) QAT_SKIP("../shared is not here");
  const Case c("label_range");
  checkRefused({"train", c.model, "-o", c.out("t.onnx"), "--loss", "cross_entropy", "--data",
                c.manifest, "--batch-size", "8", "--epochs", "3", "--metrics", c.out("m.json")},
               {"has 4", "sample 200", "'labels'", "labels.npy"});
  CHECK(metric(c.out("m.json"), "loss").empty());
  for (const cli::Args& loss : {cli::Args{"--loss", "cross_entropy"}, cli::Args{}}) {
    checkRefused(cli::Args{"eval", c.model, "--data", c.manifest} + loss,
                 {"has 4", "sample 200", "'labels'", "labels.npy"});
  }
}

TEST_CASE("re-estimation replaces statistics that are not finite") {
  if (!present()) QAT_SKIP("../shared is not here");
  const Case c("reestimate_nan");
  const std::string said = cli::runWell({"prepare", c.model, "-o", c.out("p.onnx")}).err;
  CHECK_THAT(said, ContainsSubstring("'bn.m'") && ContainsSubstring("'bn.v'"));
  cli::runWell({"train", c.model, "-o", c.out("t.onnx"), "--loss", "cross_entropy", "--data",
                c.manifest, "--steps", "1", "--batch-size", "8", "--lr", "1e-9", "--reestimate-bn",
                "1"});
  const Graph trained = graphOf(c.out("t.onnx"));
  for (const char* name : {"bn.m", "bn.v"}) {
    const std::vector<double> expected = c.value(name).toVector<double>();
    const std::vector<double> found = trained.findVariable(name)->value.toVector<double>();
    REQUIRE(found.size() == expected.size());
    for (size_t i = 0; i < found.size(); ++i) CHECK(std::fabs(found[i] - expected[i]) <= 1e-5);
  }
}

}  // namespace
}  // namespace simaqat::cases
