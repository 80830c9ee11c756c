#include "tests/agreement/teacher_forcing.h"

#include <vector>

#include "qat/exec/executor.h"
#include "qat/passes/simplify.h"
#include "qat/train/step_graph.h"
#include "tests/passes/round_biases.h"
#include "tests/zoo/zoo.h"

namespace simaqat {
namespace {

constexpr char kGiven[] = "/given";

bool isActivationQuantizer(const Node& node) {
  if (node.input(0) == nullptr || node.input(0)->isConstant()) return false;
  const std::string op = node.op().qualifiedName();
  if (op == "QuantizeLinear") return true;
  return op == "simaqat::FakeQuantize" && !node.attributes<QuantizerSpec>().is_weight;
}

// Each activation quantizer's result becomes an output, and an input takes its place.
void cut(Graph& graph) {
  graph.outputs.clear();
  for (Node* node : graph.nodeSequence()) {
    if (!isActivationQuantizer(*node)) continue;
    Value* result = node->output();
    Value* given = graph.addInput(result->name() + kGiven, result->type);
    graph.replaceUses(result, given);
    graph.outputs.push_back({result->name(), result});
  }
  removeDeadCode(graph);
}

NamedTensors evaluateCut(const Graph& source, Mode mode, const Tensor& pixels,
                         const NamedTensors& given, ThreadPool& pool) {
  Graph graph = source.clone();
  Specialization specialization;
  specialization.mode = mode;
  specialization.freeze_observers = true;
  specialize(graph, specialization);
  if (mode == Mode::kEvaluate) roundBiases(graph);
  bindInputs(graph, pixels.dims()[0], zoo::sampleDims(pixels));
  bindShapes(graph, {});
  cut(graph);
  Executor executor(std::move(graph), pool);
  for (size_t i = 0; i < executor.graph().inputs.size(); ++i) {
    const std::string& name = executor.graph().inputs[i]->name();
    const size_t suffix = name.rfind(kGiven);
    executor.setInput(i, suffix == std::string::npos ? pixels : given.at(name.substr(0, suffix)));
  }
  executor.compute(0);
  NamedTensors results;
  for (size_t i = 0; i < executor.graph().outputs.size(); ++i) {
    results[executor.graph().outputs[i].name] = executor.outputTensor(i);
  }
  return results;
}

}  // namespace

NamedTensors codesGiven(const Graph& qdq, const Tensor& pixels, const NamedTensors& codes,
                        ThreadPool& pool) {
  return evaluateCut(qdq, Mode::kEvaluate, pixels, codes, pool);
}

NamedTensors valuesGiven(const Graph& scaffolded, Mode mode, const Tensor& pixels,
                         const NamedTensors& values, ThreadPool& pool) {
  return evaluateCut(scaffolded, mode, pixels, values, pool);
}

std::map<std::string, Dequantized> dequantize(const Graph& qdq, const NamedTensors& codes) {
  std::map<std::string, Dequantized> result;
  for (const auto& node : qdq.nodes()) {
    if (node->op().name != "DequantizeLinear") continue;
    const Node* quantize = node->input(0)->producer();
    if (quantize == nullptr || quantize->op().name != "QuantizeLinear") continue;
    const float scale = *node->input(1)->constant.data<float>();
    const auto zero = node->input(2)->constant.toVector<float>()[0];
    const auto code = codes.find(node->input(0)->name());
    if (code == codes.end()) continue;
    Tensor values = code->second.converted(ElementType::kFloat);
    float* data = values.mutableData<float>();
    for (int64_t i = 0; i < values.size(); ++i) data[i] = (data[i] - zero) * scale;
    result[node->output()->name()] = {scale, values};
  }
  return result;
}

}  // namespace simaqat
