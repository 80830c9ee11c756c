#include "qat/train/averages.h"

#include <utility>
#include <vector>

namespace simaqat {
namespace {

constexpr char kSuffix[] = "/average";
constexpr char kCounter[] = "simaqat/averaged_steps";

// The decay of this step, and a count of the steps.
Value* decayOf(Graph& step, float decay) {
  const auto constant = [&](const char* name, float number) {
    return step.addConstant(step.uniqueName(name), Tensor::scalar(number));
  };
  Variable* counter = step.addVariable(kCounter, VariableRole::kMomentum, Tensor::scalar(0.0f));
  Value* next = step.add("Add", kCounter, {counter->source, constant("simaqat/one", 1)});
  counter->setNext(next);
  Value* later = step.add("Add", kCounter, {counter->source, constant("simaqat/ten", 10)});
  Value* early = step.add("Div", "simaqat/decay", {next, later});
  return step.add("Min", "simaqat/decay", {early, constant("simaqat/most", decay)});
}

}  // namespace

void addAverages(Graph& step, float decay) {
  std::vector<Variable*> followed;
  for (const auto& variable : step.variables()) {
    const bool is_statistic = variable->role == VariableRole::kBatchNormStatistic;
    if (variable->trainable || is_statistic) followed.push_back(variable.get());
  }
  Value* rate = decayOf(step, decay);
  for (Variable* variable : followed) {
    Variable* average =
        step.addVariable(variable->name + kSuffix, VariableRole::kMomentum, variable->value);
    Value* now = variable->next() != nullptr ? variable->next() : variable->source;
    average->setNext(
        step.add("simaqat::MovingAverage", average->name, {average->source, now, rate}));
  }
}

std::map<std::string, Tensor> averaged(std::map<std::string, Tensor> state) {
  for (auto& [name, value] : state) {
    const auto average = state.find(name + kSuffix);
    if (average != state.end()) value = average->second;
  }
  return state;
}

}  // namespace simaqat
