#include "qat/passes/batch_norm_state.h"

#include "qat/passes/canonicalize.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;

// Two BatchNormalizations behind Convs of their own, which an exporter gave one set of initializers:
// through Identity, which kept the names of the second's, or bare.
std::string merged(bool identities, const std::string& mode = "") {
  return R"(
    input %x : float[N, 2, 3, 3]
    weight %w1 : float[2, 2, 1, 1] = [1, 2, 3, 4]
    weight %w2 : float[2, 2, 1, 1] = [5, 6, 7, 8]
    weight %g1 : float[2] = [1, 1]
    weight %b1 : float[2] = [0, 0]
    batch_norm_statistic %m1 : float[2] = [0, 0]
    batch_norm_statistic %v1 : float[2] = [1, 1]
    %c1 = Conv(%x, %w1)
    %n1 = BatchNormalization(%c1, %g1, %b1, %m1, %v1))" +
         mode + R"( "bn1"
    %c2 = Conv(%n1, %w2)
    )" + (identities ? R"(%g2 = Identity(%g1)
    %b2 = Identity(%b1)
    %m2 = Identity(%m1)
    %v2 = Identity(%v1)
    %n2 = BatchNormalization(%c2, %g2, %b2, %m2, %v2))"
                     : "%n2 = BatchNormalization(%c2, %g1, %b1, %m1, %v1)") +
         mode + R"( "bn2"
    output y = %n2)";
}

