#include "qat/train/teacher.h"

#include <algorithm>

#include "qat/base/text.h"
#include "qat/ops/shared/softmax.h"
#include "qat/passes/pass.h"
#include "qat/passes/simplify.h"
#include "qat/train/model.h"

namespace simaqat {
namespace {

std::string teacherName(const std::string& output) { return "teacher/" + output; }

Value* inputOf(const Graph& model, const std::string& name, const Teacher& teacher) {
  std::vector<std::string> names;
  for (Value* input : model.inputs) {
    if (input->name() == name) return input;
    names.push_back(input->name());
  }
  throw inputError("{}: the teacher's input '{}' is none of the model's ({})", teacher.path, name,
                   joined(names));
}

// LogSoftmax(x / T) along axis 1.
Value* softened(Graph& graph, Value* x, Value* temperature) {
  Value* divided = graph.add("Div", "distill/divided", {x, temperature});
  return graph.add("LogSoftmax", "distill/log_softmax", {divided}, ops::SoftmaxAttributes{1});
}

Value* scalar(Graph& graph, const char* name, float number) {
  return graph.addConstant(graph.uniqueName(name), Tensor::scalar(number));
}

// The mean over samples of T^2 * KL(teacher || model).
Value* divergence(Graph& graph, Value* model, Value* teacher, float temperature) {
  Value* t = scalar(graph, "distill/temperature", temperature);
  Value* log_p = softened(graph, teacher, t);
  Value* log_q = softened(graph, model, t);
  Value* p = graph.add("Exp", "distill/teacher_softmax", {log_p});
  Value* difference = graph.add("Sub", "distill/difference", {log_p, log_q});
  Value* terms = graph.add("Mul", "distill/terms", {p, difference});
  Value* axis = graph.addConstant("distill/axis", Tensor::of<int64_t>({1}, {1}));
  Value* sums = graph.add("ReduceSum", "distill/sums", {terms, axis});
  Value* mean = graph.add("ReduceMean", "distill/mean", {sums});
  Value* shape = graph.addConstant("distill/scalar", Tensor(ElementType::kInt64, {0}));
  Value* one = graph.add("Reshape", "distill/mean", {mean, shape});
  return graph.add("Mul", "distill/divergence",
                   {one, scalar(graph, "distill/factor", temperature * temperature)});
}

}  // namespace

Teacher loadTeacher(const std::string& path) {
  Model model = loadModel(path);
  if (model.stage != Stage::kSource) {
    throw inputError("{}: is {}; a teacher is an FP32 model", path, stageName(model.stage));
  }
  runPass(model.graph, "specialize", [](Graph& g) { specialize(g, {}); });
  return {std::move(model.graph), path, model.hash};
}

void addTeacher(Graph& model, const Teacher& teacher) {
  std::map<std::string, Value*> bindings;
  for (const Value* input : teacher.graph.inputs) {
    bindings[input->name()] = inputOf(model, input->name(), teacher);
  }
  const std::vector<Value*> results = model.splice(teacher.graph, bindings, "teacher/");
  for (size_t i = 0; i < results.size(); ++i) {
    model.outputs.push_back({teacherName(teacher.graph.outputs[i].name), results[i]});
  }
}

void distill(Loss& loss, const Graph& model, const Teacher& teacher, float weight,
             float temperature, std::vector<std::string>& binds) {
  Graph& graph = loss.graph;
  const auto input = [&](const char* name, const std::string& source) {
    const auto output = std::find_if(model.outputs.begin(), model.outputs.end(),
                                     [&](const GraphOutput& o) { return o.name == source; });
    SIMAQAT_CHECK(output != model.outputs.end(), "{}", source);
    binds.push_back(std::string(name) + "=" + source);
    return graph.addInput(name, withOpenBatch(output->value->type));
  };
  Value* student = input("distill/model", model.outputs.front().name);
  Value* teaching = input("distill/teacher", teacherName(teacher.graph.outputs.front().name));
  Value* distillation = divergence(graph, student, teaching, temperature);
  Value* task = graph.outputs.front().value;
  Value* parts[] = {
      graph.add("Mul", "distill/task", {task, scalar(graph, "distill/task_weight", 1 - weight)}),
      graph.add("Mul", "distill/taught", {distillation, scalar(graph, "distill/weight", weight)})};
  const std::string name = graph.outputs.front().name;
  graph.outputs.front() = {name, graph.add("Add", "distill/loss", {parts[0], parts[1]})};
  graph.outputs.push_back({"task", task});
  graph.outputs.push_back({"distillation", distillation});
}

}  // namespace simaqat
