#include "qat/train/check_model.h"

#include <algorithm>
#include <cmath>

#include "qat/autodiff/differentiate.h"
#include "qat/base/random.h"
#include "qat/exec/executor.h"
#include "qat/ir/op.h"
#include "qat/onnx/import.h"
#include "qat/ops/shared/batch_norm_attributes.h"
#include "qat/passes/simplify.h"
#include "qat/train/evaluate.h"
#include "qat/train/parameters.h"
#include "qat/train/step_graph.h"

namespace simaqat {
namespace {

bool isFinite(double lowest, double highest) {
  return std::isfinite(lowest) && std::isfinite(highest);
}

Tensor noise(const std::string& name, const std::vector<int64_t>& dims) {
  const RandomStream stream(0, randomPurpose("check/" + name), 0);
  Tensor tensor(ElementType::kFloat, dims);
  float* data = tensor.mutableData<float>();
  for (int64_t i = 0; i < tensor.size(); ++i) data[i] = stream.normal(static_cast<uint64_t>(i));
  return tensor;
}

class Check {
 public:
  Check(const Model& model, const CheckBatch& batch, ThreadPool& pool)
      : model_(model), batch_(batch), pool_(pool) {}

  CheckReport run() {
    checkInitializers();
    checkEvidence();
    for (const std::string& warning : warningsOfMerged(model_.graph)) note("initializers", warning);
    if (!checkOtherBatch()) return std::move(report_);
    Graph graph = boundGraph(batch_.samples);
    checkBatchNorms(graph);
    execute(std::move(graph));
    return std::move(report_);
  }

 private:
  void fail(const std::string& subject, const std::string& text) {
    report_.findings.push_back({true, subject, text});
  }
  void note(const std::string& subject, const std::string& text) {
    report_.findings.push_back({false, subject, text});
  }

  // Constants may be infinite, as masks are, and never NaN.
  void checkInitializers() {
    for (const auto& variable : model_.graph.variables()) {
      checkElements(variable->name, variable->value, [](double v) { return !std::isfinite(v); });
    }
    for (const auto& value : model_.graph.values()) {
      if (!value->isConstant() || value->variable != nullptr) continue;
      if (!isFloatingPoint(value->type.element)) continue;
      checkElements(value->name(), value->constant, [](double v) { return std::isnan(v); });
    }
  }

  void checkElements(const std::string& name, const Tensor& tensor, bool (*is_bad)(double)) {
    const std::vector<double> values = tensor.toVector<double>();
    const auto bad = std::find_if(values.begin(), values.end(), is_bad);
    if (bad == values.end()) return;
    fail(name, fmt::format("{} of {} elements are not finite; the first is {}, at {}",
                           std::count_if(values.begin(), values.end(), is_bad), values.size(), *bad,
                           bad - values.begin()));
  }

  // Parameters that could as well be constants: nothing says what they are.
  void checkEvidence() {
    if (model_.names_parameters) return;
    for (const auto& variable : model_.graph.variables()) {
      if (variable->role != VariableRole::kWeight || !variable->trainable) continue;
      if (servesAsParameter(*variable)) continue;
      note(variable->name,
           "trains because a gradient reaches it; if it is a constant, --freeze it, or list the "
           "parameters in the file (docs/EXPORT.md)");
    }
  }

  Graph boundGraph(int64_t samples) const {
    Graph graph = model_.graph.clone();
    Specialization specialization;
    specialization.mode = Mode::kTrain;
    specialize(graph, specialization);
    bindInputs(graph, samples, batch_.sample_dims);
    bindShapes(graph, {});
    return graph;
  }

  // Whether the batch's own size binds; that another one does not is a finding.
  bool checkOtherBatch() {
    const auto binds = [&](int64_t samples) {
      try {
        boundGraph(samples);
        return true;
      } catch (const Error& error) {
        fail("batch size", fmt::format("{} samples: {}", samples, error.what()));
        return false;
      }
    };
    if (!binds(batch_.samples)) return false;
    if (const int64_t fixed = fixedBatch(model_.graph); fixed > 0) {
      note("batch size", fmt::format("the model fixes it to {}", fixed));
    } else {
      binds(batch_.samples + 1);
    }
    return true;
  }

  void checkBatchNorms(const Graph& graph) {
    for (const auto& node : graph.nodes()) {
      if (node->op().qualifiedName() != "simaqat::BatchNormTraining") continue;
      const std::vector<int64_t> dims = node->input(0)->type.dims();
      const int64_t values = node->input(0)->type.size() / std::max<int64_t>(dims[1], 1);
      if (values > 1) continue;
      fail(node->name(), fmt::format("BatchNormalization over one value a channel ({}): its "
                                     "output is its bias, and no gradient passes",
                                     typeToString(node->input(0)->type)));
    }
  }

