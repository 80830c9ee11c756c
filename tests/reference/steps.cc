#include "tests/reference/steps.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "qat/base/random.h"
#include "qat/ir/fake_quantize.h"
#include "qat/ir/quantizer.h"
#include "qat/ops/shared/batch_norm_attributes.h"
#include "qat/passes/refresh_quantizers.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

std::map<std::string, std::vector<int64_t>> sampleDims(const Tensors& inputs) {
  std::map<std::string, std::vector<int64_t>> dims;
  for (const auto& [name, tensor] : inputs) {
    dims[name] = {tensor.dims().begin() + 1, tensor.dims().end()};
  }
  return dims;
}

double normOf(const Step& step) {
  double sum = 0;
  for (const auto& [name, gradient] : step.gradients) {
    for (const double x : gradient) sum += x * x;
  }
  return std::sqrt(sum);
}

double distance(const Step& a, const Step& b) {
  REQUIRE(a.gradients.size() == b.gradients.size());
  double sum = 0;
  for (const auto& [name, gradient] : a.gradients) {
    const std::vector<double>& other = b.gradients.at(name);
    REQUIRE(other.size() == gradient.size());
    for (size_t i = 0; i < gradient.size(); ++i) {
      sum += (gradient[i] - other[i]) * (gradient[i] - other[i]);
    }
  }
  return std::sqrt(sum);
}

// Down, as it is, or up.
int drawnStep(const RandomStream& random, int64_t i) {
  return static_cast<int>(random.below(static_cast<uint64_t>(i), 3)) - 1;
}

// The next float up or down, or as it is, of each number that no quantizer takes: of biases, gamma
// and beta.
void roundParameters(Graph& graph, uint64_t seed) {
  for (const auto& variable : graph.variables()) {
    if (variable->role != VariableRole::kWeight || variable->value.dims().size() != 1) continue;
    const RandomStream random(seed, randomPurpose(variable->name), 0);
    float* data = variable->value.mutableData<float>();
    for (int64_t i = 0; i < variable->value.size(); ++i) {
      const int step = drawnStep(random, i);
      if (step != 0) data[i] = std::nextafter(data[i], step < 0 ? -INFINITY : INFINITY);
    }
  }
}

// Factors next to 1, or 1, for each element of a value; of an open batch the same for all samples.
Value* roundingOf(Graph& graph, const Value* x, uint64_t seed) {
  std::vector<int64_t> dims;
  for (const Dim& dim : *x->type.shape) dims.push_back(dim.known() ? dim.value : 1);
  Tensor factors(ElementType::kFloat, dims);
  const RandomStream random(seed, randomPurpose(x->name()), 0);
  for (int64_t i = 0; i < factors.size(); ++i) {
    factors.mutableData<float>()[i] =
        std::nextafter(1.0f, static_cast<float>(1 + drawnStep(random, i)));
  }
  return graph.addConstant(x->name() + "/rounding", std::move(factors));
}

void roundInput(Graph& graph, Node* node, uint64_t seed) {
  Value* x = node->input(0);
  Value* factor = roundingOf(graph, x, seed);
  node->setInput(0, graph.add("Mul", x->name() + "/rounded", {x, factor}, nullptr, node));
}

bool isProduct(const Node& node) { return node.op().quantization.weight_input >= 0; }

// The same for the results of products, which the fast path takes exactly and rounds once, and for
// what BatchNormalization and Softmax take, which make more of its rounding: the one divides by a
// deviation, which is small where a channel's values are few and lie close together, the other
// takes the exponential.
void roundValues(Graph& graph, uint64_t seed) {
  const std::vector<Node*> nodes = graph.nodeSequence();
  for (size_t i = 0; i < nodes.size(); ++i) {
    Node* node = nodes[i];
    const std::string op = node->op().qualifiedName();
    if (op == "BatchNormalization" || op == "Softmax") {
      roundInput(graph, node, seed);
    } else if (isProduct(*node)) {
      Value* y = node->output();
      Node* next = i + 1 < nodes.size() ? nodes[i + 1] : nullptr;
      Value* factor = roundingOf(graph, y, seed);
      Value* rounded = graph.add("Mul", y->name() + "/rounded", {y, factor}, nullptr, next);
      graph.replaceUses(y, rounded, rounded->producer());
    }
  }
}

