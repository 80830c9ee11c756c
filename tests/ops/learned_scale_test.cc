// The gradients of learned scales and offsets, against the papers' formulas, number by number.
#include <algorithm>
#include <array>
#include <cmath>

#include "qat/base/random.h"
#include "qat/ir/op.h"
#include "qat/ir/quantizer.h"
#include "qat/ops/registry.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

struct Gradients {
  std::vector<double> scale;
  std::vector<double> offset;
};

struct Given {
  QuantizerSpec spec;
  std::vector<int64_t> dims;
  std::vector<float> scales;
  float zero_point = 0;
};

Tensor normal(const std::vector<int64_t>& dims, uint64_t seed) {
  Tensor tensor(ElementType::kFloat, dims);
  const RandomStream stream(seed, randomPurpose("learned"), 0);
  for (int64_t i = 0; i < tensor.size(); ++i) {
    tensor.mutableData<float>()[i] = stream.normal(static_cast<uint64_t>(i));
  }
  return tensor;
}

Gradients computed(const Given& given, const Tensor& dy, const Tensor& x, int threads) {
  const auto channels = static_cast<int64_t>(given.scales.size());
  const Tensor scale = Tensor::of({channels}, given.scales);
  const Tensor zero =
      Tensor::of({channels}, std::vector<float>(given.scales.size(), given.zero_point));
  Graph graph(opRegistry());
  std::vector<Value*> inputs;
  for (const Tensor& tensor : {dy, x, scale, zero}) {
    inputs.push_back(graph.addConstant("input", tensor));
  }
  Graph::NodeOptions options;
  options.output_count = 2;
  const Node* node = graph.addNode("simaqat::LearnedScaleGradient", "node", inputs,
                                   wrapAttributes(given.spec), options);
  ThreadPool pool(threads);
  const std::vector<Tensor> outputs = evaluateOnHost(graph, *node, {dy, x, scale, zero}, pool);
  return {outputs[0].toVector<double>(), outputs[1].toVector<double>()};
}

// LSQ, eq. 3, and LSQ+, eq. 6 and 7, with n and p the ends of the codes as counted from the value
// that does not move with the scale.
Gradients expected(const Given& given, const Tensor& dy, const Tensor& x) {
  const QuantizerSpec& spec = given.spec;
  const size_t channels = given.scales.size();
  int64_t inner = 1;
  for (size_t k = static_cast<size_t>(spec.axis + 1); k < given.dims.size(); ++k) inner *= given.dims[k];
  if (!spec.perChannel()) inner = x.size();
  Gradients sums{std::vector<double>(channels, 0), std::vector<double>(channels, 0)};
  for (int64_t i = 0; i < x.size(); ++i) {
    const size_t c = static_cast<size_t>(i / inner) % channels;
    const double v = static_cast<double>(x.data<float>()[i]) / given.scales[c];
    const double n = static_cast<double>(spec.qmin) - given.zero_point;
    const double p = static_cast<double>(spec.qmax) - given.zero_point;
    const double g = dy.data<float>()[i];
    const double origin = spec.learnsOffset() ? n : 0;  // the offset is the value of code qmin
    if (v < n || v > p) {
      sums.scale[c] += g * ((v < n ? n : p) - origin);
      sums.offset[c] += g;
    } else {
      sums.scale[c] += g * (std::nearbyint(v) - v);
    }
  }
  const double shared = static_cast<double>(x.size()) / static_cast<double>(channels) /
                        (spec.is_weight ? 1.0 : static_cast<double>(given.dims[0]));
  const double factor =
      1 / std::sqrt(shared * (static_cast<double>(spec.qmax) - given.zero_point));
  for (double& s : sums.scale) s *= factor;
  for (double& s : sums.offset) s *= factor;
  return sums;
}

void check(const Given& given) {
  const Tensor x = normal(given.dims, 1);
  const Tensor dy = normal(given.dims, 2);
  const Gradients one = computed(given, dy, x, 1);
  const Gradients formula = expected(given, dy, x);
  for (size_t c = 0; c < one.scale.size(); ++c) {
    CHECK(one.scale[c] == Catch::Approx(formula.scale[c]).epsilon(1e-4));
    if (given.spec.learnsOffset())
      CHECK(one.offset[c] == Catch::Approx(formula.offset[c]).epsilon(1e-4));
  }
  const Gradients three = computed(given, dy, x, 3);
  CHECK(one.scale == three.scale);
  CHECK(one.offset == three.offset);
}