  // The smallest and largest element of each value, and each gradient, as outputs.
  void execute(Graph graph) {
    const std::vector<GraphOutput> model_outputs = graph.outputs;
    std::vector<const Node*> sources;
    std::vector<GraphOutput> outputs;
    for (Node* node : graph.nodeSequence()) {
      Value* value = node->output();
      if (value->type.element != ElementType::kFloat || value->type.size() == 0) continue;
      sources.push_back(node);
      for (const char* bound : {"ReduceMin", "ReduceMax"}) {
        outputs.push_back(
            {value->name() + "/" + bound, graph.add(bound, value->name() + "/" + bound, {value})});
      }
    }
    std::vector<std::pair<std::string, std::string>> names;
    for (const Node* node : sources) names.push_back({node->output()->name(), node->opType()});
    std::vector<Value*> parameters;
    for (const auto& variable : graph.variables()) {
      if (variable->trainable) parameters.push_back(variable->source);
    }
    const auto gradients = differentiate(graph, addLoss(graph, model_outputs), parameters);
    std::vector<std::string> reached;
    for (Value* parameter : parameters) {
      const auto gradient = gradients.find(parameter);
      if (gradient == gradients.end()) {
        note(parameter->name(), "no gradient reaches it from the outputs");
        continue;
      }
      reached.push_back(parameter->name());
      outputs.push_back({parameter->name() + "/grad", gradient->second});
    }
    graph.outputs = outputs;
    foldConstants(graph);
    removeDeadCode(graph);
    Executor executor(std::move(graph), pool_);
    const std::vector<Tensor> inputs = inputsOf(executor.graph());
    for (size_t i = 0; i < inputs.size(); ++i) executor.setInput(i, inputs[i]);
    executor.compute(0);
    readRanges(executor, names);
    readGradients(executor, 2 * names.size(), reached);
  }

  static Value* addLoss(Graph& graph, const std::vector<GraphOutput>& outputs) {
    Value* shape = graph.addConstant("simaqat/scalar", Tensor(ElementType::kInt64, {0}));
    std::vector<Value*> sums;
    for (const GraphOutput& output : outputs) {
      if (output.value->type.element != ElementType::kFloat) continue;
      Value* weights =
          graph.addConstant(output.name + "/noise", noise(output.name, output.value->type.dims()));
      Value* product = graph.add("Mul", "simaqat/product", {output.value, weights});
      Value* sum = graph.add("ReduceSum", "simaqat/sum", {product});
      sums.push_back(graph.add("Reshape", "simaqat/sum", {sum, shape}));
    }
    if (sums.empty()) throw inputError("the model has no float output");
    return graph.add("Sum", "simaqat/loss", sums);
  }

  std::vector<Tensor> inputsOf(const Graph& graph) const {
    std::vector<Tensor> inputs;
    for (const Value* input : graph.inputs) {
      const auto given = batch_.values.find(input->name());
      if (given != batch_.values.end()) {
        inputs.push_back(given->second);
      } else if (input->type.element == ElementType::kFloat) {
        inputs.push_back(noise(input->name(), input->type.dims()));
      } else {
        inputs.emplace_back(input->type.element, input->type.dims());
      }
    }
    return inputs;
  }

  void readRanges(const Executor& executor,
                  const std::vector<std::pair<std::string, std::string>>& names) {
    bool is_first = true;
    for (size_t i = 0; i < names.size(); ++i) {
      const auto& [name, op_type] = names[i];
      const double lowest = executor.scalarOutput(2 * i),
                   highest = executor.scalarOutput(2 * i + 1);
      report_.ranges.push_back({name, op_type, lowest, highest});
      if (isFinite(lowest, highest) || !is_first) continue;
      is_first = false;
      fail(name, fmt::format("{} makes the first value that is not finite", op_type));
    }
  }

  void readGradients(const Executor& executor, size_t first,
                     const std::vector<std::string>& names) {
    for (size_t i = 0; i < names.size(); ++i) {
      const std::vector<double> gradient = executor.outputTensor(first + i).toVector<double>();
      const bool finite =
          std::all_of(gradient.begin(), gradient.end(), [](double v) { return std::isfinite(v); });
      const bool dead =
          std::all_of(gradient.begin(), gradient.end(), [](double v) { return v == 0; });
      if (!finite) fail(names[i], "its gradient is not finite");
      if (dead) note(names[i], "its gradient is zero throughout");
    }
  }

  const Model& model_;
  const CheckBatch& batch_;
  ThreadPool& pool_;
  CheckReport report_;
};

}  // namespace

bool CheckReport::fails() const {
  return std::any_of(findings.begin(), findings.end(),
                     [](const CheckFinding& finding) { return finding.fails; });
}

CheckReport checkModel(const Model& model, const CheckBatch& batch, ThreadPool& pool) {
  return Check(model, batch, pool).run();
}

}  // namespace simaqat