// The same for what the loss takes: its gradient may cancel in the layer before it, and what is
// left, its rounding, is all that the layers before that one see.
void roundLogits(Graph& graph, uint64_t seed) {
  for (Node* node : graph.nodeSequence()) {
    if (node->op().name == "SoftmaxCrossEntropyLoss") roundInput(graph, node, seed);
  }
}

Graph rounded(const Graph& graph, Rounding rounding, uint64_t seed) {
  Graph copy = graph.clone();
  roundLogits(copy, seed);
  if (rounding == Rounding::kOfAll) {
    roundParameters(copy, seed);
    roundValues(copy, seed);
  }
  return copy;
}

}  // namespace

Step stepOf(const Graph& joined, StepKind kind, Execution execution, const Tensors& inputs,
            ThreadPool& pool) {
  StepMode mode;
  mode.specialization.mode = Mode::kTrain;
  mode.specialization.freeze_batch_norm = kind == StepKind::kFrozen;
  mode.specialization.freeze_observers = kind == StepKind::kFrozen;
  mode.execution = execution;
  OptimizerOptions sgd;
  sgd.momentum = 0.9f;
  const int64_t batch = inputs.begin()->second.dims()[0];
  Executor executor(buildTrainingStep(joined.clone(), mode, sgd, batch, sampleDims(inputs)), pool,
                    execution);
  const Tensor rate = Tensor::scalar(0.005f);
  for (const auto& [name, tensor] : inputs) executor.setInput(executor.inputIndex(name), tensor);
  executor.setInput(executor.inputIndex(kLearningRateInput), rate);
  executor.compute(0);
  executor.commit();
  Step step{executor.scalarOutput(0), {}};
  for (const auto& variable : executor.graph().variables()) {
    // After the first step the momentum is the gradient.
    if (variable->role != VariableRole::kMomentum) continue;
    step.gradients[variable->name] = executor.variable(variable->name).toVector<double>();
  }
  return step;
}

void calibrateOn(Graph& model, const Tensors& inputs, ThreadPool& pool) {
  const int64_t batch = inputs.begin()->second.dims()[0];
  Executor executor(buildInference(model.clone(), Mode::kCalibrate, batch, sampleDims(inputs)),
                    pool);
  for (const Value* input : model.inputs) {
    executor.setInput(executor.inputIndex(input->name()), inputs.at(input->name()));
  }
  executor.compute(0);
  executor.commit();
  executor.writeBack(model);
}

namespace {

float powerOfTwoFrom(float x) { return x > 0 ? std::exp2(std::ceil(std::log2(x))) : 1.0f; }

void makeRangeDyadic(Node& node) {
  auto& spec = node.mutableAttributes<QuantizerSpec>();
  spec.upper_bound = INFINITY;  // Clip's 6 is no power of two times 255
  float& lo = *node.input(kFakeQuantizeRangeMin)->variable->value.mutableData<float>();
  float& hi = *node.input(kFakeQuantizeRangeMax)->variable->value.mutableData<float>();
  const ScaleAndZeroPoint found = scaleFromRange(spec, lo, hi);
  const float scale = powerOfTwoFrom(found.scale);
  const auto zero = static_cast<float>(found.zero_point);
  lo = (static_cast<float>(spec.qmin) - zero) * scale;
  hi = (static_cast<float>(spec.qmax) - zero) * scale;
}

// Each channel's greatest absolute value becomes qmax times a power of two, exactly.
void makeWeightDyadic(Node& node) {
  const auto& spec = node.attributes<QuantizerSpec>();
  if (node.input(kFakeQuantizeX)->variable == nullptr) return;  // a weight that is computed
  Tensor& weight = node.input(kFakeQuantizeX)->variable->value;
  const std::vector<int64_t>& dims = weight.dims();
  const auto axis = static_cast<size_t>(std::max<int64_t>(spec.axis, 0));
  int64_t inner = 1;
  for (size_t k = axis + 1; k < dims.size(); ++k) inner *= dims[k];
  const int64_t channels = spec.axis < 0 ? 1 : dims[axis];
  float* data = weight.mutableData<float>();
  for (int64_t c = 0; c < channels; ++c) {
    const auto isOf = [&](int64_t i) { return spec.axis < 0 || i / inner % channels == c; };
    int64_t greatest = -1;
    for (int64_t i = 0; i < weight.size(); ++i) {
      if (isOf(i) && (greatest < 0 || std::fabs(data[i]) > std::fabs(data[greatest]))) greatest = i;
    }
    const float most = std::fabs(data[greatest]);
    if (most == 0) continue;
    const auto qmax = static_cast<float>(spec.qmax);
    const float target = qmax * powerOfTwoFrom(most / qmax);
    for (int64_t i = 0; i < weight.size(); ++i) {
      if (isOf(i) && i != greatest) data[i] *= most < target ? most / target : 1.0f;
    }
    data[greatest] = std::copysign(target, data[greatest]);
  }
}

float fewBits(float x) { return std::round(x * 64) / 64; }

// gamma / sqrt(var) becomes a power of two.
void makeBatchNormDyadic(Node& node) {
  node.mutableAttributes<ops::BatchNormAttributes>().epsilon = 0;
  const auto each = [&](size_t input, const std::function<float(float)>& function) {
    Variable* variable = node.input(input)->variable;
    if (variable == nullptr) return;
    float* data = variable->value.mutableData<float>();
    std::transform(data, data + variable->value.size(), data, function);
  };
  each(1, [](float x) { return std::copysign(powerOfTwoFrom(std::fabs(x)), x); });
  each(3, fewBits);
  each(4, [](float x) { return std::exp2(2 * std::round(std::log2(std::max(x, 1e-3f)) / 2)); });
}

}  // namespace

