// Every gradient rule against central differences in double precision.
#include <fmt/format.h>

#include <cstdio>
#include <set>
#include <unordered_map>

#include "qat/ops/shared/examples.h"
#include "tests/catch.h"
#include "tests/ops/run_node.h"

namespace simaqat {
namespace {

constexpr double kStep = 1e-6;
constexpr double kTolerance = 1e-6;

std::vector<size_t> differentiatedInputs(const OpExample& example) {
  if (!example.differentiate.empty()) return example.differentiate;
  std::vector<size_t> inputs;
  for (size_t i = 0; i < example.inputs.size(); ++i) {
    if (example.inputs[i].defined() && isFloatingPoint(example.inputs[i].type())) {
      inputs.push_back(i);
    }
  }
  return inputs;
}

double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.size(); ++i) sum += a.data<double>()[i] * b.data<double>()[i];
  return sum;
}

// Evaluates every node that the graph has.
class HostRun {
 public:
  HostRun(const Graph& graph, const std::vector<Tensor>& inputs, const Node& node) {
    for (size_t i = 0; i < inputs.size(); ++i) values_[node.input(i)] = inputs[i];
    for (const auto& next : graph.nodes()) {
      std::vector<Tensor> own;
      for (const Value* input : next->inputs()) own.push_back(tensor(input));
      const std::vector<Tensor> outputs = evaluateOnHost(graph, *next, own, pool_);
      for (size_t i = 0; i < outputs.size(); ++i) values_[next->output(i)] = outputs[i];
    }
  }
  Tensor tensor(const Value* value) const {
    if (value == nullptr) return Tensor();
    return value->isConstant() ? value->constant : values_.at(value);
  }

 private:
  ThreadPool pool_{1};
  std::unordered_map<const Value*, Tensor> values_;
};

// The outputs that gradients may reach, together and each alone. Further outputs of operators that
// passes create are state, and memory for backward.
std::vector<std::vector<size_t>> reachedOutputs(const OpDefinition& op, const OpExample& example) {
  std::vector<std::vector<size_t>> choices = {{}};
  const size_t count = op.domain.empty() ? example.output_count : 1;
  for (size_t i = 0; i < count; ++i) choices[0].push_back(i);
  for (size_t i = 0; i < count && count > 1; ++i) choices.push_back({i});
  return choices;
}

class GradientCheck {
 public:
  GradientCheck(const OpDefinition& op, const OpExample& example,
                const std::vector<size_t>& reached, uint64_t seed)
      : inputs_(exampleInputs(example, ElementType::kDouble)),
        differentiated_(differentiatedInputs(example)),
        graph_(opRegistry()) {
    std::vector<bool> wanted(inputs_.size(), false);
    for (const size_t i : differentiated_) wanted[i] = true;
    node_ = addExampleNode(graph_, op, example, inputs_, [&](size_t i) { return wanted[i]; });
    // The loss is a sum of the outputs with these factors.
    factors_.resize(node_->outputCount());
    std::vector<Value*> output_gradients(node_->outputCount(), nullptr);
    for (const size_t i : reached) {
      const TensorType& type = node_->output(i)->type;
      if (type.element != ElementType::kDouble) continue;
      factors_[i] = ops::exampleTensor(type.dims(), seed + i);
      output_gradients[i] = graph_.addConstant(fmt::format("factor{}", i), factors_[i]);
      any_ = true;
    }
    if (!any_) return;
    GradientContext context(graph_, *node_, output_gradients, wanted);
    op.gradient(context);
    gradients_ = context.inputGradients();
    gradients_.resize(inputs_.size());
  }

  // Whether a gradient was compared.
  bool run() {
    if (!any_) return false;
    const HostRun analytic(graph_, inputs_, *node_);
    for (const size_t i : differentiated_) {
      Tensor gradient(ElementType::kDouble, inputs_[i].dims());
      if (gradients_[i] != nullptr) gradient = analytic.tensor(gradients_[i]);
      INFO("input " << i);
      CHECK(distance(gradient, differences(i)) <= kTolerance);
    }
    return true;
  }

 private:
  double loss() {
    const std::vector<Tensor> outputs = runNode(*node_, inputs_, {});
    double sum = 0;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (factors_[i].defined()) sum += dot(factors_[i], outputs[i]);
    }
    return sum;
  }
  Tensor differences(size_t input) {
    Tensor result(ElementType::kDouble, inputs_[input].dims());
    for (int64_t i = 0; i < result.size(); ++i) {
      const double x = inputs_[input].data<double>()[i];
      const auto lossAt = [&](double moved) {
        inputs_[input].mutableData<double>()[i] = moved;
        return loss();
      };
      result.mutableData<double>()[i] = (lossAt(x + kStep) - lossAt(x - kStep)) / (2 * kStep);
      inputs_[input].mutableData<double>()[i] = x;
    }
    return result;
  }

  std::vector<Tensor> inputs_;
  const std::vector<size_t> differentiated_;
  Graph graph_;
  Node* node_;
  bool any_ = false;
  std::vector<Tensor> factors_;
  std::vector<Value*> gradients_;
};

}  // namespace

TEST_CASE("gradients agree with finite differences") {
  const uint64_t seed = Catch::rngSeed();
  int checked = 0;
  // Fake quantization and tables are staircases, and a folded weight's scale lets no gradient
  // through to the weight: tests/passes and learned_scale_test.cc have their rules.
  std::set<std::string> seen = {"simaqat::FakeQuantize", "simaqat::FoldedWeightScale",
                                "simaqat::TableLookup"};
  // These are differentiated in their expansion: tests/passes/expand_recurrent_test.cc.
  const std::set<std::string> expanded = {"LSTM", "GRU", "RNN"};
  seen.insert(expanded.begin(), expanded.end());
  forEachExample([&](const OpDefinition& op, const OpExample& example) {
    if (op.gradient == nullptr || differentiatedInputs(example).empty()) return;
    if (expanded.count(op.qualifiedName()) != 0) return;
    for (const std::vector<size_t>& reached : reachedOutputs(op, example)) {
      INFO(describe(op, example) << fmt::format(", outputs {}, seed {}", fmt::join(reached, " "),
                                                seed));
      if (GradientCheck(op, example, reached, seed).run()) seen.insert(op.qualifiedName());
    }
    ++checked;
  });
  std::printf("%d examples, seed %llu\n", checked, static_cast<unsigned long long>(seed));
  for (const auto& [name, op] : opRegistry().all()) {
    INFO(name << " has a gradient and no example that shows it");
    CHECK((op->gradient == nullptr || op->gradient_is_error || seen.count(name) == 1));
  }
}

}  // namespace simaqat
