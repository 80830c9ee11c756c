// Every network of the zoo learns one batch by heart and goes through every stage to ONNX Runtime.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "qat/ir/op.h"
#include "tests/agreement/onnx_runtime.h"
#include "tests/agreement/shipped_network.h"
#include "tests/catch.h"
#include "tests/zoo/zoo.h"

namespace simaqat {
namespace {

constexpr int64_t kSteps = 20;
constexpr float kLearningRate = 0.02f;

Tensor repeated(const Tensor& tensor, int64_t times) {
  std::vector<int64_t> dims = tensor.dims();
  dims[0] *= times;
  Tensor result(tensor.type(), dims);
  for (int64_t i = 0; i < times; ++i) {
    std::copy_n(tensor.rawData(), tensor.bytes(),
                result.mutableRawData() + static_cast<size_t>(i) * tensor.bytes());
  }
  return result;
}

void checkFalls(const std::vector<double>& losses) {
  REQUIRE(losses.size() == kSteps);
  for (const double loss : losses) CHECK(std::isfinite(loss));
  WARN("the loss falls from " << losses.front() << " to " << losses.back());
  // Fresh weights learn at very different speeds, but each five steps bring more.
  for (size_t from = 0; from + 10 <= losses.size(); from += 5) {
    const auto five = losses.begin() + static_cast<std::ptrdiff_t>(from);
    CHECK(std::accumulate(five + 5, five + 10, 0.0) < std::accumulate(five, five + 5, 0.0));
  }
}

// As docs/NUMERICS.md has it, end to end.
void checkAgrees(const Tensor& ours, const Tensor& theirs, double step) {
  REQUIRE(ours.dims() == theirs.dims());
  int64_t within = 0;
  for (int64_t i = 0; i < ours.size(); ++i) {
    within += std::fabs(ours.data<float>()[i] - theirs.data<float>()[i]) < 1.5 * step;
  }
  CHECK(static_cast<double>(within) >= 0.99 * static_cast<double>(ours.size()));
}

}  // namespace

TEST_CASE("every network of the zoo learns, and ONNX Runtime runs what is exported") {
  if (zoo::sharedFolder().empty()) QAT_SKIP("../shared is not here");
  const std::string missing = onnx_runtime::missing();
  if (!missing.empty()) QAT_SKIP(missing << " is not here: tools/install_test_packages.sh");
  ThreadPool pool(2);
  for (const std::string& network : zoo::kNetworks) {
    DYNAMIC_SECTION(network) {
      const Tensor pixels = zoo::batch(network, "input");
      const Images batches = {repeated(pixels, kSteps),
                              repeated(zoo::batch(network, "labels"), kSteps)};
      const ShippedNetwork shipped =
          shipNetwork(network, {}, batches, {kSteps, pixels.dims()[0], kLearningRate}, pool);
      checkFalls(shipped.losses);
      onnx_runtime::Options options;
      options.optimize = false;  // float QDQ arithmetic, the same on every CPU
      const Tensor theirs =
          onnx_runtime::run(shipped.exported_path, "input", pixels, options).at("logits");
      const Node* last = shipped.exported.outputs[0].value->producer();
      REQUIRE(last->opType() == "DequantizeLinear");
      checkAgrees(evaluateAll(shipped.exported, pixels, pixels.dims()[0], pool), theirs,
                  *last->input(1)->constant.data<float>());
      // And on its integer kernels.
      onnx_runtime::run(shipped.exported_path, "input", pixels, {});
    }
  }
}

}  // namespace simaqat
