#include "qat/passes/fuse_pointwise.h"

#include <cmath>
#include <limits>

#include "qat/ir/pointwise.h"
#include "qat/passes/passed_ranges.h"
#include "qat/passes/simplify.h"
#include "qat/passes/split_batch_norms.h"
#include "qat/passes/store_codes.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

void checkSameBits(const Graph& before, const Graph& after, const std::vector<Tensor>& inputs) {
  const std::vector<Tensor> expected = run(before, inputs);
  const std::vector<Tensor> got = run(after, inputs);
  REQUIRE(got.size() == expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    INFO(before.outputs[i].name);
    CHECK(got[i].identical(expected[i]));
  }
}

Graph fused(const Graph& graph) {
  Graph copy = graph.clone();
  fusePointwise(copy);
  removeDeadCode(copy);
  return copy;
}

// What one convolution's output goes through in a training step, forward and backward.
constexpr char kStep[] = R"(
  input %x : float[4, 6, 9, 7]
  input %d : float[4, 6, 9, 7]
  weight %gamma : float[6] = [1, ...]
  weight %beta : float[6] = [1, ...]
  weight %mean : float[6] = [0, ...]
  weight %var : float[6] = [1, ...]
  constant %min : float[] = [-0.1]
  constant %max : float[] = [0.9]
  %y, %rm, %rv, %m, %s = simaqat::BatchNormTraining(%x, %gamma, %beta, %mean, %var)
  %r = Relu(%y)
  %lo, %hi = simaqat::ObserveRange(%r, %min, %max) {qmin = 0, qmax = 255}
  %scale, %zero = simaqat::RangeToScale(%lo, %hi) {qmin = 0, qmax = 255}
  %q = simaqat::FakeQuantize(%r, %scale, %zero) {qmin = 0, qmax = 255}
  %dq = simaqat::FakeQuantizeGradient(%d, %r, %scale, %zero) {qmin = 0, qmax = 255}
  %dr = simaqat::ReluGradient(%dq, %r)
  %dx, %dg, %db = simaqat::BatchNormTrainingGradient(%dr, %x, %gamma, %m, %s)
  output q = %q
  output dx = %dx
  output dg = %dg
  output db = %db
  output lo = %lo
  output hi = %hi
  output rm = %rm
  output rv = %rv)";

}  // namespace

TEST_CASE("elementwise operators of one shape become one node") {
  const Graph graph = parse(R"(
    input %a : float[3, 5, 40]
    input %b : float[3, 5, 40]
    input %c : float[5, 1]
    constant %two : float[] = [2]
    %sum = Add(%a, %b)
    %product = Mul(%sum, %c)
    %r = Relu(%product)
    %y = Sub(%r, %two)
    output y = %y)");
  const Graph after = fused(graph);
  CHECK(after.nodes().size() == 1);
  const Node& node = producerOf(after, after.outputs[0].value->name());
  CHECK(node.attributes<PointwiseAttributes>().function == "Sub(Relu(Mul(Add(0, 1), 2)), 3)");
  checkSameBits(graph, after,
                {randomTensor({3, 5, 40}, 1), randomTensor({3, 5, 40}, 2), randomTensor({5, 1}, 3)});
}

TEST_CASE("blocks of many short rows, with operands broadcast in every way") {
  const Graph graph = parse(R"(
    input %a : float[9, 64, 5, 5]
    input %b : float[9, 64, 5, 5]
    input %channels : float[64, 1, 1]
    input %places : float[5, 5]
    input %images : float[9, 1, 1, 1]
    input %one : float[]
    %s = Add(%a, %channels)
    %m = Mul(%s, %places)
    %t = Sub(%m, %images)
    %u = Mul(%t, %channels)
    %v = Mul(%u, %one)
    %y = Add(%v, %b)
    output y = %y)");
  const Graph after = fused(graph);
  CHECK(after.nodes().size() == 1);
  checkSameBits(graph, after,
                {randomTensor({9, 64, 5, 5}, 1), randomTensor({9, 64, 5, 5}, 2),
                 randomTensor({64, 1, 1}, 3), randomTensor({5, 5}, 4),
                 randomTensor({9, 1, 1, 1}, 5), randomTensor({}, 6)});
}

