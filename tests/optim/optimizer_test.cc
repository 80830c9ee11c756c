// Optimizers and schedules beside PyTorch's own (testdata/optim/make.py).
#include "qat/optim/optimizer.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "qat/exec/executor.h"
#include "qat/ops/registry.h"
#include "qat/optim/schedule.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

using Json = nlohmann::json;

const Json& pytorch() {
  static const Json document = Json::parse(std::ifstream("testdata/optim/trajectories.json"));
  return document;
}

Tensor floats(const Json& numbers) {
  const auto values = numbers.get<std::vector<float>>();
  return Tensor::of({static_cast<int64_t>(values.size())}, values);
}

OptimizerOptions optionsOf(const std::string& name, const Json& given) {
  OptimizerOptions options;
  options.name = name.substr(0, name.find(' '));
  options.learning_rate = given.at("lr").get<float>();
  options.momentum = given.value("momentum", options.momentum);
  options.nesterov = given.value("nesterov", false);
  // PyTorch's default of AdamW is not 0.
  options.weight_decay = given.value("weight_decay", options.name == "adamw" ? 0.01f : 0.0f);
  options.epsilon = given.value("eps", options.epsilon);
  if (given.contains("betas")) {
    options.beta1 = given["betas"][0].get<double>();
    options.beta2 = given["betas"][1].get<double>();
  }
  return options;
}

// A parameter whose gradient is a graph input.
class Updated {
 public:
  Updated(const Tensor& weights, const OptimizerOptions& options, int threads) : pool_(threads) {
    Graph graph(opRegistry());
    Variable* parameter = graph.addVariable("w", VariableRole::kWeight, weights);
    parameter->trainable = true;
    Value* gradient = graph.addInput("g", {ElementType::kFloat, toShape(weights.dims())});
    addUpdates(graph, {{parameter, gradient}}, parameterSettings(graph, options), options);
    executor_.emplace(std::move(graph), pool_);
    rate_ = Tensor::scalar(options.learning_rate);
  }

  const Tensor& step(const Tensor& gradient) {
    executor_->setInput(executor_->inputIndex("g"), gradient);
    executor_->setInput(executor_->inputIndex(kLearningRateInput), rate_);
    executor_->compute(0);
    executor_->commit();
    return executor_->variable("w");
  }

 private:
  ThreadPool pool_;
  std::optional<Executor> executor_;
  Tensor rate_;
};

}  // namespace

TEST_CASE("optimizers follow PyTorch's trajectories") {
  for (const auto& [name, run] : pytorch()["optimizers"].items()) {
    INFO(name);
    Updated updated(floats(pytorch()["weights"]), optionsOf(name, run["options"]), 2);
    for (size_t step = 0; step < run["weights"].size(); ++step) {
      INFO("step " << step);
      const Tensor& w = updated.step(floats(pytorch()["gradients"][step]));
      const auto expected = run["weights"][step].get<std::vector<double>>();
      for (size_t i = 0; i < expected.size(); ++i) {
        CHECK(w.data<float>()[i] == Catch::Approx(expected[i]).epsilon(1e-6).margin(1e-6));
      }
    }
  }
}

TEST_CASE("schedules give PyTorch's rates") {
  constexpr int64_t kSteps = 20, kStepsPerEpoch = 4;
  LearningRateSchedule all;
  all.milestones = {{3, false}, {9, false}, {10, false}};
  for (const auto& [name, rates] : pytorch()["rates"].items()) {
    INFO(name);
    LearningRateSchedule schedule;
    schedule.name = name;
    if (name == "multistep") schedule.milestones = all.milestones;
    if (name == "multistep") schedule.gamma = 0.3;
    if (name == "exponential") schedule.gamma = 0.7;
    if (name == "polynomial") schedule.power = 2.5;
    if (name == "cosine") schedule.final_factor = 0.01;
    if (name == "cosine_restarts") {
      schedule.period = {1, true};
      schedule.period_factor = 2;
      schedule.final_factor = 0.02;
    }
    checkSchedule(schedule);
    for (int64_t step = 0; step < kSteps; ++step) {
      INFO("step " << step);
      const double rate = 0.1 * learningRateFactor(schedule, {step, kSteps, kStepsPerEpoch});
      CHECK(rate == Catch::Approx(rates[static_cast<size_t>(step)].get<double>()).epsilon(1e-9));
    }
  }
}

TEST_CASE("a group's own rate and decay are those of a run with them") {
  const Tensor weights = floats(pytorch()["weights"]);
  OptimizerOptions grouped;
  grouped.name = "adamw";
  grouped.learning_rate = 0.01f;
  grouped.weight_decay = 0.1f;
  grouped.groups = {ParameterGroup::parse("other:lr=1"),
                    ParameterGroup::parse("w*:lr=0.04,weight_decay=0.2")};
  OptimizerOptions plain = grouped;
  plain.groups.clear();
  plain.learning_rate = 0.04f;
  plain.weight_decay = 0.2f;
  // The step's rate is that of all; a group's is a multiple of it.
  Updated a(weights, grouped, 1), b(weights, plain, 1);
  for (const Json& gradient : pytorch()["gradients"]) {
    const Tensor g = floats(gradient);
    const Tensor& ours = a.step(g);
    const Tensor& expected = b.step(g);
    for (int64_t i = 0; i < ours.size(); ++i) {
      CHECK(ours.data<float>()[i] == Catch::Approx(expected.data<float>()[i]).epsilon(1e-6));
    }
  }
}

TEST_CASE("layer decay falls from the head to the embeddings") {
  Graph graph(opRegistry());
  Value* x = graph.addInput("x", {ElementType::kFloat, Shape{4}});
  for (const char* name : {"embed.weight", "blocks.0.w", "blocks.0.b", "blocks.1.w", "blocks.2.w",
                           "norm.weight", "head.weight"}) {
    Variable* variable =
        graph.addVariable(name, VariableRole::kWeight, Tensor(ElementType::kFloat, {4}));
    variable->trainable = true;
    x = graph.add("Mul", name, {x, variable->source});
  }
  const auto factors = layerDecayFactors(graph, 0.5f);
  const auto of = [&](const char* name) { return factors.at(graph.findVariable(name)); };
  CHECK(of("head.weight") == 1);
  CHECK(of("norm.weight") == 1);
  CHECK(of("blocks.2.w") == 0.5f);
  CHECK(of("blocks.1.w") == 0.25f);
  CHECK(of("blocks.0.w") == 0.125f);
  CHECK(of("blocks.0.b") == 0.125f);
  CHECK(of("embed.weight") == 0.0625f);
}

TEST_CASE("texts of groups") {
  CHECK(ParameterGroup::parse("a:b.*:lr=0.5").pattern == "a:b.*");
  CHECK(ParameterGroup::parse("*:lr=0.5,weight_decay=0").toString() == "*:lr=0.5,weight_decay=0");
  for (const char* bad : {"", "w", "w:", ":lr=1", "w:lr", "w:lr=", "w:lr=x", "w:lr=-1", "w:lr=nan",
                          "w:momentum=1", "w:lr=1,", "w:lr=1 "}) {
    INFO(bad);
    CHECK_THROWS_WITH(ParameterGroup::parse(bad), Catch::Matchers::ContainsSubstring("--group"));
  }
}

}  // namespace simaqat
