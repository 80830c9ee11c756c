// The number of threads decides nothing but the time.
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "kernels/isa.h"
#include "tests/catch.h"
#include "tests/cli/run.h"
#include "tests/cli/samples.h"

using namespace simaqat::cli;

namespace {

void checkThreads(const std::string& name, const std::string& prepared, const std::string& manifest,
                  const Args& options) {
  std::string output;
  std::string metrics;
  std::string evaluation;
  for (const char* threads : {"1", "2", "3"}) {
    INFO(threads);
    const std::string trained = scratch(name + "-" + threads + ".onnx");
    const std::string lines = scratch(name + "-" + threads + ".jsonl");
    const std::string finalized = scratch(name + "-final-" + threads + ".onnx");
    runWell(Args{"train",        prepared,     "--data",        manifest,    "-o",
                 trained,        "--loss",     "cross_entropy", "--metrics", lines,
                 "--eval-every", "1",          "--calibrate",   "2",         "--lr",
                 "0.05",         "--schedule", "onecycle",      "--threads", threads} +
            options);
    runWell({"finalize", trained, "-o", finalized});
    const std::string result = runWell({"eval", finalized, "--data", manifest, "--loss",
                                        "cross_entropy", "--json", "--threads", threads})
                                   .out;
    if (output.empty()) {
      output = bytesOf(trained);
      metrics = bytesOf(lines);
      evaluation = result;
      REQUIRE((!output.empty() && !metrics.empty() && !evaluation.empty()));
    }
    // As bools: a failure would print the files.
    const bool same_output = bytesOf(trained) == output;
    const bool same_metrics = bytesOf(lines) == metrics;
    CHECK(same_output);
    CHECK(same_metrics);
    CHECK(result == evaluation);
  }
}

// Of this process, and so of those that it runs.
class InstructionSet {
 public:
  explicit InstructionSet(const char* name) {
    if (const char* before = std::getenv(kName)) before_ = before;
    ::setenv(kName, name, 1);
  }
  ~InstructionSet() {
    if (before_) {
      ::setenv(kName, before_->c_str(), 1);
    } else {
      ::unsetenv(kName);
    }
  }
  InstructionSet(const InstructionSet&) = delete;
  InstructionSet& operator=(const InstructionSet&) = delete;

 private:
  static constexpr char kName[] = "SIMAQAT_ISA";
  std::optional<std::string> before_;
};

}  // namespace

TEST_CASE("1, 2 and 3 threads give the same bytes") {
  const Stages& s = stages();
  checkThreads("small", s.prepared, s.manifest, {"--epochs", "3", "--batch-size", "16"});
}

TEST_CASE("1, 2 and 3 threads give the same bytes with the quickstart's network") {
  // 28 x 28 pixels, so that loops are long enough to be shared out.
  const std::string manifest = writeFashion("fashion", 128);
  const std::string prepared = scratch("fashion/prepared.onnx");
  runWell({"prepare", "testdata/fashion_cnn/model.onnx", "-o", prepared});
  checkThreads("fashion/run", prepared, manifest, {"--epochs", "2", "--batch-size", "32"});
}

TEST_CASE("1, 2 and 3 threads give the same bytes with gradients of bfloat16 operands") {
  if (!simaqat::kernels::hasBfloat16Products()) QAT_SKIP("this CPU has no AVX512_BF16");
  const std::string manifest = writeFashion("bf16", 128);
  const std::string prepared = scratch("bf16/prepared.onnx");
  runWell({"prepare", "testdata/fashion_cnn/model.onnx", "-o", prepared});
  const Args options = {"--epochs", "2", "--batch-size", "32"};
  checkThreads("bf16/run", prepared, manifest, options + Args{"--backward", "bf16"});
  checkThreads("bf16/floats", prepared, manifest, options);
  const bool same = bytesOf(scratch("bf16/run-1.onnx")) == bytesOf(scratch("bf16/floats-1.onnx"));
  CHECK_FALSE(same);
}

