// A run that is killed or interrupted, and goes on from its checkpoint, ends with the same bytes as
// one that is left alone.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <random>

#include "tests/catch.h"
#include "tests/cli/run.h"
#include "tests/cli/samples.h"

namespace fs = std::filesystem;
using Catch::Matchers::ContainsSubstring;
using namespace simaqat::cli;

namespace {

// All that a run leaves behind.
struct Files {
  explicit Files(const std::string& folder)
      : output(scratch(folder + "/trained.onnx")),
        metrics(scratch(folder + "/metrics.jsonl")),
        checkpoint(scratch(folder + "/run.checkpoint")) {}
  Args args() const { return {"-o", output, "--metrics", metrics, "--checkpoint", checkpoint}; }
  Args resumed() const {
    return args() + (fs::exists(checkpoint) ? Args{"--resume", checkpoint} : Args{});
  }
  void clear() const {
    for (const std::string& path : {output, metrics, checkpoint}) fs::remove(path);
  }

  std::string output;
  std::string metrics;
  std::string checkpoint;
};

// Everything at once: calibration, augmentation, momentum, a schedule, a teacher, an average of the
// weights, quantization from the second epoch on, and statistics estimated anew at the end.
Args everything() {
  const Stages& s = stages();
  return {"train",
          s.prepared,
          "--loss",
          "cross_entropy",
          "--data",
          s.manifest,
          "--batch-size",
          "16",
          "--lr",
          "0.05",
          "--momentum",
          "0.9",
          "--weight-decay",
          "0.0001",
          "--schedule",
          "cosine",
          "--warmup",
          "20",
          "--calibrate",
          "3",
          "--correct-biases",
          "2",
          "--clip-norm",
          "5",
          "--teacher",
          s.source,
          "--distill",
          "0.2,2",
          "--ema",
          "0.95",
          "--quantize-after",
          "1e",
          "--reestimate-bn",
          "3",
          "--checkpoint-every",
          "11",
          "--seed",
          "4",
          "--threads",
          "2"};
}

void checkSame(const Files& files, const Files& reference) {
  // As bools: a failure would print the files.
  const bool same_output = bytesOf(files.output) == bytesOf(reference.output);
  const bool same_metrics = bytesOf(files.metrics) == bytesOf(reference.metrics);
  CHECK(same_output);
  CHECK(same_metrics);
}

void sleepMilliseconds(int64_t milliseconds) {
  ::usleep(static_cast<useconds_t>(milliseconds * 1000));
}

// Kills runs at random moments until there were `kills`, going on from the checkpoint each time.
void killAndResume(const Args& args, int kills, const std::string& folder) {
  const Files reference(folder + "-reference");
  const auto start = std::chrono::steady_clock::now();
  runWell(args + reference.args());
  const std::chrono::duration<double, std::milli> whole = std::chrono::steady_clock::now() - start;
  // A few pieces a run: long enough to get from one checkpoint to the next on a busy machine.
  const auto longest = static_cast<uint32_t>(whole.count() / 3) + 50;
  std::mt19937 random(11);
  const Files files(folder);
  int finished = 0;
  for (int killed = 0; killed < kills;) {
    Process process(args + files.resumed());
    sleepMilliseconds(random() % longest);
    process.send(SIGKILL);
    const Result result = process.wait();
    INFO(result.err);
    REQUIRE((result.status == 0 || result.status == 128 + SIGKILL));
    if (result.status == 0) {
      checkSame(files, reference);
      files.clear();
      ++finished;
    } else {
      ++killed;
    }
  }
  runWell(args + files.resumed());
  checkSame(files, reference);
  WARN(folder << ": " << kills << " kills, " << finished + 1 << " runs of " << whole.count()
              << " ms");
}

}  // namespace

TEST_CASE("killed runs end with the same bytes") {
  killAndResume(everything() + Args{"--steps", "600", "--freeze-bn-after", "400",
                                    "--freeze-observers-after", "300"},
                25, "last");
}

TEST_CASE("killed runs that keep the best end with the same bytes") {
  // The last epoch is not a whole one, and a checkpoint falls on the last step.
  killAndResume(
      everything() + Args{"--steps", "594", "--freeze-bn-after", "400", "--freeze-observers-after",
                          "450", "--eval-every", "3", "--keep", "best", "--best-by", "loss:min"},
      25, "best");
}

