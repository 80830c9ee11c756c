#include "qat/passes/simplify.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

Graph specialized(const std::string& text, const Specialization& to) {
  Graph graph = parse(text);
  specialize(graph, to);
  return graph;
}

Specialization mode(Mode mode) {
  Specialization result;
  result.mode = mode;
  return result;
}

constexpr char kBatchNorm[] = R"(
  input %x : float[N, 2, 3]
  weight %g : float[2] = [1, 1]
  weight %b : float[2] = [0, 0]
  batch_norm_statistic %m : float[2] = [0, 0]
  batch_norm_statistic %v : float[2] = [1, 1]
  %y, %m1, %v1 = BatchNormalization(%x, %g, %b, %m, %v) {training_mode = 1} "bn"
  next %m = %m1
  next %v = %v1
  output y = %y)";

TEST_CASE("BatchNormalization in each mode") {
  const Graph train = specialized(kBatchNorm, mode(Mode::kTrain));
  CHECK(countNodes(train, "simaqat::BatchNormTraining") == 1);
  CHECK(train.nodes().size() == 1);
  CHECK(train.findVariable("m")->next() == train.nodes().front()->output(1));
  CHECK(train.findVariable("v")->next() == train.nodes().front()->output(2));
  CHECK(linesWith(train, "unbiased").empty());

  Specialization unbiased = mode(Mode::kTrain);
  unbiased.unbiased_running_var = true;
  CHECK(!linesWith(specialized(kBatchNorm, unbiased), "unbiased_running_var = 1").empty());

  Specialization frozen = mode(Mode::kTrain);
  frozen.freeze_batch_norm = true;
  Specialization calibrating = mode(Mode::kCalibrate);
  calibrating.freeze_batch_norm = true;
  for (const Graph& graph :
       {specialized(kBatchNorm, frozen), specialized(kBatchNorm, calibrating)}) {
    CHECK(countNodes(graph, "BatchNormalization") == 1);
    CHECK(linesWith(graph, "training_mode").empty());
    CHECK(linesWith(graph, "next").empty());
    CHECK(graph.variables().size() == 4);
  }

  const Graph evaluation = specialized(kBatchNorm, mode(Mode::kEvaluate));
  CHECK(countNodes(evaluation, "BatchNormalization") == 1);
  CHECK(linesWith(evaluation, "training_mode").empty());
  CHECK(evaluation.variables().empty());
  CHECK(evaluation.outputs[0].name == "y");
}

TEST_CASE("a frozen BatchNormalization stays so") {
  std::string text = kBatchNorm;
  text.replace(text.find(", %m1, %v1"), 10, "");
  text.replace(text.find(" {training_mode = 1}"), 20, "");
  text.replace(text.find("next"), text.find("output") - text.find("next"), "");
  const Graph graph = specialized(text, mode(Mode::kTrain));
  CHECK(linesWith(graph, "") == linesWith(parse(text), ""));
}

// A quantizer of an activation with a range, and one of a weight.
std::string scaffolded(const std::string& range) {
  return R"(
  input %x : float[2, 3]
  weight %w : float[4, 3] = [1, ...]
  quantizer_scale %xs : float[] = [0.5]
  quantizer_scale %xz : float[] = [2]
  observer_range %lo : float[] = [)" +
         range + R"(]
  quantizer_scale %ws : float[4, 1] = [1, ...]
  quantizer_scale %wz : float[4, 1] = [0, ...]
  %xq @x = simaqat::FakeQuantize(%x, %xs, %xz, %lo, %hi) {qmax = 255, qmin = 0} "xq"
  %wq @w = simaqat::FakeQuantize(%w, %ws, %wz) {axis = 0, observer = "channel_max", qmax = 127, qmin = -127} "wq"
  %y = Gemm(%xq, %wq) {transB = 1}
  output y = %y)";
}

std::string observed() {
  std::string text = scaffolded("-1");
  return text.insert(text.find("  quantizer_scale %ws"), "observer_range %hi : float[] = [1]\n");
}
std::string unset() {
  std::string text = scaffolded("inf");
  return text.insert(text.find("  quantizer_scale %ws"), "observer_range %hi : float[] = [-inf]\n");
}

