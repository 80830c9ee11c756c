// Runs a plan on threads.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "qat/base/thread_pool.h"
#include "qat/ir/graph.h"
#include "qat/ir/op.h"
#include "qat/plan/plan.h"

namespace simaqat {

// How a graph is made fast and run. The reference is what the fast way is held against: no pass
// after differentiation changes the graph, and every node runs by its definition
// (OpDefinition::evaluate), never in place.
enum class Execution { kFast, kReference };

// The plan of a graph that runs that way: the reference overwrites no value.
Plan planFor(const Graph& graph, int threads, Execution execution);

// Owns a graph of static types, its plan, an arena and the variables' present values, which are
// moved out of the graph. A step is `compute`, which changes no variable, and `commit`, which gives
// variables their next values. After construction nothing is allocated.
class Executor {
 public:
  // With the plan of the graph where it is made already.
  Executor(Graph graph, ThreadPool& pool, Execution execution = Execution::kFast,
           std::optional<Plan> plan = {});
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  const Graph& graph() const { return graph_; }
  const Plan& plan() const { return plan_; }

  // Binds a graph input to memory that stays valid until the next compute has ended. The tensor's
  // type and dimensions must be the input's.
  void setInput(size_t index, const Tensor& tensor);
  size_t inputIndex(const std::string& name) const;

  // For operators that draw random numbers.
  void setSeed(uint64_t seed) { seed_ = seed; }

  void compute(int64_t step);
  void commit();

  // From now on every node's time is put there, one entry each in the order they run in; null ends
  // that. What a node waits for is part of its time.
  struct NodeTime {
    const Node* node;
    std::chrono::steady_clock::time_point begin, end;
  };
  void setTimes(std::vector<NodeTime>* times) { times_ = times; }

  // A graph output as of the last compute.
  const TensorView& output(size_t index) const { return outputs_[index]; }
  Tensor outputTensor(size_t index) const;
  float scalarOutput(size_t index) const;

  // The value of a variable, to read and, between steps, to set.
  const Tensor& variable(const std::string& name) const;
  void setVariable(const std::string& name, const Tensor& value);
  // All variables of the graph, with their present values written to Variable::value.
  void writeBack(Graph& target) const;

  // Runs the computing part again and returns the first node with an output that is not finite
  // although all of its inputs are: "Conv 'name'". Empty where there is none.
  std::string firstNonFinite(int64_t step);

 private:
  struct Instruction {
    const Node* node;
    EvalFunction function;
    Span<std::byte> workspace;
    std::vector<TensorView> inputs;
    std::vector<TensorView> outputs;
  };
  TensorView viewOf(const Value* value);
  void buildInstructions();
  void runInstruction(const Instruction& instruction, int64_t step);

  Graph graph_;
  ThreadPool& pool_;
  const Execution execution_;
  Plan plan_;
  Tensor arena_;
  bool is_poisoned_;  // poison.h
  uint64_t seed_ = 0;
  std::vector<NodeTime>* times_ = nullptr;
  std::vector<Instruction> instructions_;
  std::vector<TensorView> outputs_;
  // Dimensions that views point to.
  std::unordered_map<const Value*, std::vector<int64_t>> dims_;
  std::unordered_map<std::string, Tensor> variables_;
  // For variables whose next value is another variable's present one.
  std::unordered_map<const Variable*, Tensor> held_;
  // Where each input's pointer stands in the instructions.
  std::vector<std::vector<TensorView*>> input_slots_;
};

}  // namespace simaqat
