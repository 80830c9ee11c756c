// Fixed seeds give the bytes that they gave before: of weights, and of the losses on the way.
// The hashes were written before the training loop was built on Session. A change to one needs a
// reason, which its commit states.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>

#include "qat/base/hash.h"
#include "tests/catch.h"
#include "tests/cli/run.h"
#include "tests/cli/samples.h"
#include "tests/zoo/zoo.h"

using namespace simaqat::cli;

namespace {

struct Run {
  const char* network;
  Args options;
  const char* bytes;  // of weights and metrics, hashed
};

// Quantized from the first step, from the third, and with everything that follows the batch frozen
// on the way.
const Run kRuns[] = {
    {"fashion_cnn", {"--calibrate", "1", "--weight-decay", "1e-4", "--no-decay", "norm"}, "291478a01677e606344bfb6e29c70955"},
    {"fashion_cnn", {"--quantize-after", "2", "--nesterov", "--ema", "0.9"}, "7c8e3de486c01c4a74b1c44c869af283"},
    {"resnet20", {"--freeze-bn-after", "2", "--freeze-observers-after", "4"}, "3de482b1d525eba30620e75b3f74107a"},
    {"vit_tiny", {"--clip-norm", "1", "--schedule", "cosine", "--warmup", "2"}, "25df8a92adf9de1ea0753ec4b00cb8d6"},
};

// The hash of a run on AVX2, with which every x86-64 machine can check it.
std::string trainedBytes(const Run& run, const std::string& model, const std::string& manifest) {
  const std::string prepared = scratch("prepared.onnx"), trained = scratch("trained.onnx");
  const std::string metrics = scratch("metrics.jsonl");
  runWell({"prepare", model, "-o", prepared});
  runWell(Args{"train", prepared, "-o", trained, "--data", manifest, "--loss", "cross_entropy",
               "--batch-size", "4", "--steps", "6", "--lr", "0.01", "--seed", "7", "--metrics",
               metrics} +
          run.options);
  simaqat::Hasher hasher;
  for (const auto& [name, bytes] : weightsOf(trained)) hasher.update(name + bytes);
  hasher.update(bytesOf(metrics));
  return hasher.hex();
}

std::string zooManifest(const std::string& network) {
  const std::string batches = simaqat::zoo::networkFolder(network) + "/batches.npz#";
  return saveText(fmt::format(R"({{"splits": {{"train": {{"fields": {{
      "input": {{"array": "{0}input"}}, "labels": {{"array": "{0}labels"}}}}}}}}}})",
                              batches),
                  scratch(network + ".json"));
}

void check(const Run& run, const std::string& model, const std::string& manifest) {
  INFO(run.network << " " << fmt::format("{}", fmt::join(run.options, " ")));
  CHECK(trainedBytes(run, model, manifest) == run.bytes);
}

bool isComparable() {
#if defined(__x86_64__) && __GNUC__ == 12 && !defined(__clang__)
  return std::getenv("SIMAQAT_ISA") == nullptr && ::setenv("SIMAQAT_ISA", "avx2", 1) == 0;
#else
  return false;  // compilers round and order sums of floats in their own ways
#endif
}

}  // namespace

TEST_CASE("fixed seeds give the bytes that they gave before") {
  if (!isComparable()) QAT_SKIP("the bytes are those of GCC 12 on x86-64");
  for (const Run& run : kRuns) {
    const std::string network = run.network;
    if (network == "fashion_cnn") {
      check(run, "testdata/fashion_cnn/model.onnx", writeFashion("fashion", 16));
    } else if (!simaqat::zoo::sharedFolder().empty()) {
      check(run, simaqat::zoo::networkFolder(network) + "/model.onnx", zooManifest(network));
    }
  }
}
