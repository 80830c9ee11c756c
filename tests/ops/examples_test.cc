// What must hold of every operator, shown on its examples.
#include "tests/catch.h"
#include "tests/ops/run_node.h"

namespace simaqat {
namespace {

bool agrees(const Shape& inferred, const std::vector<int64_t>& dims) {
  if (inferred.size() != dims.size()) return false;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (inferred[axis].known() && inferred[axis].value != dims[axis]) return false;
  }
  return true;
}

// Types that are inferred when less is known must not say otherwise than `dims`.
void checkAgreement(const Node& node, const std::vector<Tensor>& outputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    const TensorType& type = node.output(i)->type;
    CHECK(type.element == outputs[i].type());
    INFO("output " << i << ": " << typeToString(type) << ", dimensions "
                   << dimsToString(outputs[i].dims()));
    CHECK((!type.shape || agrees(*type.shape, outputs[i].dims())));
  }
}

}  // namespace

TEST_CASE("every operator of ONNX has examples") {
  for (const auto& [name, op] : opRegistry().all()) {
    INFO(name);
    CHECK((!op->domain.empty() || (op->examples != nullptr && !op->examples().empty())));
  }
}

TEST_CASE("evaluation fills what inference announces, and no more") {
  forEachExample([](const OpDefinition& op, const OpExample& example) {
    INFO(describe(op, example));
    for (const ElementType element : {ElementType::kDouble, ElementType::kFloat}) {
      const std::vector<Tensor> inputs = exampleInputs(example, element);
      Graph graph(opRegistry());
      const Node* node = addExampleNode(graph, op, example, inputs);
      RunOptions options;
      const std::vector<Tensor> first = runNode(*node, inputs, options);
      options.filler = 1;
      const std::vector<Tensor> second = runNode(*node, inputs, options);
      for (size_t i = 0; i < first.size(); ++i) {
        INFO("output " << i);
        CHECK(first[i].identical(second[i]));
      }
    }
  });
}

TEST_CASE("inference gets along with less knowledge") {
  forEachExample([](const OpDefinition& op, const OpExample& example) {
    INFO(describe(op, example));
    const std::vector<Tensor> inputs = exampleInputs(example, ElementType::kFloat);
    Graph graph(opRegistry());
    const std::vector<Tensor> outputs =
        runNode(*addExampleNode(graph, op, example, inputs), inputs, {});
    const auto is_float = [&](size_t i) { return isFloatingPoint(inputs[i].type()); };
    Node* node = addExampleNode(graph, op, example, inputs, is_float);
    checkAgreement(*node, outputs);

    // The batch is a symbol, in the inputs that have it.
    const bool has_batch = !inputs.empty() && !inputs[0].dims().empty();
    const int64_t batch = has_batch ? inputs[0].dims()[0] : 0;
    for (Value* input : node->inputs()) {
      if (input == nullptr || input->isConstant() || !input->type.shape) continue;
      Shape& shape = *input->type.shape;
      if (!shape.empty() && shape[0] == Dim(batch)) shape[0] = Dim::named("N");
    }
    graph.inferTypes(*node);
    checkAgreement(*node, outputs);

    // No dimension, then no rank, then no constants either.
    node = addExampleNode(graph, op, example, inputs, [](size_t) { return true; });
    checkAgreement(*node, outputs);
    for (Value* input : node->inputs()) {
      if (input != nullptr) input->type.shape = Shape(input->type.rank());
    }
    graph.inferTypes(*node);
    checkAgreement(*node, outputs);
    for (Value* input : node->inputs()) {
      if (input != nullptr) input->type.shape.reset();
    }
    graph.inferTypes(*node);
    checkAgreement(*node, outputs);
  });
}

