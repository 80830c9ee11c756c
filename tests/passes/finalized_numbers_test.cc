// The scaffolded model, evaluated, and the finalized one give the same outputs.
#include <cmath>
#include <functional>

#include "qat/passes/finalize.h"
#include "qat/passes/scaffold.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"
#include "tests/passes/round_biases.h"

namespace simaqat {
namespace {

struct Agreement {
  int64_t elements = 0;
  int64_t differing = 0;
  int64_t beyond_step = 0;
  double largest = 0;  // in steps
};

// The last quantizer's step, which an operator that only moves values shares with its input.
float scaleOf(const GraphOutput& output) {
  if (output.value->quantizer == nullptr) return 0.1f;  // a float output
  return *output.value->quantizer->scale->variable->value.data<float>();
}

// Both graphs on inputs that calibration did not see.
void compare(const Graph& scaffolded, const std::vector<Tensor>& inputs, Agreement& result) {
  Graph finalized = scaffolded.clone();
  finalize(finalized);
  CHECK(countNodes(finalized, "simaqat::FakeQuantize") == 0);
  Graph evaluation = evaluationOf(scaffolded);
  roundBiases(evaluation);
  const std::vector<Tensor> expected = run(evaluation, inputs);
  const std::vector<Tensor> got = run(finalized, inputs);
  for (size_t i = 0; i < expected.size(); ++i) {
    const double scale = scaleOf(scaffolded.outputs[i]);
    const std::vector<double> a = expected[i].toVector<double>();
    const std::vector<double> b = got[i].toVector<double>();
    REQUIRE(a.size() == b.size());
    for (size_t k = 0; k < a.size(); ++k) {
      const double steps = std::fabs(a[k] - b[k]) / scale;
      result.largest = std::max(result.largest, steps);
      ++result.elements;
      result.differing += steps > 0.001;
      result.beyond_step += steps > 1.001;
    }
  }
}

// `edit` changes weights after they got random values.
void check(const std::string& text, const std::function<void(Graph&)>& edit = {},
           const ScaffoldOptions& options = {}) {
  Agreement result;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    INFO("seed " << seed);
    Graph graph = parse(text);
    randomizeVariables(graph, 100 * seed);
    if (edit) edit(graph);
    std::vector<Tensor> calibration;
    std::vector<Tensor> inputs;
    for (const Value* input : graph.inputs) {
      std::vector<int64_t> dims;
      for (const Dim& dim : *input->type.shape) dims.push_back(dim.known() ? dim.value : 4);
      calibration.push_back(randomTensor(dims, 7 * seed));
      inputs.push_back(randomTensor(dims, 7 * seed + 1));
    }
    scaffold(graph, options);
    calibrate(graph, calibration);
    compare(graph, inputs, result);
  }
  INFO(result.differing << " of " << result.elements << " elements differ, " << result.beyond_step
                        << " by more than a step, at most by " << result.largest);
  // What float rounding moves over a tie. INT32 biases, unseen, move one element in two hundred.
  // Steps of 16 bits are only some hundred times float's own.
  const int64_t share = options.activation.bits == 16 ? 300 : 1000;
  CHECK(result.differing <= 1 + result.elements / share);
  CHECK(result.beyond_step == 0);
}

void setElements(Graph& graph, const std::string& name, const std::vector<float>& values) {
  float* data = graph.findVariable(name)->value.mutableData<float>();
  std::copy(values.begin(), values.end(), data);
}

constexpr char kConvBatchNormRelu[] = R"(
  input %x : float[N, 3, 9, 9]
  weight %w : float[8, 3, 3, 3] = [...]
  weight %b : float[8] = [...]
  weight %gamma : float[8] = [...]
  weight %beta : float[8] = [...]
  batch_norm_statistic %mean : float[8] = [...]
  batch_norm_statistic %var : float[8] = [...]
  weight %w2 : float[5, 8, 1, 1] = [...]
  %c = Conv(%x, %w, %b) {pads = [1, 1, 1, 1]}
  %n = BatchNormalization(%c, %gamma, %beta, %mean, %var) {epsilon = 0.001}
  %r = Relu(%n)
  %y = Conv(%r, %w2)
  output y = %y)";