TEST_CASE("a training step of small images has the same bits fused") {
  for (const char* dims : {"4, 48, 4, 4", "6, 40, 7, 7", "3, 17, 14, 14", "5, 3, 2, 9"}) {
    INFO(dims);
    std::string text = kStep;
    const std::string channels = std::string(dims).substr(3, std::string(dims).find(',', 3) - 3);
    for (size_t at; (at = text.find("4, 6, 9, 7")) != std::string::npos;) text.replace(at, 10, dims);
    for (size_t at; (at = text.find("[6]")) != std::string::npos;) {
      text.replace(at, 3, "[" + channels + "]");
    }
    const Graph graph = parse(text);
    for (const bool by_ranges : {false, true}) {
      Graph after = graph.clone();
      splitBatchNorms(after);
      if (by_ranges) usePassedRanges(after);
      removeDeadCode(after);
      fusePointwise(after);
      removeDeadCode(after);
      CHECK(countNodes(after, by_ranges ? "simaqat::PassedBatchNormGradient"
                                        : "simaqat::PointwiseBatchNormGradient") == 1);
      const std::vector<int64_t> shape = graph.inputs[0]->type.dims();
      checkSameBits(graph, after, {randomTensor(shape, 1), randomTensor(shape, 2)});
    }
  }
}

TEST_CASE("the mask of a learned scale is the same alone, fused and by the definition") {
  const Graph graph = parse(R"(
    input %d : float[2, 3, 40]
    input %x : float[2, 3, 40]
    constant %scale : float[] = [0.1]
    constant %scales : float[3] = [0.1, 0.2, 0.05]
    constant %zero : float[] = [2]
    constant %zeros : float[3] = [0, 0, 0]
    %r = Relu(%d)
    %m = simaqat::FakeQuantizeGradient(%r, %x, %scale, %zero) {qmin = 0, qmax = 15, observer = "lsq"}
    %y = simaqat::FakeQuantizeGradient(%d, %x, %scales, %zeros) {qmin = -7, qmax = 7, axis = 1, observer = "lsq"}
    output m = %m
    output y = %y)");
  const Graph after = fused(graph);
  CHECK(countNodes(after, "simaqat::Pointwise") == 1);
  const Tensor d = randomTensor({2, 3, 40}, 1);
  const Tensor x = randomTensor({2, 3, 40}, 2);
  checkSameBits(graph, after, {d, x});
  const std::vector<float> masked = run(graph, {d, x})[0].toVector<float>();
  const std::vector<float> per_channel = run(graph, {d, x})[1].toVector<float>();
  const float scales[] = {0.1f, 0.2f, 0.05f};
  for (size_t i = 0; i < masked.size(); ++i) {
    const float dy = d.data<float>()[i];
    const float code = x.data<float>()[i] / 0.1f + 2;
    const float own = x.data<float>()[i] / scales[i / 40 % 3];
    CHECK(masked[i] == (code >= 0 && code <= 15 && dy > 0 ? dy : 0.0f));
    CHECK(per_channel[i] == (own >= -7 && own <= 7 ? dy : 0.0f));
  }
}

