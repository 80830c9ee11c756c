#include "qat/plan/recompute.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <unordered_map>

#include "qat/ir/op.h"
#include "qat/plan/plan.h"

namespace simaqat {
namespace {

// For weighing one candidate against another alone: what processors of this class do in a second.
constexpr double kOperations = 100e9;
constexpr double kBytes = 10e9;

double secondsOf(const Node& node) {
  double bytes = 0;
  for (const Value* output : node.outputs()) bytes += static_cast<double>(output->type.bytes());
  for (const Value* input : node.inputs()) {
    if (input != nullptr) bytes += static_cast<double>(input->type.bytes());
  }
  return operationsOf(node) / kOperations + bytes / kBytes;
}

struct Candidate {
  Value* value = nullptr;
  Node* user = nullptr;  // the first that needs it late
  int64_t bytes = 0;     // that are free while most live
  double bytes_a_second = 0;
};

class Recomputer {
 public:
  Recomputer(Graph& graph, int threads) : graph_(graph), threads_(threads) {}

  Recomputation within(int64_t limit) {
    for (const auto& node : graph_.nodes()) result_.all_operations += operationsOf(*node);
    const size_t most_nodes = 2 * graph_.nodes().size();
    int64_t least = std::numeric_limits<int64_t>::max();
    while (true) {
      const int64_t arena = makePlan(graph_, threads_).arena_bytes;
      least = std::min(least, arena);
      if (arena <= limit) return result_;
      // What lives at once is more than the plan needs, which puts some values in others' places:
      // so it goes down by the plan's excess, in a few rounds.
      findLives();
      const int64_t target = most_ - std::max<int64_t>((arena - limit) / 2, 1);
      while (most_ > target) {
        const std::optional<Candidate> best = bestCandidate();
        if (!best || result_.nodes >= most_nodes) {
          least = std::min(least, makePlan(graph_, threads_).arena_bytes);
          throw inputError("a step's values came down to {} bytes, and the limit leaves {}", least,
                           std::max<int64_t>(limit, 0));
        }
        computeAgain(*best);
        findLives();
      }
    }
  }

 private:
  struct Life {
    int64_t first = 0;
    int64_t last = 0;
  };

  // The lives of the arena's values, and the step at which most bytes live.
  void findLives() {
    steps_.clear();
    lives_.clear();
    const std::vector<const Node*> schedule = scheduleOf(graph_).nodes;
    const auto end = static_cast<int64_t>(schedule.size());
    for (int64_t step = 0; step < end; ++step) {
      const Node* node = schedule[static_cast<size_t>(step)];
      steps_[node] = step;
      for (const Value* output : node->outputs()) lives_[output] = {step, step};
      for (const Value* input : node->inputs()) {
        if (input != nullptr && input->producer() != nullptr) lives_.at(input).last = step;
      }
    }
    const auto stays = [&](const Value* value) {
      if (value != nullptr && value->producer() != nullptr) lives_.at(value).last = end;
    };
    for (const GraphOutput& output : graph_.outputs) stays(output.value);
    for (const auto& variable : graph_.variables()) stays(variable->next());

    std::vector<int64_t> change(static_cast<size_t>(end) + 2);
    for (const auto& [value, life] : lives_) {
      change[static_cast<size_t>(life.first)] += value->type.bytes();
      change[static_cast<size_t>(life.last) + 1] -= value->type.bytes();
    }
    most_ = 0;
    int64_t live = 0;
    for (int64_t step = 0; step <= end; ++step) {
      live += change[static_cast<size_t>(step)];
      if (live > most_) {
        most_ = live;
        most_step_ = step;
      }
    }
  }

  std::optional<Candidate> bestCandidate() const {
    std::optional<Candidate> best;
    for (const auto& value : graph_.values()) {
      const std::optional<Candidate> candidate = candidateOf(value.get());
      if (!candidate) continue;
      if (!best || candidate->bytes_a_second > best->bytes_a_second) best = candidate;
    }
    return best;
  }

  // A value that waits while most bytes live, and could be made again behind that.
  std::optional<Candidate> candidateOf(Value* value) const {
    const Node* producer = value->producer();
    if (producer == nullptr || lives_.count(value) == 0) return std::nullopt;
    const Life life = lives_.at(value);
    const bool waits = life.first < most_step_ && most_step_ < life.last;
    const bool can = !producer->op().commits && !producer->op().random;
    if (!waits || !can || life.last >= static_cast<int64_t>(steps_.size())) return std::nullopt;
    Candidate candidate{value, nullptr, value->type.bytes(), 0};
    for (const Use& use : value->uses()) {
      const int64_t step = steps_.at(use.node);
      if (step == most_step_) return std::nullopt;
      if (step < most_step_) continue;
      if (candidate.user == nullptr || step < steps_.at(candidate.user)) candidate.user = use.node;
    }
    // What its own inputs would take while they wait in its place.
    for (const Value* input : producer->inputs()) {
      if (input == nullptr || input->producer() == nullptr) continue;
      if (lives_.at(input).last < most_step_) candidate.bytes -= input->type.bytes();
    }
    if (candidate.bytes <= 0) return std::nullopt;
    candidate.bytes_a_second = static_cast<double>(candidate.bytes) / secondsOf(*producer);
    return candidate;
  }

  void computeAgain(const Candidate& candidate) {
    const Node* producer = candidate.value->producer();
    Graph::NodeOptions options;
    options.before = candidate.user;
    options.output_count = producer->outputCount();
    Node* again = graph_.addNode(producer->op().qualifiedName(), producer->name(),
                                 producer->inputs(), producer->rawAttributes().clone(), options);
    Value* result = again->output(candidate.value->outputIndex());
    result->quantizer = candidate.value->quantizer;
    const int64_t from = steps_.at(candidate.user);
    const std::vector<Use> uses = candidate.value->uses();
    for (const Use& use : uses) {
      const auto step = steps_.find(use.node);
      if (step != steps_.end() && step->second >= from) use.node->setInput(use.index, result);
    }
    ++result_.nodes;
    result_.operations += operationsOf(*again);
  }

  Graph& graph_;
  const int threads_;
  Recomputation result_;
  std::unordered_map<const Node*, int64_t> steps_;
  std::unordered_map<const Value*, Life> lives_;
  int64_t most_ = 0;
  int64_t most_step_ = 0;
};

}  // namespace

Recomputation recomputeWithin(Graph& graph, int64_t arena_bytes, int threads) {
  return Recomputer(graph, threads).within(arena_bytes);
}

}  // namespace simaqat