TEST_CASE("merged initializers are separated under the names they had") {
  Graph graph = parse(merged(true));
  CHECK(separateBatchNormState(graph) == 4);
  CHECK(linesWith(graph, "BatchNormalization(") == unindented(R"(
    %n1 : float[N, 2, 3, 3] = BatchNormalization(%c1, %g1, %b1, %m1, %v1) "bn1"
    %n2 : float[N, 2, 3, 3] = BatchNormalization(%c2, %g2, %b2, %m2, %v2) "bn2"
)"));
  CHECK(linesWith(graph, "batch_norm_statistic") == unindented(R"(
    batch_norm_statistic %m1 : float[2] = [0, 0]
    batch_norm_statistic %v1 : float[2] = [1, 1]
    batch_norm_statistic %m2 : float[2] = [0, 0]
    batch_norm_statistic %v2 : float[2] = [1, 1]
)"));
}

TEST_CASE("initializers shared by name get names from their nodes") {
  Graph graph = parse(merged(false));
  CHECK(separateBatchNormState(graph) == 4);
  CHECK(linesWith(graph, "%n2 :") ==
        "%n2 : float[N, 2, 3, 3] = BatchNormalization(%c2, %bn2/weight, %bn2/bias, "
        "%bn2/running_mean, %bn2/running_var) \"bn2\"\n");
}

TEST_CASE("one initializer in two places of one node is two states") {
  Graph graph = parse(R"(
    input %x : float[N, 2, 3]
    weight %ones : float[2] = [1, 1]
    batch_norm_statistic %zeros : float[2] = [0, 0]
    %y = BatchNormalization(%x, %ones, %zeros, %zeros, %ones) "bn"
    output y = %y)");
  CHECK(separateBatchNormState(graph) == 2);
  CHECK(linesWith(graph, "BatchNormalization(") ==
        "%y : float[N, 2, 3] = BatchNormalization(%x, %ones, %zeros, %bn/running_mean, "
        "%bn/running_var) \"bn\"\n");
}

// A module that is called twice: the same weight in front, the same state.
constexpr char kTied[] = R"(
  input %x : float[N, 2, 3, 3]
  weight %w : float[2, 2, 1, 1] = [1, 2, 3, 4]
  weight %g : float[2] = [1, 1]
  weight %b : float[2] = [0, 0]
  batch_norm_statistic %m : float[2] = [0, 0]
  batch_norm_statistic %v : float[2] = [1, 1]
  %c1 = Conv(%x, %w)
  %n1 = BatchNormalization(%c1, %g, %b, %m, %v) {training_mode = 1} "bn"
  %c2 = Conv(%n1, %w)
  %n2 = BatchNormalization(%c2, %g, %b, %m, %v) {training_mode = 1} "bn"
  output y = %n2)";

TEST_CASE("tied state stays shared, and is updated in order") {
  Graph graph = parse(kTied);
  CHECK(separateBatchNormState(graph) == 0);
  const BatchNormDecision decision = decideBatchNorm(graph, BatchNormPolicy::kAuto);
  CHECK(decision.training == 2);
  graph.dropUnused();
  CHECK(linesWith(graph, "%n1 :") + linesWith(graph, "%n2 :") + linesWith(graph, "next") ==
        unindented(R"(
    %n1 : float[N, 2, 3, 3], %bn.1 : float[2], %bn.2 : float[2] = BatchNormalization(%c1, %g, %b, %m, %v) {training_mode = 1} "bn"
    %n2 : float[N, 2, 3, 3], %bn.3 : float[2], %bn.4 : float[2] = BatchNormalization(%c2, %g, %b, %bn.1, %bn.2) {training_mode = 1} "bn"
    next %m = %bn.3
    next %v = %bn.4
)"));
}

TEST_CASE("an evaluation export becomes a training graph, with a word") {
  Graph graph = parse(merged(true));
  const std::vector<std::string> warnings = canonicalize(graph, BatchNormPolicy::kAuto);
  REQUIRE(warnings.size() == 2);
  CHECK_THAT(warnings[0], ContainsSubstring("4 initializers"));
  CHECK_THAT(warnings[1], ContainsSubstring("all 2 BatchNormalizations have training_mode = 0"));
  CHECK(linesWith(graph, "training_mode = 1") == linesWith(graph, "BatchNormalization("));
  CHECK(linesWith(graph, "next").size() > 0);
  for (const char* name : {"m1", "v1", "m2", "v2"}) {
    CHECK(graph.findVariable(name)->next() != nullptr);
  }
}

// One trains, the other was frozen on purpose.
std::string mixed() {
  std::string text = merged(true);
  return text.insert(text.find(" \"bn2\""), " {training_mode = 1}");
}

TEST_CASE("policies decide who trains") {
  const auto decide = [](const std::string& text, BatchNormPolicy policy) {
    Graph graph = parse(text);
    canonicalize(graph, policy);
    return std::make_pair(graph.findVariable("m1")->next() != nullptr,
                          graph.findVariable("m2")->next() != nullptr);
  };
  const auto both = std::make_pair(true, true);
  const auto none = std::make_pair(false, false);
  const auto second = std::make_pair(false, true);
  CHECK(decide(mixed(), BatchNormPolicy::kAuto) == second);
  CHECK(decide(mixed(), BatchNormPolicy::kAsIs) == second);
  CHECK(decide(mixed(), BatchNormPolicy::kTrain) == both);
  CHECK(decide(mixed(), BatchNormPolicy::kFrozen) == none);
  CHECK(decide(merged(true), BatchNormPolicy::kAsIs) == none);
  CHECK(decide(merged(true), BatchNormPolicy::kFrozen) == none);
  CHECK(decide(merged(true), BatchNormPolicy::kTrain) == both);
}

TEST_CASE("statistics that are constants become variables under their names") {
  Graph graph = parse(R"(
    input %x : float[N, 2, 3]
    weight %g : float[2] = [1, 1]
    weight %b : float[2] = [0, 0]
    constant %m : float[2] = [0, 0]
    constant %v : float[2] = [1, 1]
    %y = BatchNormalization(%x, %g, %b, %m, %v) "bn"
    output y = %y)");
  canonicalize(graph, BatchNormPolicy::kTrain);
  REQUIRE(graph.findVariable("m") != nullptr);
  CHECK(graph.findVariable("m")->role == VariableRole::kBatchNormStatistic);
  CHECK(graph.findVariable("v")->next() != nullptr);
}

TEST_CASE("statistics that come with the data are an error") {
  Graph graph = parse(R"(
    input %x : float[N, 2, 3]
    weight %g : float[2] = [1, 1]
    input %c : float[2]
    %y = BatchNormalization(%x, %g, %g, %c, %g) "bn"
    output y = %y)");
  CHECK_THROWS_WITH(separateBatchNormState(graph),
                    ContainsSubstring("BatchNormalization 'bn' input 3"));
}

}  // namespace
}  // namespace simaqat