TEST_CASE("fast kernels agree with the reference in double") {
  forEachExample([](const OpDefinition& op, const OpExample& example) {
    if (op.kernel == nullptr) return;
    INFO(describe(op, example));
    const std::vector<Tensor> inputs = exampleInputs(example, ElementType::kFloat);
    OpExample rounded = example;
    rounded.inputs = inputs;
    const std::vector<Tensor> exact_inputs = exampleInputs(rounded, ElementType::kDouble);
    Graph graph(opRegistry());
    const std::vector<Tensor> expected =
        runNode(*addExampleNode(graph, op, example, exact_inputs), exact_inputs, {});
    RunOptions options;
    options.kernel = true;
    options.filler = 1;
    const std::vector<Tensor> got =
        runNode(*addExampleNode(graph, op, example, inputs), inputs, options);
    for (size_t i = 0; i < got.size(); ++i) {
      INFO("output " << i);
      CHECK(distance(got[i], expected[i]) <= 1e-5);
    }
  });
}

TEST_CASE("results do not depend on threads") {
  forEachExample([](const OpDefinition& op, const OpExample& example) {
    const std::vector<Tensor> inputs = exampleInputs(example, ElementType::kFloat);
    Graph graph(opRegistry());
    const Node* node = addExampleNode(graph, op, example, inputs);
    for (const bool kernel : {false, true}) {
      if (kernel && op.kernel == nullptr) continue;
      INFO(describe(op, example) << (kernel ? ", kernel" : ", reference"));
      RunOptions options;
      options.kernel = kernel;
      const std::vector<Tensor> one = runNode(*node, inputs, options);
      options.threads = 2;
      const std::vector<Tensor> two = runNode(*node, inputs, options);
      for (size_t i = 0; i < one.size(); ++i) CHECK(one[i].identical(two[i]));
    }
  });
}

TEST_CASE("working in place changes nothing") {
  forEachExample([](const OpDefinition& op, const OpExample& example) {
    const std::vector<Tensor> inputs = exampleInputs(example, ElementType::kFloat);
    Graph graph(opRegistry());
    const Node* node = addExampleNode(graph, op, example, inputs);
    for (const auto& pair : op.in_place) {
      const auto from = static_cast<size_t>(pair.first);
      const Value* to = node->output(static_cast<size_t>(pair.second));
      if (from >= inputs.size() || to == nullptr || !inputs[from].defined() ||
          static_cast<int64_t>(inputs[from].bytes()) != to->type.bytes()) {
        continue;
      }
      for (const bool kernel : {false, true}) {
        if (kernel && op.kernel == nullptr) continue;
        INFO(describe(op, example) << ", input " << from << (kernel ? ", kernel" : ", reference"));
        RunOptions options;
        options.kernel = kernel;
        const std::vector<Tensor> apart = runNode(*node, inputs, options);
        options.in_place = {pair};
        const std::vector<Tensor> in_place = runNode(*node, inputs, options);
        for (size_t i = 0; i < apart.size(); ++i) CHECK(apart[i].identical(in_place[i]));
      }
    }
  });
}

TEST_CASE("attributes survive being written and read") {
  const auto equal = [](const AttributeMap& a, const AttributeMap& b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](auto& x, auto& y) {
             return x.first == y.first && attributesEqual(x.second, y.second);
           });
  };
  forEachExample([&](const OpDefinition& op, const OpExample& example) {
    INFO(describe(op, example));
    const auto attributes = op.make_attributes();
    attributes->parse(example.attributes);
    const AttributeMap written = attributes->toMap();
    for (const auto& [name, value] : written) {
      INFO(name);
      CHECK(example.attributes.count(name) == 1);
    }
    const auto again = op.make_attributes();
    again->parse(written);
    CHECK(equal(again->toMap(), written));
    CHECK(equal(attributes->clone()->toMap(), written));

    AttributeMap unknown = example.attributes;
    unknown["no_such_attribute"] = int64_t{1};
    CHECK_THROWS_AS(op.make_attributes()->parse(unknown), Error);
  });
}

}  // namespace simaqat
