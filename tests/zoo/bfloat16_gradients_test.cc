// The zoo's gradients of bfloat16 operands, beside those of floats.
#include <cmath>
#include <set>

#include "qat/exec/executor.h"
#include "qat/passes/scaffold.h"
#include "qat/train/step_graph.h"
#include "tests/catch.h"
#include "tests/zoo/zoo.h"

namespace simaqat {
namespace {

struct Step {
  double loss;
  std::set<std::string> operators;
  std::map<std::string, std::vector<double>> gradients;
};

// One quantized step; the momentum is then the gradient.
Step stepOf(const Graph& model, const Tensor& input, const Tensor& labels, bool bfloat16) {
  StepMode mode;
  mode.specialization.mode = Mode::kTrain;
  mode.bfloat16_gradients = bfloat16;
  OptimizerOptions sgd;
  sgd.momentum = 0.9f;
  ThreadPool pool(2);
  Executor executor(buildTrainingStep(zoo::joinedWithCrossEntropy(model), mode, sgd,
                                      input.dims()[0], zoo::sampleDims(input)),
                    pool);
  const Tensor rate = Tensor::scalar(0.005f);
  executor.setInput(executor.inputIndex("input"), input);
  executor.setInput(executor.inputIndex("labels"), labels);
  executor.setInput(executor.inputIndex(kLearningRateInput), rate);
  executor.compute(0);
  executor.commit();
  Step step{executor.scalarOutput(0), {}, {}};
  for (const auto& node : executor.graph().nodes()) {
    step.operators.insert(node->op().qualifiedName());
  }
  for (const auto& variable : executor.graph().variables()) {
    if (variable->role != VariableRole::kMomentum) continue;
    step.gradients[variable->name] = executor.variable(variable->name).toVector<double>();
  }
  return step;
}

}  // namespace

TEST_CASE("gradients of bfloat16 operands are near those of floats") {
  if (zoo::sharedFolder().empty()) QAT_SKIP("../shared is not here");
  for (const std::string& network : zoo::kNetworks) {
    INFO(network);
    Model model = loadModel(zoo::networkFolder(network) + "/model.onnx");
    scaffold(model.graph, {});
    const Tensor input = zoo::batch(network, "input"), labels = zoo::batch(network, "labels");
    const Step exact = stepOf(model.graph, input, labels, false);
    const Step rounded = stepOf(model.graph, input, labels, true);
    CHECK(rounded.loss == exact.loss);
    CHECK(exact.operators.count("simaqat::Bfloat16Gemm") == 0);
    CHECK(rounded.operators.count("simaqat::Bfloat16Gemm") == exact.operators.count("Gemm"));
    double difference = 0, whole = 0;
    for (const auto& [name, gradient] : exact.gradients) {
      const std::vector<double>& other = rounded.gradients.at(name);
      REQUIRE(other.size() == gradient.size());
      for (size_t i = 0; i < gradient.size(); ++i) {
        difference += (other[i] - gradient[i]) * (other[i] - gradient[i]);
        whole += gradient[i] * gradient[i];
      }
    }
    const double error = std::sqrt(difference / whole);
    WARN(network << ": difference " << error << " of the whole gradient");
    // An operand is rounded by up to 1 in 512, some 50 times one behind the other in the deepest.
    CHECK(error > 0);
    CHECK(error < 2e-2);
  }
}

}  // namespace simaqat
