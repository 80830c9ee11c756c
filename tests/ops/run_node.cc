#include "tests/ops/run_node.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace simaqat {

std::vector<Tensor> exampleInputs(const OpExample& example, ElementType element) {
  std::vector<Tensor> inputs;
  for (const Tensor& input : example.inputs) {
    inputs.push_back(input.defined() && isFloatingPoint(input.type()) ? input.converted(element)
                                                                      : input);
  }
  return inputs;
}

Node* addExampleNode(Graph& graph, const OpDefinition& op, const OpExample& example,
                     const std::vector<Tensor>& inputs,
                     const std::function<bool(size_t)>& as_input) {
  std::vector<Value*> values;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string name = fmt::format("input{}", i);
    if (!inputs[i].defined()) {
      values.push_back(nullptr);
    } else if (as_input(i)) {
      values.push_back(graph.addInput(name, {inputs[i].type(), toShape(inputs[i].dims())}));
    } else {
      values.push_back(graph.addConstant(name, inputs[i]));
    }
  }
  auto attributes = op.make_attributes();
  attributes->parse(example.attributes);
  Graph::NodeOptions options;
  options.output_count = example.output_count;
  return graph.addNode(op.qualifiedName(), "node", values, std::move(attributes), options);
}

Node* addExampleNode(Graph& graph, const OpDefinition& op, const OpExample& example,
                     const std::vector<Tensor>& inputs) {
  return addExampleNode(graph, op, example, inputs, [](size_t) { return false; });
}

std::vector<Tensor> runNode(const Node& node, const std::vector<Tensor>& inputs,
                            const RunOptions& options) {
  constexpr int64_t kGuard = 256;
  constexpr uint8_t kGuardByte = 0xA5;
  std::vector<Tensor> held = inputs;
  std::vector<TensorView> input_views(held.size());
  for (size_t i = 0; i < held.size(); ++i) {
    if (!held[i].defined()) continue;
    // mutableRawData: the node may write here when in place.
    input_views[i] = {held[i].type(), held[i].dims(), held[i].size(), held[i].mutableRawData()};
  }
  std::vector<std::vector<int64_t>> dims;
  std::vector<Tensor> memory;
  std::vector<TensorView> output_views;
  for (const Value* output : node.outputs()) {
    dims.push_back(output->type.dims());
    const int64_t bytes = output->type.bytes();
    memory.emplace_back(ElementType::kUint8, std::vector<int64_t>{bytes + kGuard});
    std::byte* data = memory.back().mutableRawData();
    std::memset(data, options.filler, static_cast<size_t>(bytes));
    std::memset(data + bytes, kGuardByte, kGuard);
    output_views.push_back({output->type.element, {}, output->type.size(), data});
  }
  for (size_t i = 0; i < dims.size(); ++i) output_views[i].dims = dims[i];
  for (const auto& [from, to] : options.in_place) {
    output_views[static_cast<size_t>(to)].bytes = input_views[static_cast<size_t>(from)].bytes;
  }
  ThreadPool pool(options.threads);
  const int64_t bytes =
      node.op().workspace == nullptr ? 0 : node.op().workspace(node, options.threads);
  Tensor workspace(ElementType::kUint8, {bytes + kGuard});
  std::memset(workspace.mutableRawData(), options.filler, static_cast<size_t>(bytes));
  std::memset(workspace.mutableRawData() + bytes, kGuardByte, kGuard);
  const EvalFunction function = options.kernel ? node.op().kernel : node.op().evaluate;
  function({node, input_views, output_views, workspace.mutableRawData(), pool});

  const auto checkGuard = [&](const Tensor& tensor, int64_t size) {
    for (int64_t i = 0; i < kGuard; ++i) {
      SIMAQAT_CHECK(tensor.data<uint8_t>()[size + i] == kGuardByte, "{} writes beyond its memory",
                    node.describe());
    }
  };
  checkGuard(workspace, bytes);
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < dims.size(); ++i) {
    checkGuard(memory[i], memory[i].size() - kGuard);
    outputs.emplace_back(output_views[i].type, dims[i]);
    std::memcpy(outputs[i].mutableRawData(), output_views[i].bytes, outputs[i].bytes());
  }
  return outputs;
}

void forEachExample(const std::function<void(const OpDefinition&, const OpExample&)>& f) {
  for (const auto& [name, op] : opRegistry().all()) {
    if (op->examples == nullptr) continue;
    for (const OpExample& example : op->examples()) f(*op, example);
  }
}

std::string describe(const OpDefinition& op, const OpExample& example) {
  return fmt::format("{}, example '{}'", op.qualifiedName(), example.name);
}

double distance(const Tensor& a, const Tensor& b) {
  const double infinity = std::numeric_limits<double>::infinity();
  if (a.dims() != b.dims()) return infinity;
  const std::vector<double> left = a.toVector<double>();
  const std::vector<double> right = b.toVector<double>();
  double largest = 0;
  for (size_t i = 0; i < left.size(); ++i) {
    if (left[i] == right[i] || (std::isnan(left[i]) && std::isnan(right[i]))) continue;
    const double own = std::fabs(left[i] - right[i]) / (1 + std::fabs(right[i]));
    if (!(own < infinity)) return infinity;
    largest = std::max(largest, own);
  }
  return largest;
}

}  // namespace simaqat