TEST_CASE("a finished run that is resumed repeats nothing") {
  const Args args = everything() + Args{"--steps", "55", "--eval-every", "2"};
  const Files files("finished");
  runWell(args + files.args());
  const std::string output = bytesOf(files.output);
  const std::string metrics = bytesOf(files.metrics);
  REQUIRE(!metrics.empty());
  runWell(args + files.resumed());
  const bool same_output = bytesOf(files.output) == output;
  CHECK(same_output);
  CHECK(bytesOf(files.metrics) == metrics);
}

TEST_CASE("data that changed since is noticed") {
  const std::string manifest = writeStripes("changed", 256, 100);
  const Files files("changed");
  const Args args =
      Args{
          "train", stages().prepared, "--loss", "cross_entropy", "--data", manifest, "--batch-size",
          "16",    "--steps",         "20",     "--eval-every",  "1"} +
      files.args();
  runWell(args + Args{"--checkpoint-every", "10"});
  const std::string output = bytesOf(files.output);
  for (const std::string field : {"train-labels", "train-images", "test-images"}) {
    const std::string path = scratch("changed/" + field);
    const std::string before = bytesOf(path);
    std::string after = before;
    // The size stays, and a label stays a class.
    after.back() = static_cast<char>(after.back() ^ 1);
    saveText(after, path);
    const Result refused = run(args + Args{"--resume", files.checkpoint});
    INFO(refused.err);
    CHECK(refused.status == 3);
    CHECK(linesOf(refused.err).size() == 1);
    CHECK_THAT(refused.err, ContainsSubstring(path + " has changed"));
    // The same numbers in a newer file are the same data.
    saveText(before, path);
    runWell(args + Args{"--resume", files.checkpoint});
    const bool same_output = bytesOf(files.output) == output;
    CHECK(same_output);
  }
}

TEST_CASE("SIGINT and SIGTERM write a checkpoint to go on from") {
  const Args args = everything() + Args{"--steps", "900"};
  const Files reference("signal-reference");
  runWell(args + reference.args());
  for (const int signal : {SIGINT, SIGTERM}) {
    const Files files("signal-" + std::to_string(signal));
    saveText("as it was", files.output);
    Process process(args + files.args());
    while (linesOf(bytesOf(files.metrics)).size() < 50) sleepMilliseconds(2);
    process.send(signal);
    const Result result = process.wait();
    INFO(result.err);
    REQUIRE(result.status == 128 + signal);
    CHECK(bytesOf(files.output) == "as it was");
    CHECK(fs::exists(files.checkpoint));
    CHECK_THAT(result.err, ContainsSubstring("--resume " + files.checkpoint));
    runWell(args + files.resumed());
    checkSame(files, reference);
  }
}

TEST_CASE("without --checkpoint an interrupted run writes one beside its output") {
  const Stages& s = stages();
  const std::string output = scratch("beside/trained.onnx");
  const std::string metrics = scratch("beside/metrics.jsonl");
  Process process({"train", s.prepared, "--loss", "cross_entropy", "--data", s.manifest, "-o",
                   output, "--metrics", metrics, "--steps", "1000000", "--batch-size", "16"});
  while (bytesOf(metrics).empty()) sleepMilliseconds(2);
  process.send(SIGTERM);
  const Result result = process.wait();
  INFO(result.err);
  CHECK(result.status == 128 + SIGTERM);
  CHECK(!fs::exists(output));
  CHECK(fs::exists(output + ".checkpoint"));
  CHECK_THAT(result.err, ContainsSubstring("--resume " + output + ".checkpoint"));
}

TEST_CASE("a calibration that is interrupted is no calibration") {
  const Stages& s = stages();
  const std::string steps = GENERATE("0", "5");
  const Args args = {"train",   s.prepared, "--loss",       "cross_entropy",
                     "--data",  s.manifest, "--batch-size", "16",
                     "--steps", steps,      "--calibrate",  "3000"};
  const Files reference("calibrated");
  reference.clear();
  runWell(args + reference.args());
  const Files files("half-calibrated");
  files.clear();
  Process process(args + files.args());
  // The metrics file is there when calibration begins.
  while (!fs::exists(files.metrics)) sleepMilliseconds(1);
  process.send(SIGINT);
  const Result result = process.wait();
  INFO(result.err);
  REQUIRE(result.status == 128 + SIGINT);
  CHECK(!fs::exists(files.output));
  runWell(args + files.resumed());
  checkSame(files, reference);
}
