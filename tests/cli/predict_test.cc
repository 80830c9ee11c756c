// predict writes what eval computes, of every stage, for this project's reader and for NumPy.
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>

#include "qat/data/array_reader.h"
#include "qat/data/npz.h"
#include "tests/catch.h"
#include "tests/cli/run.h"
#include "tests/cli/samples.h"

using Catch::Matchers::ContainsSubstring;
using namespace simaqat;
using namespace simaqat::cli;

namespace {

// How many rows have their largest number where the class is.
double shareRight(const Tensor& logits) {
  const int64_t classes = logits.dims()[1];
  const std::vector<float> values = logits.toVector<float>();
  int64_t right = 0;
  for (int64_t i = 0; i < logits.dims()[0]; ++i) {
    const float* row = values.data() + i * classes;
    right += std::max_element(row, row + classes) - row == i % 4 ? 1 : 0;
  }
  return static_cast<double>(right) / static_cast<double>(logits.dims()[0]);
}

std::string metricOf(const std::string& text, const std::string& name) {
  for (const std::string& line : linesOf(text)) {
    if (line.rfind(name + " ", 0) == 0) return line.substr(name.size() + 1);
  }
  return "";
}

TEST_CASE("predict writes the outputs of all samples in order, of every stage") {
  const Stages& s = stages();
  for (const std::string& model : {s.source, s.prepared, s.trained, s.finalized, s.exported}) {
    INFO(model);
    const std::string path = scratch("outputs.npz");
    runWell({"predict", model, "--data", s.manifest, "-o", path});
    const Tensor logits = readArray(path + "#logits");
    CHECK(logits.dims() == std::vector<int64_t>{100, 4});
    CHECK(npzKeys(path) == std::vector<std::string>{"logits"});
    const std::string top1 = metricOf(runWell({"eval", model, "--data", s.manifest}).out, "top1");
    CHECK(fmt::format("{:.4f}", shareRight(logits)) == top1);
    // A sample's outputs do not depend on those beside it.
    const std::string other = scratch("others.npz");
    runWell({"predict", model, "--data", s.manifest, "-o", other, "--batch-size", "7"});
    CHECK(readArray(other + "#logits").identical(logits));
  }
  const std::string train = scratch("train.npz");
  runWell({"predict", s.exported, "--data", s.manifest, "-o", train, "--split", "train"});
  CHECK(readArray(train + "#logits").dims()[0] == 256);
}

TEST_CASE("predict writes inner values, in a folder too") {
  const Stages& s = stages();
  const std::string plain = scratch("plain.npz"), folder = scratch("values/");
  const onnx::ModelProto source = load(s.source);
  const std::string inner = source.graph().node(2).output(0);
  REQUIRE(inner == "first/relu");
  runWell({"predict", s.source, "--data", s.manifest, "-o", plain});
  runWell({"predict", s.source, "--data", s.manifest, "-o", folder, "--values", inner + ",input",
           "--batch-size", "9"});
  CHECK(readArray(folder + "logits.npy").identical(readArray(plain + "#logits")));
  CHECK(readArray(folder + "first%2Frelu.npy").dims()[0] == 100);
  CHECK(readArray(folder + "input.npy").dims() == std::vector<int64_t>{100, 1, 8, 8});
  const Result result = run({"predict", s.source, "--data", s.manifest, "-o", scratch("none.npz"),
                             "--values", inner + "x"});
  CHECK(result.status == 3);
  CHECK_THAT(result.err, ContainsSubstring(inner + "x") && ContainsSubstring("near are " + inner));
  CHECK_FALSE(std::filesystem::exists(scratch("none.npz")));
  CHECK(run({"predict", s.source, "--data", s.manifest, "-o", scratch("none.npz"), "--values",
             "logits"})
            .status == 2);
}

TEST_CASE("a file that fixes its batch is predicted with the last batch filled up") {
  onnx::ModelProto model = smallNetwork();
  const std::string open = save(model, scratch("open.onnx"));
  fixBatch(model, 8);
  const std::string fixed = save(model, scratch("fixed.onnx"));
  const Args data = {"--data", stages().manifest, "-o"};
  runWell(Args{"predict", open} + data + Args{scratch("open.npz")});
  runWell(Args{"predict", fixed} + data + Args{scratch("fixed.npz")});
  CHECK(readArray(scratch("fixed.npz") + "#logits")
            .identical(readArray(scratch("open.npz") + "#logits")));
}

TEST_CASE("NumPy reads what predict writes") {
  if (std::system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") != 0) QAT_SKIP("no NumPy");
  const Stages& s = stages();
  const std::string path = scratch("numpy.npz"), copy = scratch("copy.npz");
  const std::string inner = load(s.source).graph().node(2).output(0);
  runWell({"predict", s.source, "--data", s.manifest, "-o", path, "--values", inner});
  const std::string script =
      "import numpy as n; f = n.load('" + path + "'); n.savez('" + copy + "', **dict(f))";
  REQUIRE(std::system(("/usr/bin/python3 -c \"" + script + "\"").c_str()) == 0);
  for (const std::string& key : npzKeys(path)) {
    CHECK(readArray(copy + "#" + key).identical(readArray(path + "#" + key)));
  }
  CHECK(npzKeys(copy).size() == 2);
}

}  // namespace
