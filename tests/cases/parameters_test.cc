// ../shared/cases: which initializers train.
#include <cmath>

#include "tests/cases/cases.h"
#include "tests/catch.h"

namespace simaqat::cases {
namespace {

using Catch::Matchers::ContainsSubstring;
using cli::Args;
using cli::operator+;

void checkStepAndFlow(const Case& c) {
  onEveryIsa([&] {
    checkStep(c);
    checkFlow(c);
  });
}

std::vector<double> floats(const std::string& path, const std::string& name) {
  const Graph graph = graphOf(path);
  if (const Variable* variable = graph.findVariable(name))
    return variable->value.toVector<double>();
  const Value* value = graph.findValue(name);
  REQUIRE(value != nullptr);
  return value->constant.toVector<double>();
}

double largestDifference(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::fabs(a[i] - b[i]));
  return largest;
}

TEST_CASE("parameters of one element train") {
  if (!present()) QAT_SKIP("../shared is not here");
  for (const char* name : {"torchscript", "dynamo"}) {
    const Case c("scalar_parameters", name);
    checkStepAndFlow(c);
    const cli::Result prepared = cli::runWell({"prepare", c.model, "-o", c.out("p.onnx")});
    CHECK_THAT(prepared.out, ContainsSubstring("470 trained elements"));
  }
}

TEST_CASE("Resize's scales are constants") {
  if (!present()) QAT_SKIP("../shared is not here");
  for (const char* name : {"initializer", "constant", "concat"}) {
    checkStepAndFlow(Case("resize_scales", name));
  }
}

TEST_CASE("a Constant node stays one through files of simaqat") {
  if (!present()) QAT_SKIP("../shared is not here");
  const Case c("constants_become_weights");
  const auto train = [&](const std::string& from, const std::string& to) {
    cli::runWell({"train", from, "-o", to, "--loss", "cross_entropy", "--data", c.manifest,
                  "--steps", "20", "--batch-size", "8", "--lr", "0.1", "--momentum", "0"});
  };
  const std::vector<double> std = floats(c.model, "std");
  train(c.model, c.out("a.onnx"));
  CHECK(floats(c.out("a.onnx"), "std") == std);
  train(c.out("a.onnx"), c.out("b.onnx"));
  CHECK(floats(c.out("b.onnx"), "std") == std);
  for (const char* name : {"w", "fw", "bn.g", "bn.b"}) {
    INFO(name);
    const std::vector<double> expected = c.value(std::string("after40/") + name).toVector<double>();
    CHECK(largestDifference(floats(c.out("b.onnx"), name), expected) <= 1e-4);
  }
  FlowOptions flow;
  flow.source = c.out("a.onnx");
  runFlow(c, flow);
}

TEST_CASE("a mask of minus infinity is a constant") {
  if (!present()) QAT_SKIP("../shared is not here");
  checkStepAndFlow(Case("mask_inf"));
}

TEST_CASE("random initialization: a written-out LayerNormalization, frozen vectors") {
  if (!present()) QAT_SKIP("../shared is not here");
  const Case layernorm("init_random", "layernorm");
  checkStepAndFlow(layernorm);
  const auto initialize = [](const Case& c, const Args& extra) {
    cli::runWell(Args{"train", c.model, "-o", c.out("r.onnx"), "--init", "random", "--loss",
                      "cross_entropy", "--data", c.manifest, "--steps", "1", "--batch-size", "8",
                      "--lr", "1e-9"} +
                 extra);
  };
  initialize(layernorm, {});
  CHECK(largestDifference(floats(layernorm.out("r.onnx"), "gamma"), std::vector<double>(8, 1)) <
        1e-6);
  CHECK(largestDifference(floats(layernorm.out("r.onnx"), "beta"), std::vector<double>(8, 0)) <
        1e-6);

  const Case frozen("init_random", "frozen_std");
  checkStepAndFlow(frozen);
  for (const Args& extra : {Args{}, Args{"--freeze", "mean,std"}}) {
    initialize(frozen, extra);
    for (const char* name : {"mean", "std"}) {
      CHECK(floats(frozen.out("r.onnx"), name) == floats(frozen.model, name));
    }
    CHECK(largestDifference(floats(frozen.out("r.onnx"), "bn.g"), std::vector<double>(6, 1)) <
          1e-6);
    CHECK(largestDifference(floats(frozen.out("r.onnx"), "bn.b"), std::vector<double>(6, 0)) <
          1e-6);
  }
}

TEST_CASE("weights that are Constant nodes train") {
  if (!present()) QAT_SKIP("../shared is not here");
  checkStepAndFlow(Case("weights_as_constants"));
}

TEST_CASE("merged initializers are apart again where the exporter left their names") {
  if (!present()) QAT_SKIP("../shared is not here");
  for (const char* name : {"identity", "dynamo", "unknown"}) {
    checkStepAndFlow(Case("merged_initializers", name));
  }
  const Case unknown("merged_initializers", "unknown");
  const cli::Result prepared =
      cli::runWell({"prepare", unknown.model, "-o", unknown.out("p.onnx")});
  const cli::Result trained =
      cli::runWell({"train", unknown.model, "-o", unknown.out("t.onnx"), "--loss", "cross_entropy",
                    "--data", unknown.manifest, "--steps", "1", "--batch-size", "4"});
  for (const std::string& err : {prepared.err, trained.err}) {
    CHECK_THAT(err, ContainsSubstring("'zeros' (5 uses)"));
    CHECK_THAT(err, ContainsSubstring("'ones' (2 uses)"));
  }
}

}  // namespace
}  // namespace simaqat::cases
