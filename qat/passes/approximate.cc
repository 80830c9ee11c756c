#include "qat/passes/approximate.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>

#include "qat/base/text.h"
#include "qat/ir/op.h"
#include "qat/ops/shared/approximation_attributes.h"
#include "qat/passes/fake_quantized.h"
#include "qat/passes/integer_forms.h"
#include "qat/passes/regions.h"

namespace simaqat {
namespace {

bool isElementwise(const OpDefinition& op) {
  return op.domain.empty() && (isBasicElementwise(op) || op.pointwise.block != nullptr);
}

bool isScalarConstant(const Value* value) {
  return value == nullptr || (value->isConstant() && value->constant.size() == 1);
}

// The one value that the nodes take from outside, besides constants of one element; null where it is
// not one alone.
Value* operandOf(const std::vector<Node*>& nodes) {
  std::set<const Value*> inner;
  for (const Node* node : nodes) inner.insert(node->output());
  Value* operand = nullptr;
  for (const Node* node : nodes) {
    for (Value* input : node->inputs()) {
      if (isScalarConstant(input) || inner.count(input) != 0) continue;
      if (operand != nullptr && operand != input) return nullptr;
      operand = input;
    }
  }
  return operand;
}

// Whether nothing but the nodes sees what they compute on the way.
bool isClosed(const Graph& graph, const std::vector<Node*>& nodes) {
  const std::set<const Node*> all(nodes.begin(), nodes.end());
  return std::all_of(nodes.begin(), nodes.end() - 1, [&](const Node* node) {
    const auto& uses = node->output()->uses();
    return graph.useCount(node->output()) == uses.size() &&
           std::all_of(uses.begin(), uses.end(),
                       [&](const Use& use) { return all.count(use.node) != 0; });
  });
}

bool isFunction(const Graph& graph, const std::vector<Node*>& nodes) {
  return operandOf(nodes) != nullptr && isClosed(graph, nodes) &&
         std::all_of(nodes.begin(), nodes.end(), [](const Node* node) {
           return isElementwise(node->op()) && node->outputCount() == 1 &&
                  node->output()->type.element == ElementType::kFloat;
         });
}

// What the nodes make of `x` in place of their operand.
Tensor evaluated(const Graph& graph, const std::vector<Node*>& nodes, const Tensor& x) {
  ThreadPool pool(1);
  std::unordered_map<const Value*, Tensor> known = {{operandOf(nodes), x}};
  for (const Node* node : nodes) {
    std::vector<Tensor> inputs;
    for (const Value* input : node->inputs()) {
      const auto found = known.find(input);
      inputs.push_back(input == nullptr          ? Tensor()
                       : found != known.end() ? found->second
                                              : input->constant);
    }
    known[node->output()] = evaluateOnHost(graph, *node, inputs, pool)[0];
  }
  return known.at(nodes.back()->output());
}

// Whether several nodes are what the operator with its default attributes computes; GELU by Tanh is
// within 5e-4 of the one by Erf.
bool computesSame(const Graph& graph, const std::vector<Node*>& nodes, const std::string& op_type) {
  constexpr float kTolerance = 1e-3f;
  if (graph.registry().get(op_type).min_inputs != 1) return false;
  std::vector<float> points;
  for (float x = -6; x <= 6; x += 0.125f) points.push_back(x);
  const Tensor x = Tensor::of({static_cast<int64_t>(points.size())}, points);
  Graph scratch(graph.registry());
  Value* y = scratch.add(op_type, op_type, {scratch.addConstant("x", x)},
                         graph.registry().get(op_type).make_attributes());
  const std::vector<float> expected = evaluated(scratch, {y->producer()}, x).toVector<float>();
  const std::vector<float> got = evaluated(graph, nodes, x).toVector<float>();
  for (size_t i = 0; i < points.size(); ++i) {
    if (!(std::fabs(got[i] - expected[i]) <= kTolerance)) return false;
  }
  return true;
}

void checkOperator(const Graph& graph, const Approximation& how) {
  const OpDefinition* op = graph.registry().find(how.op_type);
  if (op == nullptr) throw inputError("approximate: operator '{}' is not known", how.op_type);
  if (!isElementwise(*op)) {
    throw inputError("approximate: {} is no function of single elements", how.op_type);
  }
}

class Finder {
 public:
  Finder(const Graph& graph, const std::vector<Approximation>& approximations)
      : graph_(graph), approximations_(approximations) {}

  std::vector<ApproximatedFunction> run() {
    for (const Approximation& how : approximations_) checkOperator(graph_, how);
    for (const Function& function : functionsOf(graph_)) {
      if (function.of_rows || function.nodes.size() == 1 || !isFunction(graph_, function.nodes)) continue;
      for (const Approximation& how : approximations_) {
        if (computesSame(graph_, function.nodes, how.op_type)) add(how, function.nodes);
      }
    }
    for (Node* node : graph_.nodeSequence()) {
      for (const Approximation& how : approximations_) {
        if (node->op().qualifiedName() == how.op_type && isFunction(graph_, {node})) add(how, {node});
      }
    }
    checkAllFound();
    return std::move(found_);
  }