TEST_CASE("gradients of bfloat16 operands want a CPU that multiplies them") {
  const Stages& s = stages();
  const InstructionSet baseline(simaqat::kernels::isaName(simaqat::kernels::Isa::kBaseline));
  const Result r = run({"train", s.prepared, "--data", s.manifest, "--loss", "cross_entropy", "-o",
                        scratch("bf16.onnx"), "--backward", "bf16"});
  CHECK(r.status == 2);
  CHECK_THAT(r.err, Catch::Matchers::ContainsSubstring("--backward bf16: needs avx512bf16"));
  CHECK(run({"bench", s.prepared, "--batch-size", "2", "--backward", "fp16"}).status == 2);
}

TEST_CASE("a limit of memory changes no byte, and one that is too small is an error") {
  const std::string manifest = writeFashion("limit", 128);
  const std::string prepared = scratch("limit/prepared.onnx");
  runWell({"prepare", "testdata/fashion_cnn/model.onnx", "-o", prepared});
  const Args options = {"--loss", "cross_entropy", "--data", manifest, "--batch-size", "64"};
  const auto train = [&](const std::string& name, const Args& more) {
    return run(Args{"train", prepared, "-o", scratch(name)} + options + more);
  };
  REQUIRE(train("unlimited.onnx", {}).status == 0);
  const auto bench = nlohmann::json::parse(
      runWell({"bench", prepared, "--loss", "cross_entropy", "--batch-size", "64", "--json"}).out);
  // Weights and state come on top, so that this is less than it took.
  const int64_t limit = bench["arena_bytes"].get<int64_t>();
  const Result limited =
      train("limited.onnx", {"--memory-limit", std::to_string(limit), "--threads", "2"});
  CHECK_THAT(limited.err, Catch::Matchers::ContainsSubstring("run twice"));
  const bool same = bytesOf(scratch("limited.onnx")) == bytesOf(scratch("unlimited.onnx"));
  CHECK(same);
  const Result tiny = train("tiny.onnx", {"--memory-limit", "1KiB"});
  CHECK(tiny.status == 3);
  CHECK_THAT(tiny.err,
             Catch::Matchers::ContainsSubstring("--memory-limit 1024: weights and state take"));
  CHECK(train("tiny.onnx", {"--memory-limit", "-5"}).status == 2);
  CHECK(train("tiny.onnx", {"--memory-limit", "many"}).status == 2);
}

TEST_CASE("a limit of memory that a later phase breaks is said before the first step") {
  const std::string manifest = writeFashion("phases", 512);
  const std::string prepared = scratch("phases/prepared.onnx");
  runWell({"prepare", "testdata/fashion_cnn/model.onnx", "-o", prepared});
  const auto train = [&](int64_t limit, const Args& more) {
    return run(Args{"train", prepared, "-o", scratch("phases/trained.onnx"), "--loss",
                    "cross_entropy", "--data", manifest, "--batch-size", "256", "--steps", "2",
                    "--memory-limit", std::to_string(limit)} +
               more);
  };
  // The least, in steps of 1 MiB, that the first phase can do with. The one with frozen observers
  // takes more as it is planned, before there are ranges: its values are floats, and of such a
  // batch values take more than kernels' scratch memory.
  constexpr int64_t kStep = 1 << 20;
  int64_t least = 48 << 20;
  while (train(least - kStep, {}).status == 0) least -= kStep;
  REQUIRE(train(least, {}).status == 0);
  const Result later = train(least, {"--freeze-observers-after", "1"});
  CHECK(later.status == 3);
  CHECK(later.err.find("a step:") == std::string::npos);
}

TEST_CASE("another seed gives another file") {
  const Stages& s = stages();
  const auto trained = [&](const char* seed) {
    const std::string path = scratch(std::string("seed-") + seed + ".onnx");
    runWell({"train", s.prepared, "--data", s.manifest, "--loss", "cross_entropy", "--epochs", "1",
             "--batch-size", "16", "--seed", seed, "-o", path});
    return bytesOf(path);
  };
  const bool same = trained("1") == trained("1");
  CHECK(same);
  const bool others_same = trained("1") == trained("2");
  CHECK_FALSE(others_same);
}