void makeDyadic(Graph& model) {
  for (const auto& variable : model.variables()) {
    const bool is_bias =
        variable->role == VariableRole::kWeight && variable->value.dims().size() == 1;
    float* data = variable->value.mutableData<float>();
    if (is_bias) std::transform(data, data + variable->value.size(), data, fewBits);
  }
  for (const auto& node : model.nodes()) {
    if (node->op().qualifiedName() == "BatchNormalization") makeBatchNormDyadic(*node);
    if (!isFakeQuantize(*node)) continue;
    const auto& spec = node->attributes<QuantizerSpec>();
    if (spec.observesRange()) makeRangeDyadic(*node);
    if (spec.observer == "channel_max") makeWeightDyadic(*node);
  }
  refreshQuantizers(model);
}

bool Comparison::isFinite() const { return std::isfinite(loss) && std::isfinite(norm); }

bool Comparison::agrees() const {
  // Smaller numbers have fewer digits.
  constexpr double kLeastNormal = std::numeric_limits<float>::min();
  // 1 - p, of which cross entropy's gradient is made, has the rounding of a number near 1.
  const double relative = loss == 0 ? 1 : 4e-6 * (1 + 1 / std::fabs(loss));
  return loss_error <= 1e-6 * std::max(1.0, std::fabs(loss)) + 4 * loss_moves &&
         gradient_error <= relative * norm + 4 * gradient_moves + kLeastNormal;
}

std::string Comparison::toString() const {
  return fmt::format(
      "loss {:.6g}, off by {:.2g} (rounding moves it by {:.2g}); gradient off by "
      "{:.2g} of its norm (rounding {:.2g})",
      loss, loss_error, loss_moves, gradient_error / norm, gradient_moves / norm);
}

Comparison compareWithReference(const Graph& joined, StepKind kind, const Tensors& inputs,
                                Rounding rounding, ThreadPool& pool) {
  const Step fast = stepOf(joined, kind, Execution::kFast, inputs, pool);
  const Step reference = stepOf(joined, kind, Execution::kReference, inputs, pool);
  Comparison result;
  result.loss = reference.loss;
  result.loss_error = std::fabs(fast.loss - reference.loss);
  result.norm = normOf(reference);
  result.gradient_error = distance(fast, reference);
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const Step moved =
        stepOf(rounded(joined, rounding, seed), kind, Execution::kReference, inputs, pool);
    result.loss_moves = std::max(result.loss_moves, std::fabs(moved.loss - reference.loss));
    result.gradient_moves = std::max(result.gradient_moves, distance(moved, reference));
  }
  return result;
}

}  // namespace simaqat