TEST_CASE("rows of any length, and numbers that are not finite, have the same bits fused") {
  for (const int64_t length : {16, 17, 49, 512, 1031}) {
    const Graph graph = parse(fmt::format(R"(
      input %a : float[2, 3, {0}]
      input %c : float[2, 3, 1]
      %s = Sigmoid(%a)
      %p = Mul(%a, %s)
      %y = Mul(%p, %c)
      output y = %y)", length));
    const Graph after = fused(graph);
    CHECK(after.nodes().size() == 1);
    Tensor a = randomTensor({2, 3, length}, 4);
    a.mutableData<float>()[3] = std::numeric_limits<float>::quiet_NaN();
    a.mutableData<float>()[7] = std::numeric_limits<float>::infinity();
    const std::vector<float> before = run(graph, {a, randomTensor({2, 3, 1}, 5)})[0].toVector<float>();
    const std::vector<float> now = run(after, {a, randomTensor({2, 3, 1}, 5)})[0].toVector<float>();
    for (size_t i = 0; i < now.size(); ++i) {
      // The exponential of an odd last element may be another instruction's.
      const bool same = now[i] == before[i] || (std::isnan(now[i]) && std::isnan(before[i]));
      CHECK((same || std::fabs(now[i] - before[i]) <= 1e-6f * std::fabs(before[i])));
    }
  }
}

TEST_CASE("a value that others than elementwise operators need stays") {
  const Graph graph = parse(R"(
    input %a : float[2, 64]
    %r = Relu(%a)
    %s = ReduceSum(%r)
    %y = Add(%r, %a)
    output s = %s
    output y = %y)");
  const Graph after = fused(graph);
  CHECK(countNodes(after, "Relu") == 1);
  CHECK(countNodes(after, "simaqat::Pointwise") == 0);
}

TEST_CASE("operands broadcast along many axes in turn") {
  // Nine axes that cannot be merged, and a tenth to run along: more than a program has.
  const Graph graph = parse(R"(
    input %a : float[2, 2, 2, 2, 2, 2, 2, 2, 2, 16]
    input %b : float[2, 1, 2, 1, 2, 1, 2, 1, 2, 1]
    %s = Add(%a, %b)
    %y = Relu(%s)
    output y = %y)");
  const Graph after = fused(graph);
  CHECK(after.nodes().size() == 2);
  checkSameBits(graph, after, {randomTensor({2, 2, 2, 2, 2, 2, 2, 2, 2, 16}, 1),
                               randomTensor({2, 1, 2, 1, 2, 1, 2, 1, 2, 1}, 2)});
}

TEST_CASE("short rows stay as they are") {
  const Graph graph = parse(R"(
    input %a : float[4096, 3]
    input %b : float[4096, 1]
    %s = Add(%a, %b)
    %y = Relu(%s)
    output y = %y)");
  CHECK(fused(graph).nodes().size() == 2);
}

TEST_CASE("normalization, activation and quantization are one pass each way, bit for bit") {
  const Graph graph = parse(kStep);
  Graph after = graph.clone();
  storeCodes(after);
  splitBatchNorms(after);
  usePassedRanges(after);
  removeDeadCode(after);
  fusePointwise(after);
  removeDeadCode(after);
  CHECK(countNodes(after, "simaqat::PointwiseQuantize") == 1);
  CHECK(countNodes(after, "simaqat::PassedBatchNormGradient") == 1);
  CHECK(countNodes(after, "simaqat::FakeQuantize") == 0);
  CHECK(countNodes(after, "Relu") == 0);
  // No float tensor of that size lives between the two passes but what was given.
  for (const auto& node : after.nodes()) {
    const bool is_result = after.isOutput(node->output());
    CHECK((is_result || node->output()->type.element == ElementType::kUint8 ||
           node->output()->type.size() < 4 * 6 * 9 * 7));
  }
  checkSameBits(graph, after, {randomTensor({4, 6, 9, 7}, 1), randomTensor({4, 6, 9, 7}, 2)});
}

TEST_CASE("BatchNormalization with running statistics is one pass each way, bit for bit") {
  std::string text = kStep;
  const auto replace = [&](const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
  };
  replace("%y, %rm, %rv, %m, %s = simaqat::BatchNormTraining(", "%y = BatchNormalization(");
  replace("simaqat::BatchNormTrainingGradient(%dr, %x, %gamma, %m, %s)",
          "simaqat::BatchNormFrozenGradient(%dr, %x, %gamma, %mean, %var)");
  replace("output rm = %rm\n", "");
  replace("output rv = %rv", "");
  const Graph graph = parse(text);
  Graph after = graph.clone();
  storeCodes(after);
  splitBatchNorms(after);
  usePassedRanges(after);
  removeDeadCode(after);
  fusePointwise(after);
  removeDeadCode(after);
  CHECK(countNodes(after, "simaqat::PointwiseQuantize") == 1);
  CHECK(countNodes(after, "simaqat::PassedBatchNormFrozenGradient") == 1);
  CHECK(countNodes(after, "BatchNormalization") == 0);
  checkSameBits(graph, after, {randomTensor({4, 6, 9, 7}, 1), randomTensor({4, 6, 9, 7}, 2)});
}

TEST_CASE("the range behind a monotone function follows from the channels' extremes") {
  Graph graph = parse(kStep);
  splitBatchNorms(graph);
  const Node& observer = producerOf(graph, "lo");
  CHECK(observer.input(0)->type.dims() == std::vector<int64_t>{2, 6, 1, 1});
}

TEST_CASE("a value that no code tells makes what is computed from the codes NaN") {
  const Graph graph = parse(R"(
    input %x : float[2, 40]
    constant %scale : float[] = [0.1]
    constant %zero : float[] = [3]
    %q = simaqat::FakeQuantize(%x, %scale, %zero) {qmin = 0, qmax = 255}
    output y = %q)");
  Graph after = graph.clone();
  storeCodes(after);
  CHECK(countNodes(after, "simaqat::Quantize") == 1);
  Tensor x = randomTensor({2, 40}, 1);
  checkSameBits(graph, after, {x});
  x.mutableData<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  for (float v : run(after, {x})[0].toVector<float>()) CHECK(std::isnan(v));
}

TEST_CASE("operators that move values move codes") {
  const Graph graph = parse(R"(
    input %x : float[2, 3, 8, 8]
    constant %scale : float[] = [0.02]
    constant %zero : float[] = [100]
    %q = simaqat::FakeQuantize(%x, %scale, %zero) {qmin = 0, qmax = 255}
    %p = MaxPool(%q) {kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]}
    %y = Flatten(%p)
    output y = %y)");
  Graph after = graph.clone();
  storeCodes(after);
  removeDeadCode(after);
  for (const auto& node : after.nodes()) {
    if (node->op().name == "MaxPool" || node->op().name == "Flatten") {
      CHECK(node->output()->type.element == ElementType::kUint8);
    }
  }
  checkSameBits(graph, after, {randomTensor({2, 3, 8, 8}, 3)});
}

}  // namespace simaqat
