#include "qat/plan/plan.h"

#include <algorithm>

#include "qat/ir/op.h"
#include "qat/plan/placement.h"

namespace simaqat {
namespace {

// A buffer of the arena, which several values in turn may use.
struct Buffer {
  BufferLifetime lifetime;
  std::vector<const Value*> values;
};

class Planner {
 public:
  Planner(const Graph& graph, int threads, bool in_place)
      : graph_(graph), threads_(threads), in_place_(in_place) {}

  Plan run() {
    order();
    findLastUses();
    for (const Value* input : graph_.inputs) locate(input, Location::Kind::kInput);
    for (const auto& value : graph_.values()) {
      if (value->producer() != nullptr) continue;
      if (value->isConstant()) locate(value.get(), Location::Kind::kConstant);
      if (value->variable != nullptr) locate(value.get(), Location::Kind::kVariable);
    }
    for (size_t step = 0; step < plan_.schedule.size(); ++step) {
      assignOutputs(*plan_.schedule[step], static_cast<int64_t>(step));
    }
    collectCopies();
    place();
    return std::move(plan_);
  }

 private:
  void order() {
    Schedule schedule = scheduleOf(graph_);
    plan_.schedule = std::move(schedule.nodes);
    plan_.compute_count = schedule.compute_count;
  }

  void findLastUses() {
    const auto end = static_cast<int64_t>(plan_.schedule.size());
    for (size_t step = 0; step < plan_.schedule.size(); ++step) {
      for (const Value* input : plan_.schedule[step]->inputs()) {
        if (input != nullptr) last_use_[input] = static_cast<int64_t>(step);
      }
    }
    for (const GraphOutput& output : graph_.outputs) last_use_[output.value] = end;
    for (const auto& variable : graph_.variables()) {
      if (variable->next() != nullptr) last_use_[variable->next()] = end;
    }
  }

  void locate(const Value* value, Location::Kind kind) {
    plan_.locations[value] = {kind, 0, value};
  }

  void assignOutputs(const Node& node, int64_t step) {
    for (size_t i = 0; i < node.outputCount(); ++i) {
      const Value* output = node.output(i);
      const auto use = last_use_.find(output);
      const int64_t last = use == last_use_.end() ? step : use->second;
      if (updatesVariable(node, i)) continue;
      if (takesOver(node, i, step, last)) continue;
      buffer_of_[output] = buffers_.size();
      buffers_.push_back({{output->type.bytes(), step, last}, {output}});
    }
  }

  // An update in place: the output is its variable's next value, the input its present one.
  bool updatesVariable(const Node& node, size_t i) {
    if (!node.op().commits) return false;
    for (const auto& [input, output] : node.op().in_place) {
      if (static_cast<size_t>(output) != i) continue;
      const Value* source = node.input(static_cast<size_t>(input));
      if (source->variable != nullptr && source->variable->next() == node.output(i)) {
        plan_.locations[node.output(i)] = {Location::Kind::kVariable, 0, source};
        return true;
      }
    }
    return false;
  }

  bool takesOver(const Node& node, size_t i, int64_t step, int64_t last) {
    if (!in_place_) return false;
    for (const auto& [input_index, output_index] : node.op().in_place) {
      if (static_cast<size_t>(output_index) != i) continue;
      const Value* input = node.input(static_cast<size_t>(input_index));
      const auto buffer = buffer_of_.find(input);
      if (buffer == buffer_of_.end() || last_use_.at(input) != step) continue;
      if (input->type.bytes() != node.output(i)->type.bytes()) continue;
      // The same value as another input would be read after it is overwritten.
      if (std::count(node.inputs().begin(), node.inputs().end(), input) != 1) continue;
      Buffer& shared = buffers_[buffer->second];
      shared.lifetime.last = std::max(shared.lifetime.last, last);
      shared.values.push_back(node.output(i));
      buffer_of_[node.output(i)] = buffer->second;
      return true;
    }
    return false;
  }

  void collectCopies() {
    for (const auto& variable : graph_.variables()) {
      const Value* next = variable->next();
      if (next == nullptr) continue;
      const auto located = plan_.locations.find(next);
      if (located != plan_.locations.end() && located->second.source == variable->source) continue;
      plan_.copies.push_back(variable.get());
    }
  }

  void place() {
    std::vector<BufferLifetime> lifetimes;
    for (const Buffer& buffer : buffers_) lifetimes.push_back(buffer.lifetime);
    std::vector<size_t> steps;  // whose nodes have a workspace, which is behind the buffers
    for (size_t step = 0; step < plan_.schedule.size(); ++step) {
      const Node& node = *plan_.schedule[step];
      if (node.op().workspace == nullptr) continue;
      const auto at = static_cast<int64_t>(step);
      lifetimes.push_back({node.op().workspace(node, threads_), at, at});
      steps.push_back(step);
    }
    const Placement placement = placeBuffers(lifetimes);
    for (size_t b = 0; b < buffers_.size(); ++b) {
      for (const Value* value : buffers_[b].values) {
        plan_.locations[value] = {Location::Kind::kArena, placement.offsets[b], nullptr};
      }
    }
    plan_.workspace_offsets.assign(plan_.schedule.size(), 0);
    for (size_t i = 0; i < steps.size(); ++i) {
      plan_.workspace_offsets[steps[i]] = placement.offsets[buffers_.size() + i];
    }
    plan_.arena_bytes = placement.arena_bytes;
    plan_.lower_bound_bytes = lowerBound(lifetimes);
  }

  const Graph& graph_;
  const int threads_;
  const bool in_place_;
  Plan plan_;
  std::unordered_map<const Value*, int64_t> last_use_;
  std::unordered_map<const Value*, size_t> buffer_of_;
  std::vector<Buffer> buffers_;
};

}  // namespace

Schedule scheduleOf(const Graph& graph) {
  Schedule schedule;
  std::vector<const Node*> commits;
  for (const auto& node : graph.nodes()) {
    (node->op().commits ? commits : schedule.nodes).push_back(node.get());
  }
  schedule.compute_count = schedule.nodes.size();
  schedule.nodes.insert(schedule.nodes.end(), commits.begin(), commits.end());
  return schedule;
}

Plan makePlan(const Graph& graph, int threads, bool in_place) {
  return Planner(graph, threads, in_place).run();
}

}  // namespace simaqat