TEST_CASE("FakeQuantize in training observes and uses what it observed") {
  const Graph graph = specialized(observed(), mode(Mode::kTrain));
  CHECK(countNodes(graph, "simaqat::ObserveRange") == 1);
  CHECK(countNodes(graph, "simaqat::RangeToScale") == 1);
  CHECK(countNodes(graph, "simaqat::WeightScale") == 1);
  CHECK(countNodes(graph, "simaqat::FakeQuantize") == 2);
  const Node& quantize = producerOf(graph, "xq");
  CHECK(quantize.inputCount() == 3);
  CHECK(quantize.input(1)->producer()->opType() == "RangeToScale");
  CHECK(graph.findVariable("lo")->next()->producer()->opType() == "ObserveRange");
  // What is kept for when observers are frozen.
  CHECK(graph.findVariable("xs")->next() == quantize.input(1));
  CHECK(graph.findVariable("xz")->next() == quantize.input(2));
  CHECK(producerOf(graph, "wq").input(1)->producer()->opType() == "WeightScale");
}

TEST_CASE("frozen observers keep their ranges") {
  Specialization frozen = mode(Mode::kTrain);
  frozen.freeze_observers = true;
  const Graph graph = specialized(observed(), frozen);
  CHECK(countNodes(graph, "simaqat::ObserveRange") == 0);
  CHECK(countNodes(graph, "simaqat::FakeQuantize") == 2);
  CHECK(producerOf(graph, "xq").input(1) == graph.findValue("xs"));
  CHECK(linesWith(graph, "next").empty());
}

TEST_CASE("calibration observes and does not quantize") {
  const Graph graph = specialized(observed(), mode(Mode::kCalibrate));
  CHECK(countNodes(graph, "simaqat::FakeQuantize") == 0);
  CHECK(countNodes(graph, "simaqat::ObserveRange") == 1);
  CHECK(producerOf(graph, "y").input(0) == graph.findValue("x"));
  CHECK(producerOf(graph, "y").input(1) == graph.findValue("w"));
  CHECK(graph.findVariable("lo")->next() != nullptr);
}

TEST_CASE("evaluation quantizes with the range there is, and not without one") {
  const Graph graph = specialized(observed(), mode(Mode::kEvaluate));
  CHECK(graph.variables().empty());
  CHECK(countNodes(graph, "simaqat::FakeQuantize") == 2);
  CHECK(countNodes(graph, "simaqat::ObserveRange") == 0);
  const Graph without = specialized(unset(), mode(Mode::kEvaluate));
  CHECK(countNodes(without, "simaqat::FakeQuantize") == 1);
  CHECK(producerOf(without, "y").input(0) == without.findValue("x"));
}

std::string dropout(const std::string& inputs, const std::string& outputs = "%y") {
  return R"(
  input %x : float[2, 3]
  constant %ratio : float[] = [0.5]
  constant %on : bool[] = [1]
  constant %off : bool[] = [0]
  )" + outputs +
         " = Dropout(" + inputs + ") \"drop\"\n%z = Relu(%y)\noutput z = %z" +
         (outputs == "%y" ? "" : "\noutput mask = %mask");
}

TEST_CASE("Dropout in each mode") {
  const Graph train = specialized(dropout("%x, %ratio, %on"), mode(Mode::kTrain));
  CHECK(linesWith(train, "Dropout") ==
        "%y : float[2, 3], %drop.1 : bool[2, 3] = Dropout(%x, %ratio, %on) \"drop\"\n");
  for (Mode quiet : {Mode::kCalibrate, Mode::kEvaluate}) {
    const Graph graph = specialized(dropout("%x, %ratio, %on"), mode(quiet));
    CHECK(linesWith(graph, "Dropout").empty());
    CHECK(producerOf(graph, "z").input(0) == graph.findValue("x"));
  }
  // Off by the file, or by default.
  for (const char* inputs : {"%x, %ratio, %off", "%x, %ratio", "%x"}) {
    CHECK(linesWith(specialized(dropout(inputs), mode(Mode::kTrain)), "Dropout").empty());
  }
}

TEST_CASE("Dropout whose mask leaves drops nothing in evaluation") {
  const Graph graph =
      specialized(dropout("%x, %ratio, %on", "%y, %mask"), mode(Mode::kEvaluate));
  CHECK(linesWith(graph, "Dropout") ==
        "%y : float[2, 3], %mask : bool[2, 3] = Dropout(%x, %ratio) \"drop\"\n");
  const Tensor x = randomTensor({2, 3}, 1);
  const std::vector<Tensor> outputs = run(graph, {x});
  CHECK(outputs[1].toVector<int>() == std::vector<int>(6, 1));
}

}  // namespace
}  // namespace simaqat