 private:
  void add(const Approximation& how, const std::vector<Node*>& nodes) {
    fitting_.insert(&how);
    if (taken_.count(nodes.back()) != 0) return;
    taken_.insert(nodes.begin(), nodes.end());
    found_.push_back({&how, nodes});
  }

  void checkAllFound() const {
    for (const Approximation& how : approximations_) {
      if (fitting_.count(&how) == 0) {
        throw inputError("approximate: no node is or computes {}", how.op_type);
      }
    }
  }

  const Graph& graph_;
  const std::vector<Approximation>& approximations_;
  std::set<const Approximation*> fitting_;
  std::set<const Node*> taken_;
  std::vector<ApproximatedFunction> found_;
};

// Where one function is sampled: the codes of its input's quantizer, or a range.
struct Sampling {
  Value* scale;
  Value* zero_point;
  ops::SamplePointsAttributes attributes;
};

std::optional<Sampling> samplingOf(Graph& graph, const ApproximatedFunction& function,
                                   const Value* x) {
  const Approximation& how = *function.how;
  Sampling sampling;
  sampling.attributes.count = how.table > 0 ? how.table : how.segments + 1;
  if (how.range) {
    const std::string name = function.end()->name() + kSampledSuffix;
    sampling.scale = graph.addConstant(name + "/scale", Tensor::scalar(1.0f));
    sampling.zero_point = graph.addConstant(name + "/zero_point", Tensor::scalar(0.0f));
    sampling.attributes.first = how.range->first;
    sampling.attributes.last = how.range->second;
    return sampling;
  }
  const Node* fake_quantize = fakeQuantizeOf(x);
  if (fake_quantize == nullptr) return std::nullopt;
  const auto& spec = fake_quantize->attributes<QuantizerSpec>();
  sampling.scale = fake_quantize->input(kFakeQuantizeScale);
  sampling.zero_point = fake_quantize->input(kFakeQuantizeZeroPoint);
  sampling.attributes.first = static_cast<float>(spec.qmin);
  sampling.attributes.last = static_cast<float>(spec.qmax);
  return sampling;
}

void insert(Graph& graph, const ApproximatedFunction& function, Value* x, const Sampling& sampling) {
  Node* end = function.end();
  Value* points = graph.add("simaqat::SamplePoints", end->name() + kSampledSuffix,
                            {sampling.scale, sampling.zero_point}, sampling.attributes, end);
  Value* values = copyFunction(graph, function.nodes, x, points, end,
                               [](const std::string& name) { return name + kSampledSuffix; });
  const char* op_type =
      function.how->table > 0 ? "simaqat::TableLookup" : "simaqat::PiecewiseLinear";
  ops::ApproximationAttributes attributes;
  if (function.how->ships_as_function) attributes.ships_as = "function";
  Value* quantized = end->output();
  Value* y = graph.add(op_type, end->name(), {x, points, values}, attributes, end);
  y->quantizer = quantized->quantizer;
  replaceNode(graph, end, y);
  for (size_t i = function.nodes.size() - 1; i-- > 0;) graph.removeNode(function.nodes[i]);
}

}  // namespace

std::string Approximation::toString() const {
  return table > 0 ? fmt::format("table {}", table) : fmt::format("{} segments", segments);
}

bool isApproximation(const Node& node) {
  const std::string name = node.op().qualifiedName();
  return name == "simaqat::TableLookup" || name == "simaqat::PiecewiseLinear";
}

Value* copyFunction(Graph& graph, const std::vector<Node*>& nodes, const Value* from, Value* to,
                    Node* before, std::string (*renamed)(const std::string&)) {
  std::unordered_map<const Value*, Value*> copies = {{from, to}};
  for (const Node* node : nodes) {
    std::vector<Value*> inputs = node->inputs();
    for (Value*& input : inputs) {
      const auto copy = copies.find(input);
      if (copy != copies.end()) input = copy->second;
    }
    copies[node->output()] = graph.add(node->op().qualifiedName(), renamed(node->name()), inputs,
                                       node->rawAttributes().clone(), before);
  }
  return copies.at(nodes.back()->output());
}

std::vector<ApproximatedFunction> approximatedFunctions(
    const Graph& graph, const std::vector<Approximation>& approximations) {
  return Finder(graph, approximations).run();
}

void approximate(Graph& graph, const std::vector<ApproximatedFunction>& functions) {
  std::vector<std::string> without_range;
  for (const ApproximatedFunction& function : functions) {
    Value* x = operandOf(function.nodes);
    const std::optional<Sampling> sampling = samplingOf(graph, function, x);
    if (sampling) {
      insert(graph, function, x, *sampling);
    } else {
      without_range.push_back(function.end()->describe());
    }
  }
  if (without_range.empty()) return;
  throw inputError("approximate: {} functions have no quantizer at their input, and so no range (give "
                   "\"range\": [from, to]): {}",
                   without_range.size(), joined(without_range));
}

}  // namespace simaqat