TEST_CASE("Conv, BatchNormalization, Relu, Conv") { check(kConvBatchNormRelu); }

TEST_CASE("gamma of every kind") {
  check(kConvBatchNormRelu, [](Graph& g) { setElements(g, "gamma", {0, 0, 1, 1, 0, 2, 0, 1}); });
  check(kConvBatchNormRelu, [](Graph& g) { setElements(g, "gamma", {-1, -2, 1, -1, 0, 2, -3, 1}); });
  check(kConvBatchNormRelu, [](Graph& g) {
    setElements(g, "gamma", {1e-9f, -1e-9f, 1e-20f, -1e-30f, 1e-38f, 1e-42f, 1e-6f, 1});
  });
  // No channel sees its input any more.
  check(kConvBatchNormRelu, [](Graph& g) { setElements(g, "gamma", std::vector<float>(8, 0)); });
}

TEST_CASE("gamma of every kind, and one scale for the weight") {
  for (const char* observer : {"channel_max", "channel_mse", "lsq"}) {
    for (const int64_t bits : {4, 8}) {
      INFO(observer << " with " << bits << " bits");
      ScaffoldOptions options;
      options.weight.observer = observer;
      options.weight.bits = bits;
      options.weight.per_channel = false;
      const auto with = [&](const std::vector<float>& gamma) {
        check(
            kConvBatchNormRelu, [&](Graph& g) { setElements(g, "gamma", gamma); }, options);
      };
      with({-1, -2, 1, -1, 0, 2, -3, 1});
      with({1e-9f, -1e-9f, 1e-20f, -1e-30f, 1e-38f, 1e-42f, 1e-6f, 1});
      with(std::vector<float>(8, 0));
    }
  }
}

TEST_CASE("variances and weights of every size") {
  check(kConvBatchNormRelu, [](Graph& g) { setElements(g, "var", {0, 1e-12f, 1e6f, 1e12f, 1}); });
  check(kConvBatchNormRelu,
        [](Graph& g) { setElements(g, "w", std::vector<float>(27 * 3, 0)); });
  check(kConvBatchNormRelu, [](Graph& g) {
    float* w = g.findVariable("w")->value.mutableData<float>();
    for (int i = 0; i < 27; ++i) w[i] *= 1e-12f;
    for (int i = 27; i < 54; ++i) w[i] *= 1e6f;
  });
  check(kConvBatchNormRelu, [](Graph& g) { setElements(g, "beta", {1e4f, -1e4f, 30}); });
}

TEST_CASE("depthwise Conv with relu6") {
  check(R"(
    input %x : float[N, 6, 8, 8]
    weight %w : float[6, 1, 3, 3] = [...]
    weight %gamma : float[6] = [...]
    weight %beta : float[6] = [...]
    batch_norm_statistic %mean : float[6] = [...]
    batch_norm_statistic %var : float[6] = [...]
    weight %w2 : float[4, 6, 1, 1] = [...]
    constant %lo : float[] = [0]
    constant %hi : float[] = [6]
    %c = Conv(%x, %w) {group = 6, pads = [1, 1, 1, 1]}
    %n = BatchNormalization(%c, %gamma, %beta, %mean, %var)
    %r = Clip(%n, %lo, %hi)
    %p = Conv(%r, %w2)
    %y = GlobalAveragePool(%p)
    output y = %y)");
}

