// The gradients of learned scales and offsets, against the papers' formulas, number by number.
#include <cmath>

#include "qat/base/random.h"
#include "qat/ir/op.h"
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
    CHECK(one.scale[c] == Approx(formula.scale[c]).epsilon(1e-4));
    if (given.spec.learnsOffset()) CHECK(one.offset[c] == Approx(formula.offset[c]).epsilon(1e-4));
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

}  // namespace
}  // namespace simaqat