TEST_CASE("LSQ of weights") {
  QuantizerSpec spec = weightQuantizer(0);
  setWeightBits(spec, 4);
  spec.observer = "lsq";
  check({spec, {3, 5, 3, 3}, {0.1f, 0.2f, 0.5f}, 0});
  spec.axis = 1;
  check({spec, {3, 2, 3, 3}, {0.1f, 0.3f}, 0});
  spec.axis = -1;
  check({spec, {3, 5, 3, 3}, {0.2f}, 0});
}

TEST_CASE("LSQ of activations") {
  QuantizerSpec spec;
  spec.observer = "lsq";
  setActivationBits(spec, 4, false);
  check({spec, {4, 6, 40, 40}, {0.15f}, 0});
  spec.symmetric = true;
  check({spec, {4, 6, 5, 5}, {0.3f}, 8});
}

TEST_CASE("LSQ+ of activations") {
  QuantizerSpec spec;
  spec.observer = "lsq_plus";
  setActivationBits(spec, 4, false);
  check({spec, {4, 6, 5, 5}, {0.2f}, 7});
  setActivationBits(spec, 8, true);
  check({spec, {4, 6, 5, 5}, {0.01f}, -20});
}

// Scale, and zero point or offset.
std::array<float, 2> started(const QuantizerSpec& spec, const std::vector<float>& x, float scale) {
  const std::vector<Tensor> given = {Tensor::of({static_cast<int64_t>(x.size())}, x),
                                     Tensor::scalar(scale), Tensor::scalar(0.25f)};
  Graph graph(opRegistry());
  std::vector<Value*> inputs;
  for (const Tensor& tensor : given) inputs.push_back(graph.addConstant("input", tensor));
  Graph::NodeOptions options;
  options.output_count = 2;
  const Node* node =
      graph.addNode("simaqat::StartScale", "node", inputs, wrapAttributes(spec), options);
  ThreadPool pool(1);
  const std::vector<Tensor> outputs = evaluateOnHost(graph, *node, given, pool);
  return {*outputs[0].data<float>(), *outputs[1].data<float>()};
}

TEST_CASE("where learned scales start") {
  QuantizerSpec lsq;
  lsq.observer = "lsq";
  setActivationBits(lsq, 4, false);
  // 2 mean(|x|) / sqrt(Qp): Qp is 15 where no value is negative, else 7 from the middle on.
  CHECK(started(lsq, {1, 2, 3, 6}, kUnsetScale)[0] == Catch::Approx(6 / std::sqrt(15)));
  CHECK(started(lsq, {1, 2, 3, 6}, kUnsetScale)[1] == 0);
  CHECK(started(lsq, {1, -2, 3, -6}, kUnsetScale)[0] == Catch::Approx(6 / std::sqrt(7)));
  CHECK(started(lsq, {1, -2, 3, -6}, kUnsetScale)[1] == 8);
  CHECK(started(lsq, {1, 2, 3, 6}, 0.5f) == std::array<float, 2>{0.5f, 0.25f});
  CHECK(started(lsq, {1, INFINITY}, kUnsetScale)[0] == kUnsetScale);

  // The range of least squared error: that of the bulk, not of one value far away.
  QuantizerSpec plus = lsq;
  plus.observer = "lsq_plus";
  const Tensor bulk = normal({20000}, 3);
  std::vector<float> x(bulk.data<float>(), bulk.data<float>() + bulk.size());
  x.push_back(300);
  const auto [scale, offset] = started(plus, x, kUnsetScale);
  const auto error = [&](float s, float lo) {
    double sum = 0;
    for (float value : x) {
      const float code = std::clamp(std::nearbyint((value - lo) / s), 0.0f, 15.0f);
      const double distance = value - (code * s + lo);
      sum += distance * distance;
    }
    return sum;
  };
  CHECK(offset < 0);
  const float lo = *std::min_element(x.begin(), x.end());
  CHECK(error(scale, offset) < 0.8 * error((300 - lo) / 15, lo));
  CHECK(error(scale, offset) <= 1.05 * error(scale * 0.7f, offset * 0.7f));
  CHECK(error(scale, offset) <= 1.05 * error(scale * 1.4f, offset * 1.4f));
  CHECK(started(plus, {0, 0}, kUnsetScale)[0] == 1);
}

}  // namespace
}  // namespace simaqat