constexpr char kDense[] = R"(
  input %x : float[N, 3, 6, 6]
  weight %w1 : float[4, 3, 3, 3] = [...]
  weight %w2 : float[2, 3, 3, 3] = [...]
  weight %gamma : float[6] = [...]
  weight %beta : float[6] = [...]
  batch_norm_statistic %mean : float[6] = [...]
  batch_norm_statistic %var : float[6] = [...]
  weight %w3 : float[5, 6, 1, 1] = [...]
  %a = Conv(%x, %w1) {pads = [1, 1, 1, 1]}
  %ar = Relu(%a)
  %b = Conv(%x, %w2) {pads = [1, 1, 1, 1]}
  %c = Concat(%ar, %b) {axis = 1}
  %n = BatchNormalization(%c, %gamma, %beta, %mean, %var)
  %r = Relu(%n)
  %y = Conv(%r, %w3)
  output y = %y)";

TEST_CASE("Concat and the BatchNormalization behind it") {
  check(kDense);
  check(kDense, [](Graph& g) { setElements(g, "gamma", {0, -1, 1e-20f, -1e-6f, 2, 0}); });
}

TEST_CASE("Concat of values that others use too") {
  check(R"(
    input %x : float[N, 3, 6, 6]
    weight %w1 : float[4, 3, 1, 1] = [...]
    weight %w2 : float[4, 4, 1, 1] = [...]
    %a = Conv(%x, %w1)
    %ar = Relu(%a)
    %b = Conv(%ar, %w2)
    %c = Concat(%ar, %b) {axis = 1}
    %m = MaxPool(%c) {kernel_shape = [2, 2], strides = [2, 2]}
    %y = GlobalAveragePool(%m)
    output y = %y)");
}

TEST_CASE("residual block") {
  check(R"(
    input %x : float[N, 4, 6, 6]
    weight %w1 : float[4, 4, 3, 3] = [...]
    weight %gamma : float[4] = [...]
    weight %beta : float[4] = [...]
    batch_norm_statistic %mean : float[4] = [...]
    batch_norm_statistic %var : float[4] = [...]
    %c = Conv(%x, %w1) {pads = [1, 1, 1, 1]}
    %n = BatchNormalization(%c, %gamma, %beta, %mean, %var)
    %s = Add(%n, %x)
    %r = Relu(%s)
    %p = GlobalAveragePool(%r)
    %y = Flatten(%p)
    output s = %s
    output y = %y)",
        [](Graph& g) { setElements(g, "gamma", {0, 0, -1, 0}); });
}

TEST_CASE("Gemm with factors, untransposed, and a BatchNormalization") {
  const std::string before = R"(
    input %x : float[N, 12]
    weight %w : float[12, 7] = [...]
    weight %b : float[7] = [...]
    weight %gamma : float[7] = [...]
    weight %beta : float[7] = [...]
    batch_norm_statistic %mean : float[7] = [...]
    batch_norm_statistic %var : float[7] = [...])";
  check(before + R"(
    %y = Gemm(%x, %w, %b) {alpha = -0.5, beta = 3.0}
    output y = %y)");
  check(before + R"(
    %g = Gemm(%x, %w, %b) {alpha = 0.25, beta = 2.0}
    %n = BatchNormalization(%g, %gamma, %beta, %mean, %var)
    %y = Relu(%n)
    output y = %y)");
  check(before + R"(
    %g = MatMul(%x, %w)
    %y = BatchNormalization(%g, %gamma, %beta, %mean, %var)
    output y = %y)");
  check(before + R"(
    %y = MatMul(%x, %w)
    output y = %y)");
}

TEST_CASE("linear layers as exporters write them") {
  // The weight transposed in the graph, the bias in front.
  const std::string weights = R"(
    weight %w : float[7, 12] = [...]
    weight %b : float[7] = [...]
    %t = Transpose(%w) {perm = [1, 0]}
    %m = MatMul(%x, %t)
    %s = Add(%b, %m)
    %y = Relu(%s)
    output y = %y)";
  check("input %x : float[N, 12]" + weights);
  check("input %x : float[N, 5, 12]" + weights);
}

