// Fast kernels against the operators' definitions on shapes drawn at random, with every instruction
// set that the processor has. SIMAQAT_RANDOM_SHAPES_SECONDS has it run that long, from
// SIMAQAT_RANDOM_SHAPES_SEED on where that is set, and else from a seed of its own.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kernels/isa.h"
#include "tests/catch.h"
#include "tests/ops/random_cases.h"

namespace simaqat {
namespace {

constexpr uint64_t kRounds = 100;  // of every operator, in an ordinary run: seconds

struct Settings {
  double seconds = 0;  // 0: kRounds
  uint64_t seed = 1;
};

Settings settings() {
  Settings s;
  if (const char* seconds = std::getenv("SIMAQAT_RANDOM_SHAPES_SECONDS")) {
    s.seconds = std::atof(seconds);
    s.seed = static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  }
  if (const char* seed = std::getenv("SIMAQAT_RANDOM_SHAPES_SEED")) {
    s.seed = std::strtoull(seed, nullptr, 10);
  }
  return s;
}

// The first element that is not right, or -1.
int64_t firstWrong(const Tensor& got, const Tensor& expected, const Tensor& bound) {
  const std::vector<double> values = got.toVector<double>(), right = expected.toVector<double>();
  const std::vector<double> bounds =
      bound.defined() ? bound.toVector<double>() : std::vector<double>(right.size(), 0.0);
  for (size_t i = 0; i < right.size(); ++i) {
    if (values[i] == right[i] || (std::isnan(values[i]) && std::isnan(right[i]))) continue;
    if (!(std::fabs(values[i] - right[i]) <= bounds[i])) return static_cast<int64_t>(i);
  }
  return -1;
}

void check(const RandomCase& drawn, const std::vector<Tensor>& got) {
  for (size_t i = 0; i < got.size(); ++i) {
    INFO("output " << i);
    REQUIRE(got[i].dims() == drawn.expected[i].dims());
    const int64_t at = firstWrong(got[i], drawn.expected[i], drawn.bounds[i]);
    if (at < 0) continue;
    const auto number = [&](const Tensor& tensor) {
      return tensor.defined() ? tensor.toVector<double>()[static_cast<size_t>(at)] : 0.0;
    };
    FAIL("element " << at << " is " << number(got[i]) << ", expected " << number(drawn.expected[i])
                    << " up to " << number(drawn.bounds[i]));
  }
}

// With one thread, and with more over memory that holds something else: results are the same bits.
void checkOnThisIsa(const RandomCase& drawn, const Node& node, int threads) {
  RunOptions options;
  options.kernel = node.op().kernel != nullptr;
  options.filler = 0xff;
  const std::vector<Tensor> got = runNode(node, drawn.inputs, options);
  check(drawn, got);
  options.threads = threads;
  options.filler = 0x6b;
  const std::vector<Tensor> again = runNode(node, drawn.inputs, options);
  for (size_t i = 0; i < got.size(); ++i) {
    INFO("output " << i << ", with " << threads << " threads over other memory");
    REQUIRE(got[i].identical(again[i]));
  }
}

void checkCase(const RandomCase& drawn, int threads) {
  Graph graph(opRegistry());
  OpExample example(drawn.op, drawn.attributes, drawn.inputs);
  example.output_count = drawn.output_count;
  const Node& node = *addExampleNode(graph, opRegistry().get(drawn.op), example, drawn.inputs);
  for (const kernels::Isa isa : kernels::kAllIsas) {
    if (isa > kernels::detectedIsa()) break;
    kernels::setKernels(isa);
    INFO("SIMAQAT_ISA=" << kernels::isaName(isa));
    checkOnThisIsa(drawn, node, threads);
  }
}

}  // namespace

TEST_CASE("every operator with a fast kernel is drawn") {
  for (const auto& [name, op] : opRegistry().all()) {
    INFO(name);
    CHECK((op->kernel == nullptr || randomCases().count(name) == 1));
  }
}

TEST_CASE("fast kernels are right for shapes drawn at random") {
  using Clock = std::chrono::steady_clock;
  const Settings s = settings();
  const auto begin = Clock::now();
  const auto goesOn = [&](uint64_t round) {
    if (s.seconds == 0) return round < kRounds;
    return std::chrono::duration<double>(Clock::now() - begin).count() < s.seconds;
  };
  const kernels::Isa before = kernels::kernels().isa;
  std::printf("SIMAQAT_RANDOM_SHAPES_SEED=%llu\n", static_cast<unsigned long long>(s.seed));
  std::fflush(stdout);
  uint64_t cases = 0;
  for (uint64_t round = 0; goesOn(round); ++round) {
    for (const auto& [name, draw] : randomCases()) {
      Dice dice(s.seed, name, round);
      const RandomCase drawn = draw(dice);
      INFO("SIMAQAT_RANDOM_SHAPES_SEED=" << s.seed << ", round " << round << ": " << name << ", "
                                         << describe(drawn));
      checkCase(drawn, static_cast<int>(2 + round % 2));
      ++cases;
    }
  }
  kernels::setKernels(before);
  std::printf("%llu cases\n", static_cast<unsigned long long>(cases));
}

}  // namespace simaqat
