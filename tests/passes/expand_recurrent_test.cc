// LSTM, GRU and RNN as elementary operators: the same numbers, and the gradients of the definition.
#include "qat/passes/expand_recurrent.h"

#include "qat/passes/simplify.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

const char* const kOperators[] = {"LSTM", "GRU", "RNN"};

// The example's node alone. Its float inputs are the graph's, lengths are constant.
Graph graphOf(const OpDefinition& op, const OpExample& example) {
  Graph graph(opRegistry());
  std::vector<Value*> inputs;
  for (size_t i = 0; i < example.inputs.size(); ++i) {
    const Tensor& tensor = example.inputs[i];
    const std::string name = "i" + std::to_string(i);
    if (!tensor.defined()) {
      inputs.push_back(nullptr);
    } else if (isFloatingPoint(tensor.type())) {
      inputs.push_back(graph.addInput(name, {ElementType::kFloat, toShape(tensor.dims())}));
    } else {
      inputs.push_back(graph.addConstant(name, tensor));
    }
  }
  auto attributes = op.make_attributes();
  attributes->parse(example.attributes);
  Graph::NodeOptions options;
  options.output_count = example.output_count;
  const Node* node = graph.addNode(op.name, "cell", inputs, std::move(attributes), options);
  for (Value* output : node->outputs()) graph.outputs.push_back({output->name(), output});
  return graph;
}

std::vector<Tensor> floatInputs(const OpExample& example) {
  std::vector<Tensor> inputs;
  for (const Tensor& tensor : example.inputs) {
    if (tensor.defined() && isFloatingPoint(tensor.type())) {
      inputs.push_back(tensor.converted(ElementType::kFloat));
    }
  }
  return inputs;
}

std::vector<Tensor> evaluate(const Graph& graph, const OpExample& example) {
  ThreadPool pool(1);
  return evaluateOnHost(graph, *graph.nodes().front(), example.inputs, pool);
}

double sumOf(const std::vector<Tensor>& tensors) {
  double sum = 0;
  for (const Tensor& tensor : tensors) {
    for (const double x : tensor.toVector<double>()) sum += x;
  }
  return sum;
}

void checkNear(const std::vector<double>& got, const std::vector<double>& expected,
               double tolerance) {
  REQUIRE(got.size() == expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    INFO(i);
    CHECK(std::fabs(got[i] - expected[i]) <= tolerance);
  }
}

// By central differences in double precision.
std::vector<double> differences(const Graph& graph, OpExample example, size_t input) {
  constexpr double kStep = 1e-5;
  std::vector<double> result;
  for (int64_t k = 0; k < example.inputs[input].size(); ++k) {
    const auto sumAt = [&](double x) {
      example.inputs[input].mutableData<double>()[k] = x;
      return sumOf(evaluate(graph, example));
    };
    const double x = example.inputs[input].data<double>()[k];
    result.push_back((sumAt(x + kStep) - sumAt(x - kStep)) / (2 * kStep));
    sumAt(x);
  }
  return result;
}

template <class Function>
void forEachExample(Function&& function) {
  for (const char* name : kOperators) {
    const OpDefinition& op = opRegistry().get(name);
    for (const OpExample& example : op.examples()) {
      INFO(name << ", " << example.name);
      function(graphOf(op, example), example);
    }
  }
}

}  // namespace

TEST_CASE("a recurrent operator's steps compute what it is defined to") {
  forEachExample([](const Graph& graph, const OpExample& example) {
    const std::vector<Tensor> expected = evaluate(graph, example);
    const std::vector<Tensor> got = run(graph, floatInputs(example));
    REQUIRE(got.size() == expected.size());
    for (size_t i = 0; i < got.size(); ++i) {
      CHECK(got[i].dims() == expected[i].dims());
      checkNear(got[i].toVector<double>(), expected[i].toVector<double>(), 1e-6);
    }
  });
}

TEST_CASE("gradients go through the steps of a recurrent operator") {
  forEachExample([](const Graph& graph, const OpExample& example) {
    const std::vector<Tensor> got = gradients(graph, floatInputs(example));
    size_t index = 0;
    for (size_t i = 0; i < example.inputs.size(); ++i) {
      const Tensor& input = example.inputs[i];
      if (!input.defined() || !isFloatingPoint(input.type())) continue;
      INFO("input " << i);
      const Tensor& gradient = got[index++];
      const std::vector<double> expected = differences(graph, example, i);
      const std::vector<double> zeros(expected.size());
      checkNear(gradient.defined() ? gradient.toVector<double>() : zeros, expected, 2e-5);
    }
  });
}

TEST_CASE("the batch may be open, and lengths may come with the data") {
  Graph graph = parse(R"(
    input %x : float[3, N, 2]
    input %lengths : int32[N]
    weight %w : float[1, 8, 2] = [0.1, 0.2, ...]
    weight %r : float[1, 8, 2] = [-0.3, 0.4, ...]
    %y, %h, %c = LSTM(%x, %w, %r, _, %lengths)
    output y = %y
    output h = %h)");
  const Graph before = graph.clone();
  CHECK(expandRecurrent(graph));
  CHECK(countNodes(graph, "LSTM") == 0);
  CHECK(countNodes(graph, "Gemm") == 3);
  CHECK(graph.findVariable("w") != nullptr);
  const Tensor x = randomTensor({3, 4, 2}, 1), lengths = Tensor::of<int32_t>({4}, {3, 1, 2, 3});
  ThreadPool pool(1);
  const std::vector<Tensor> expected = evaluateOnHost(
      before, *before.nodes().front(),
      {x, before.findVariable("w")->value, before.findVariable("r")->value, Tensor(), lengths},
      pool);
  const std::vector<Tensor> got = run(graph, {x, lengths});
  for (size_t i = 0; i < 2; ++i) {
    checkNear(got[i].toVector<double>(), expected[i].toVector<double>(), 1e-6);
  }
}

TEST_CASE("a sequence of open length stays one operator until its length is bound") {
  Graph graph = parse(R"(
    input %x : float[T, N, 2]
    weight %w : float[1, 3, 2] = [0.1, 0.2, ...]
    weight %r : float[1, 3, 3] = [-0.3, 0.4, ...]
    %y, %h = RNN(%x, %w, %r)
    output h = %h)");
  CHECK_FALSE(expandRecurrent(graph));
  bindShapes(graph, {{"T", 5}, {"N", 2}});
  CHECK(countNodes(graph, "RNN") == 0);
  CHECK(countNodes(graph, "Tanh") == 5);
}

TEST_CASE("a prepared recurrent operator has its weights quantized by channel, once") {
  Graph graph = parse(R"(
    input %x : float[3, N, 2]
    weight %w : float[1, 12, 2] = [0.1, 0.2, ...]
    weight %r : float[1, 12, 3] = [-0.3, 0.4, ...]
    weight %b : float[1, 24] = [0.5, ...]
    %y, %h, %c = LSTM(%x, %w, %r, %b)
    output h = %h)");
  scaffold(graph, {});
  size_t weights = 0;
  for (const auto& node : graph.nodes()) {
    if (node->opType() != "Gemm") continue;
    INFO(node->name());
    const Quantizer* quantizer = node->input(1)->quantizer;
    REQUIRE(quantizer != nullptr);
    CHECK(quantizer->spec.toString() == "int8 per channel (axis 0)");
    CHECK(node->input(0)->quantizer != nullptr);
    ++weights;
  }
  CHECK(weights == 3);
  CHECK(linesWith(graph, "is_weight = 1, observer = \"channel_max\"").find("R/fake_quantize") !=
        std::string::npos);
}

}  // namespace simaqat