TEST_CASE("a BatchNormalization behind a MatMul of higher rank is of another axis") {
  check(R"(
    input %x : float[N, 5, 6]
    weight %w : float[6, 5] = [...]
    weight %gamma : float[5] = [...]
    weight %beta : float[5] = [...]
    batch_norm_statistic %mean : float[5] = [...]
    batch_norm_statistic %var : float[5] = [...]
    %m = MatMul(%x, %w)
    %y = BatchNormalization(%m, %gamma, %beta, %mean, %var)
    output y = %y)");
}

TEST_CASE("tied weights, with BatchNormalizations of their own") {
  check(R"(
    input %x : float[N, 4, 6, 6]
    weight %w : float[4, 4, 3, 3] = [...]
    weight %gamma1 : float[4] = [...]
    weight %gamma2 : float[4] = [...]
    weight %beta : float[4] = [...]
    batch_norm_statistic %mean : float[4] = [...]
    batch_norm_statistic %var : float[4] = [...]
    %c1 = Conv(%x, %w) {pads = [1, 1, 1, 1]}
    %n1 = BatchNormalization(%c1, %gamma1, %beta, %mean, %var)
    %r1 = Relu(%n1)
    %c2 = Conv(%r1, %w) {pads = [1, 1, 1, 1]}
    %y = BatchNormalization(%c2, %gamma2, %beta, %mean, %var)
    output y = %y)");
}

TEST_CASE("Dropout, Flatten and Sigmoid") {
  check(R"(
    input %x : float[N, 3, 4, 4]
    weight %w1 : float[6, 3, 1, 1] = [...]
    weight %w2 : float[5, 96] = [...]
    weight %b2 : float[5] = [...]
    constant %ratio : float[] = [0.5]
    constant %training : bool[] = [1]
    %c = Conv(%x, %w1)
    %s = Sigmoid(%c)
    %d = Dropout(%s, %ratio, %training)
    %f = Flatten(%d)
    %y = Gemm(%f, %w2, %b2) {transB = 1}
    output y = %y)");
}

constexpr char kConvTranspose[] = R"(
    input %x : float[N, 4, 5, 5]
    weight %w : float[4, GROUPED, 3, 3] = [...]
    weight %b : float[6] = [...]
    weight %gamma : float[6] = [...]
    weight %beta : float[6] = [...]
    batch_norm_statistic %mean : float[6] = [...]
    batch_norm_statistic %var : float[6] = [...]
    %c = ConvTranspose(%x, %w, %b) {group = GROUPS, strides = [2, 2]}
    %n = BatchNormalization(%c, %gamma, %beta, %mean, %var)
    %y = Relu(%n)
    output y = %y)";

std::string convTranspose(int groups) {
  std::string text = kConvTranspose;
  const auto set = [&](const std::string& name, int number) {
    text.replace(text.find(name), name.size(), std::to_string(number));
  };
  set("GROUPED", 6 / groups);
  set("GROUPS", groups);
  return text;
}

TEST_CASE("ConvTranspose with a BatchNormalization") {
  const auto edit = [](Graph& g) { setElements(g, "gamma", {0, -1, 2, 1e-20f, -3, 1}); };
  for (const bool per_channel : {true, false}) {
    for (const char* observer : {"channel_max", "channel_mse", "lsq"}) {
      INFO(observer);
      ScaffoldOptions options;
      options.weight.per_channel = per_channel;
      options.weight.observer = observer;
      for (const int groups : {1, 2}) {
        check(convTranspose(groups), {}, options);
        check(convTranspose(groups), edit, options);
      }
    }
  }
}

TEST_CASE("ConvTranspose with groups and no BatchNormalization, or one that stays") {
  check(R"(
    input %x : float[N, 4, 5, 5]
    weight %w : float[4, 3, 3, 3] = [...]
    weight %b : float[6] = [...]
    %c = ConvTranspose(%x, %w, %b) {group = 2}
    %y = Relu(%c)
    output y = %y)");
  ScaffoldOptions options;
  options.overrides = {quantized("BatchNormalization", "", false)};
  check(convTranspose(2), {}, options);
}

