#include "qat/passes/passed_ranges.h"

#include <cmath>

#include "qat/passes/simplify.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

// BatchNormalization, `function` of its y as %v, and `mask` as %dv, the gradient that is left of
// %d.
std::string step(const std::string& function, const std::string& mask) {
  return R"(
    input %x : float[5, 6, 37]
    input %d : float[5, 6, 37]
    input %scale : float[]
    input %zero : float[]
    constant %gamma : float[6] = [1, -1, 0, 1e-30, 1000, -0.3]
    constant %beta : float[6] = [0, 0.5, 0.5, 0.1, 10, -0.2]
    constant %mean : float[6] = [0, ...]
    constant %var : float[6] = [1, ...]
    constant %low : float[] = [0]
    constant %high : float[] = [0.7]
    %center, %factor, %offset, %rm, %rv, %m, %s, %e = simaqat::BatchNormStatistics(%x, %gamma, %beta, %mean, %var)
    %xc = Sub(%x, %center)
    %xf = Mul(%xc, %factor)
    %y = Add(%xf, %offset)
    )" + function +
         "\n" + mask + R"(
    %dx, %dg, %db = simaqat::BatchNormTrainingGradient(%dv, %x, %gamma, %m, %s)
    output dx = %dx
    output dg = %dg
    output db = %db)";
}

// x has values on both sides of each channel's range's ends, and next to them: multiples of the
// scale's half, where codes change.
void check(const std::string& function, const std::string& mask, bool is_used = true) {
  const Graph graph = parse(step(function, mask));
  Graph after = graph.clone();
  usePassedRanges(after);
  removeDeadCode(after);
  CHECK(countNodes(after, "simaqat::PassedBatchNormGradient") == (is_used ? 1 : 0));
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    Tensor x = randomTensor({5, 6, 37}, seed);
    float* data = x.mutableData<float>();
    for (int64_t i = 0; i < x.size(); i += 3) data[i] = std::nearbyint(data[i] * 20) / 20;
    if (seed == 4) data[11] = std::nanf("");
    for (const float scale : {0.05f, 0.0031f, 2.0f, std::nanf("")}) {
      const std::vector<Tensor> inputs = {x, randomTensor({5, 6, 37}, 10 + seed),
                                          Tensor::scalar(scale), Tensor::scalar(3.0f)};
      const std::vector<Tensor> expected = run(graph, inputs);
      const std::vector<Tensor> got = run(after, inputs);
      for (size_t i = 0; i < expected.size(); ++i) {
        const std::vector<float> a = expected[i].toVector<float>(), b = got[i].toVector<float>();
        for (size_t k = 0; k < a.size(); ++k) {
          INFO(graph.outputs[i].name << " " << k << ": " << a[k] << " " << b[k]);
          CHECK((a[k] == b[k] || (std::isnan(a[k]) && std::isnan(b[k]))));
        }
      }
    }
  }
}

const std::string kQuantizer =
    "= simaqat::FakeQuantizeGradient(%d, %v, %scale, %zero) {qmin = 0, qmax = 15}";

}  // namespace

TEST_CASE("what passes is told by a range of x, bit for bit") {
  check("%v = Relu(%y)", "%dv = simaqat::ReluGradient(%d, %v)");
  check("%v = Clip(%y, %low, %high)", "%dv = simaqat::ClipGradient(%d, %v, %low, %high)");
  check("%v = Clip(%y, %low)", "%dv = simaqat::ClipGradient(%d, %v, %low)");
  check("%v = Identity(%y)\n", "%dv " + kQuantizer, false);
  check("%v = Relu(%y)", "%dq " + kQuantizer + "\n %dv = simaqat::ReluGradient(%dq, %v)");
  check("%v = Clip(%y, %low, %high)",
        "%dq " + kQuantizer + "\n %dv = simaqat::ClipGradient(%dq, %v, %low, %high)");
  check("%v = Relu(%y)",
        "%dq = simaqat::FakeQuantizeGradient(%d, %v, %scale, %zero) {qmin = 0, qmax = 15, observer "
        "= \"lsq\"}\n %dv = simaqat::ReluGradient(%dq, %v)");
  // A function of a function, that falls.
  check("%n = Neg(%y)\n %v = Relu(%n)", "%dv = simaqat::ReluGradient(%d, %v)", false);
}

TEST_CASE("a gradient that something else decides stays") {
  // By a function that rises and falls, by another value than BatchNormalization's, and one that
  // others need, too.
  check("%v = Abs(%y)", "%dv " + kQuantizer, false);
  check("%v = Relu(%d)", "%dv = simaqat::ReluGradient(%d, %v)", false);
  Graph graph =
      parse(step("%v = Relu(%y)", "%dv = simaqat::ReluGradient(%d, %v)") + "\n output dv = %dv");
  usePassedRanges(graph);
  CHECK(countNodes(graph, "simaqat::PassedBatchNormGradient") == 0);
}

}  // namespace simaqat
