// Small networks drawn at random: a quantized step by the fast path against the reference's.
// SIMAQAT_NETWORKS=COUNT draws as many of each kind, SIMAQAT_SEED=N begins there.
#include <cstdlib>

#include "qat/base/random.h"
#include "qat/passes/scaffold.h"
#include "qat/train/loss.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"
#include "tests/reference/random_network.h"
#include "tests/reference/steps.h"

namespace simaqat {
namespace {

uint64_t fromEnvironment(const char* name, uint64_t otherwise) {
  const char* given = std::getenv(name);
  return given == nullptr ? otherwise : std::strtoull(given, nullptr, 10);
}

Graph joined(const Graph& model) {
  const std::vector<std::string> fields = {"x", "labels"};
  const Loss loss = loadLoss("cross_entropy", model, fields);
  return joinLoss(model, loss.graph, bindLoss(loss.graph, model, fields, {}));
}

Tensors drawInputs(const RandomNetwork& network, uint64_t seed) {
  Tensor labels(ElementType::kInt64, {network.dims[0]});
  const RandomStream random(seed, randomPurpose("labels"), 0);
  for (int64_t i = 0; i < labels.size(); ++i) {
    labels.mutableData<int64_t>()[i] =
        random.below(static_cast<uint64_t>(i), static_cast<uint32_t>(network.classes));
  }
  return {{"x", randomTensor(network.dims, seed)}, {"labels", labels}};
}

TEST_CASE("exact arithmetic: networks of sums, products, Relu and pooling, with dyadic scales") {
  const uint64_t first = fromEnvironment("SIMAQAT_SEED", 1);
  const uint64_t count = fromEnvironment("SIMAQAT_NETWORKS", 60);
  WARN(count << " networks from seed " << first);
  ThreadPool pool(2);
  for (uint64_t seed = first; seed < first + count; ++seed) {
    RandomNetwork network = drawNetwork(seed, {true});
    scaffold(network.model, {});
    const Tensors inputs = drawInputs(network, seed);
    calibrateOn(network.model, inputs, pool);
    makeDyadic(network.model);
    const Comparison found = compareWithReference(joined(network.model), StepKind::kFrozen, inputs,
                                                  Rounding::kOfLogits, pool);
    INFO("seed " << seed << "\n" << network.text << found.toString());
    CHECK(found.agrees());
  }
}

TEST_CASE("a step as train takes it: BatchNormalization and observers follow the batch") {
  constexpr uint64_t kDraws = 3;
  const uint64_t first = fromEnvironment("SIMAQAT_SEED", 1);
  const uint64_t count = fromEnvironment("SIMAQAT_NETWORKS", 40);
  ThreadPool pool(2);
  uint64_t repeated = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    RandomNetwork network = drawNetwork(seed, {});
    scaffold(network.model, {});
    Comparison found;
    uint64_t draw = 0;
    // A value that rounding moves across a tie is no defect, and is seldom: it does not come with
    // other data. A defect does. Ranges follow other data first: those of a first step are the
    // extremes of a few values, so that scales are simple fractions of each other and ties are not
    // seldom (the average of four codes).
    do {
      if (draw == 1) calibrateOn(network.model, drawInputs(network, ~seed), pool);
      found =
          compareWithReference(joined(network.model), StepKind::kTraining,
                               drawInputs(network, seed + (draw << 32)), Rounding::kOfAll, pool);
    } while (!found.agrees() && ++draw < kDraws);
    repeated += draw > 0 ? 1 : 0;
    INFO("seed " << seed << "\n" << network.text << found.toString());
    CHECK(found.agrees());
  }
  WARN(count << " networks from seed " << first << ", " << repeated << " with other data");
  CHECK(repeated <= 1 + count / 5);
}

}  // namespace
}  // namespace simaqat
