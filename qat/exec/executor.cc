#include "qat/exec/executor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "qat/exec/poison.h"

namespace simaqat {
namespace {

bool allFinite(const TensorView& view) {
  if (view.type != ElementType::kFloat) return true;
  const float* data = view.data<float>();
  return std::all_of(data, data + view.size, [](float x) { return std::isfinite(x); });
}

// The fast kernel takes float32; an operator on other types has its definition.
EvalFunction functionFor(const Node& node, Execution execution) {
  if (node.op().kernel == nullptr || execution == Execution::kReference) return node.op().evaluate;
  std::vector<Value*> values = node.inputs();
  values.push_back(node.output());
  const auto has = [&](ElementType element) {
    return std::any_of(values.begin(), values.end(), [&](const Value* value) {
      return value != nullptr && value->type.element == element;
    });
  };
  const bool moves_codes = node.op().quantization.moves_codes && has(ElementType::kUint8);
  const bool takes = (has(ElementType::kFloat) || moves_codes) && !has(ElementType::kDouble);
  return takes ? node.op().kernel : node.op().evaluate;
}

}  // namespace

Plan planFor(const Graph& graph, int threads, Execution execution) {
  return makePlan(graph, threads, execution == Execution::kFast);
}

Executor::Executor(Graph graph, ThreadPool& pool, Execution execution, std::optional<Plan> plan)
    : graph_(std::move(graph)),
      pool_(pool),
      execution_(execution),
      plan_(plan ? std::move(*plan) : planFor(graph_, pool.threads(), execution)),
      arena_(ElementType::kUint8, {plan_.arena_bytes}),
      is_poisoned_(poisonWanted()) {
  for (const auto& variable : graph_.variables()) {
    Tensor value = std::exchange(variable->value, {});
    value.mutableRawData();  // a copy of its own, where somebody else holds it too
    variables_[variable->name] = std::move(value);
  }
  for (const Variable* variable : plan_.copies) {
    if (plan_.locations.at(variable->next()).kind == Location::Kind::kVariable) {
      const Tensor& value = variables_.at(variable->name);
      held_[variable] = Tensor(value.type(), value.dims());
    }
  }
  buildInstructions();
}

TensorView Executor::viewOf(const Value* value) {
  const auto [dims, fresh] = dims_.emplace(value, std::vector<int64_t>{});
  if (fresh) dims->second = value->type.dims();
  TensorView view{value->type.element, dims->second, value->type.size(), nullptr};
  const Location& location = plan_.locations.at(value);
  switch (location.kind) {
    case Location::Kind::kArena:
      view.bytes = arena_.mutableRawData() + location.offset;
      break;
    case Location::Kind::kConstant:
      view.bytes = const_cast<std::byte*>(location.source->constant.rawData());
      break;
    case Location::Kind::kVariable:
      view.bytes = variables_.at(location.source->variable->name).mutableRawData();
      break;
    case Location::Kind::kInput:
      break;
  }
  return view;
}

void Executor::buildInstructions() {
  for (size_t i = 0; i < plan_.schedule.size(); ++i) {
    const Node* node = plan_.schedule[i];
    const auto workspace_bytes = node->op().workspace;
    const Span<std::byte> workspace(
        arena_.mutableRawData() + plan_.workspace_offsets[i],
        workspace_bytes == nullptr ? 0
                                   : static_cast<size_t>(workspace_bytes(*node, pool_.threads())));
    Instruction instruction{node, functionFor(*node, execution_), workspace, {}, {}};
    for (const Value* input : node->inputs()) {
      instruction.inputs.push_back(input == nullptr ? TensorView{} : viewOf(input));
    }
    for (const Value* output : node->outputs()) instruction.outputs.push_back(viewOf(output));
    instructions_.push_back(std::move(instruction));
  }
  for (const GraphOutput& output : graph_.outputs) outputs_.push_back(viewOf(output.value));
  input_slots_.resize(graph_.inputs.size());
  for (size_t i = 0; i < graph_.inputs.size(); ++i) {
    const Value* input = graph_.inputs[i];
    for (Instruction& instruction : instructions_) {
      for (size_t k = 0; k < instruction.node->inputCount(); ++k) {
        if (instruction.node->input(k) == input) input_slots_[i].push_back(&instruction.inputs[k]);
      }
    }
    for (size_t k = 0; k < graph_.outputs.size(); ++k) {
      if (graph_.outputs[k].value == input) input_slots_[i].push_back(&outputs_[k]);
    }
  }
}

void Executor::setInput(size_t index, const Tensor& tensor) {
  const Value* input = graph_.inputs.at(index);
  if (tensor.type() != input->type.element || tensor.dims() != input->type.dims()) {
    throw inputError("input '{}': expected {}, got {}{}", input->name(), typeToString(input->type),
                     elementTypeName(tensor.type()), dimsToString(tensor.dims()));
  }
  for (TensorView* slot : input_slots_[index]) {
    slot->bytes = const_cast<std::byte*>(tensor.rawData());
  }
}

size_t Executor::inputIndex(const std::string& name) const {
  for (size_t i = 0; i < graph_.inputs.size(); ++i) {
    if (graph_.inputs[i]->name() == name) return i;
  }
  throw InternalError("no input " + name);
}

void Executor::runInstruction(const Instruction& instruction, int64_t step) {
  using Clock = std::chrono::steady_clock;
  const auto begin = times_ == nullptr ? Clock::time_point() : Clock::now();
  const auto run = [&] {
    instruction.function({*instruction.node, instruction.inputs, instruction.outputs,
                          instruction.workspace.data(), pool_, seed_, step});
  };
  if (is_poisoned_) {
    runPoisoned(*instruction.node, instruction.inputs, instruction.outputs,
                instruction.workspace, run);
  } else {
    run();
  }
  if (times_ != nullptr) times_->push_back({instruction.node, begin, Clock::now()});
}

void Executor::compute(int64_t step) {
  for (size_t i = 0; i < plan_.compute_count; ++i) runInstruction(instructions_[i], step);
}

void Executor::commit() {
  // Another variable's present value is kept before anything changes it.
  for (auto& [variable, value] : held_) {
    const TensorView next = viewOf(variable->next());
    std::memcpy(value.mutableRawData(), next.bytes, value.bytes());
  }
  for (size_t i = plan_.compute_count; i < instructions_.size(); ++i) {
    runInstruction(instructions_[i], 0);
  }
  for (const Variable* variable : plan_.copies) {
    Tensor& value = variables_.at(variable->name);
    const TensorView next = viewOf(variable->next());
    const auto held = held_.find(variable);
    std::memcpy(value.mutableRawData(), held == held_.end() ? next.bytes : held->second.rawData(),
                value.bytes());
  }
}

Tensor Executor::outputTensor(size_t index) const {
  const TensorView& view = outputs_[index];
  Tensor tensor(view.type, view.dims.toVector());
  std::memcpy(tensor.mutableRawData(), view.bytes, tensor.bytes());
  return tensor;
}

float Executor::scalarOutput(size_t index) const {
  SIMAQAT_CHECK(outputs_[index].size == 1);
  return *outputs_[index].data<float>();
}

const Tensor& Executor::variable(const std::string& name) const { return variables_.at(name); }

void Executor::setVariable(const std::string& name, const Tensor& value) {
  Tensor& own = variables_.at(name);
  SIMAQAT_CHECK(own.type() == value.type() && own.dims() == value.dims(), "{}", name);
  // In place: instructions point to it.
  std::memcpy(own.mutableRawData(), value.rawData(), value.bytes());
}

void Executor::writeBack(Graph& target) const {
  for (const auto& variable : target.variables()) {
    const auto own = variables_.find(variable->name);
    if (own == variables_.end()) continue;
    std::memcpy(variable->value.mutableRawData(), own->second.rawData(), own->second.bytes());
  }
}

std::string Executor::firstNonFinite(int64_t step) {
  for (size_t i = 0; i < plan_.compute_count; ++i) {
    const Instruction& instruction = instructions_[i];
    const bool inputs_finite =
        std::all_of(instruction.inputs.begin(), instruction.inputs.end(),
                    [](const TensorView& v) { return !v.present() || allFinite(v); });
    runInstruction(instruction, step);
    const bool outputs_finite =
        std::all_of(instruction.outputs.begin(), instruction.outputs.end(), allFinite);
    if (inputs_finite && !outputs_finite) return instruction.node->describe();
  }
  return "";
}

}  // namespace simaqat