TEST_CASE("attention with masks of every kind") {
  for (const char* mask : {"-100", "-1e9", "-inf"}) {
    INFO(mask);
    check(fmt::format(R"(
    input %q : float[N, 2, 5, 4]
    input %k : float[N, 2, 5, 4]
    input %v : float[N, 2, 5, 4]
    constant %half : float[] = [0.5]
    constant %mask : float[1, 5] = [0, {0}, 0, {0}, 0]
    %t = Transpose(%k) {{perm = [0, 1, 3, 2]}}
    %s = MatMul(%q, %t)
    %z = Mul(%s, %half)
    %m = Add(%z, %mask)
    %p = Softmax(%m)
    %y = MatMul(%p, %v)
    output y = %y)",
                      mask));
  }
}

TEST_CASE("nodes that the recipe leaves float") {
  ScaffoldOptions options;
  options.overrides = {quantized("", "c", false)};
  check(kConvBatchNormRelu, {}, options);
  options.overrides = {quantized("BatchNormalization", "", false)};
  check(kDense, {}, options);
  check(kConvBatchNormRelu, {}, options);
  options.overrides = {quantized("Concat", "", false)};
  check(kDense, {}, options);
}

TEST_CASE("stored operands of Add, Mul, Concat and Where") {
  check(R"(
    input %x : float[N, 4, 6, 6]
    weight %scale : float[4, 1, 1] = [...]
    weight %shift : float[4, 1, 1] = [...]
    weight %w : float[5, 4, 1, 1] = [...]
    constant %half : float[] = [-0.37]
    %m = Mul(%x, %scale)
    %c = Conv(%m, %w)
    %a = Mul(%c, %half)
    %b = Conv(%m, %w)
    %s = Add(%a, %b)
    output s = %s)");
  check(R"(
    input %x : float[N, 4]
    weight %token : float[4, 3] = [...]
    weight %position : float[4, 7] = [...]
    %c = Concat(%token, %x) {axis = 1}
    %y = Add(%c, %position)
    output y = %y)");
}

TEST_CASE("every width, sign, observer and granularity of a recipe") {
  const auto with = [](const std::function<void(ScaffoldOptions&)>& choose) {
    ScaffoldOptions options;
    choose(options);
    check(kConvBatchNormRelu, {}, options);
    check(kDense, [](Graph& g) { setElements(g, "gamma", {0, -1, 1e-6f, 1, 2, 0}); }, options);
  };
  for (int64_t bits : {2, 3, 4, 7, 8, 16}) {
    INFO("weights of " << bits << " bits");
    with([&](ScaffoldOptions& o) { o.weight.bits = bits; });
  }
  for (int64_t bits : {4, 8, 16}) {
    INFO("activations of " << bits << " bits");
    with([&](ScaffoldOptions& o) { o.activation.bits = bits; });
    with([&](ScaffoldOptions& o) {
      o.activation.bits = bits;
      o.activation.is_signed = true;
    });
    with([&](ScaffoldOptions& o) {
      o.activation.bits = bits;
      o.activation.is_signed = o.activation.symmetric = true;
    });
  }
  for (const char* observer :
       {"min_max", "percentile", "mse", "entropy", "lsq", "lsq_plus", "moving_average_min_max"}) {
    INFO("activations by " << observer);
    with([&](ScaffoldOptions& o) { o.activation.observer = observer; });
  }
  for (const char* observer : {"channel_max", "channel_mse", "lsq"}) {
    INFO("weights by " << observer);
    with([&](ScaffoldOptions& o) { o.weight.observer = observer; });
    with([&](ScaffoldOptions& o) {
      o.weight.observer = observer;
      o.weight.per_channel = false;
    });
  }
  with([](ScaffoldOptions& o) { o.integer_biases = false; });
  with([](ScaffoldOptions& o) { o.activation.bits = o.weight.bits = 16; });
  with([](ScaffoldOptions& o) { o.activation.quantize = false; });
}

}  // namespace
}  // namespace simaqat
