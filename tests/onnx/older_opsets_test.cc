// Forms of older opsets that become several nodes, or another meaning of the same one.
#include <onnx/onnx_pb.h>

#include <map>

#include "qat/ir/op.h"
#include "qat/onnx/import.h"
#include "qat/ops/registry.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;
using Floats = std::vector<float>;

struct Input {
  std::vector<int64_t> dims;
  Floats data;
};

// A model of one node 'n': y of the inputs; the first is the graph's, others are initializers.
class Model {
 public:
  Model(int opset, const std::string& op_type, const std::map<std::string, int64_t>& attributes,
        const std::vector<Input>& inputs)
      : x_(inputs[0]) {
    model_.set_ir_version(3);
    model_.add_opset_import()->set_version(opset);
    onnx::GraphProto& graph = *model_.mutable_graph();
    onnx::NodeProto& node = *graph.add_node();
    node.set_name("n");
    node.set_op_type(op_type);
    node.add_output("y");
    for (const auto& [name, value] : attributes) {
      onnx::AttributeProto& attribute = *node.add_attribute();
      attribute.set_name(name);
      attribute.set_type(onnx::AttributeProto::INT);
      attribute.set_i(value);
    }
    for (size_t i = 0; i < inputs.size(); ++i) {
      const std::string name = "input" + std::to_string(i);
      node.add_input(name);
      if (i == 0) {
        describe(*graph.add_input(), name, inputs[i].dims);
      } else {
        addInitializer(graph, name, inputs[i]);
      }
    }
    describe(*graph.add_output(), "y", inputs[0].dims);
  }

  Graph import() const {
    return importModelBytes(model_.SerializeAsString(), "model.onnx", "", opRegistry());
  }

  Floats run() const {
    const Graph graph = import();
    ThreadPool pool(1);
    std::map<const Value*, Tensor> values;
    values[graph.inputs[0]] = Tensor::of<float>(x_.dims, x_.data);
    const auto tensorOf = [&](const Value* value) {
      if (value->variable != nullptr) return value->variable->value;
      return value->isConstant() ? value->constant : values.at(value);
    };
    for (const auto& node : graph.nodes()) {
      std::vector<Tensor> inputs;
      for (const Value* input : node->inputs()) inputs.push_back(tensorOf(input));
      values[node->output()] = evaluateOnHost(graph, *node, inputs, pool)[0];
    }
    return tensorOf(graph.outputs[0].value).toVector<float>();
  }

 private:
  static void describe(onnx::ValueInfoProto& info, const std::string& name,
                       const std::vector<int64_t>& dims) {
    info.set_name(name);
    auto* tensor = info.mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(onnx::TensorProto::FLOAT);
    for (const int64_t dim : dims) tensor->mutable_shape()->add_dim()->set_dim_value(dim);
  }
  static void addInitializer(onnx::GraphProto& graph, const std::string& name, const Input& input) {
    onnx::TensorProto& tensor = *graph.add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    for (const int64_t dim : input.dims) tensor.add_dims(dim);
    for (const float number : input.data) tensor.add_float_data(number);
  }

  const Input x_;
  onnx::ModelProto model_;
};

}  // namespace

TEST_CASE("a scale for each group is repeated for the group's channels") {
  const Input x = {{1, 4, 2}, {-1, 1, -1, 1, -1, 1, -1, 1}};
  const Floats by_group =
      Model(18, "GroupNormalization", {{"num_groups", 2}}, {x, {{2}, {1, 10}}, {{2}, {0, 5}}})
          .run();
  const Floats expected = {-1, 1, -1, 1, -5, 15, -5, 15};
  for (size_t i = 0; i < expected.size(); ++i) {
    CHECK(by_group[i] == Catch::Approx(expected[i]).epsilon(1e-4));
  }
  const Floats by_channel = Model(21, "GroupNormalization", {{"num_groups", 2}},
                                  {x, {{4}, {1, 1, 10, 10}}, {{4}, {0, 0, 5, 5}}})
                                .run();
  CHECK(by_group == by_channel);
}

TEST_CASE("opset 6 broadcasts from an axis on") {
  const Input x = {{2, 3}, {0, 1, 2, 3, 4, 5}};
  const auto add = [&](std::map<std::string, int64_t> attributes, const Input& other) {
    attributes["broadcast"] = 1;
    return Model(6, "Add", attributes, {x, other});
  };
  CHECK(add({{"axis", 0}}, {{2}, {10, 20}}).run() == Floats{10, 11, 12, 23, 24, 25});
  CHECK(add({{"axis", 1}}, {{3}, {10, 20, 30}}).run() == Floats{10, 21, 32, 13, 24, 35});
  CHECK(add({{"axis", -2}}, {{2}, {10, 20}}).run() == Floats{10, 11, 12, 23, 24, 25});
  CHECK(add({}, {{3}, {10, 20, 30}}).run() == Floats{10, 21, 32, 13, 24, 35});
  CHECK(add({{"axis", 0}}, {{1}, {10}}).run() == Floats{10, 11, 12, 13, 14, 15});
  CHECK_THROWS_WITH(add({{"axis", 1}}, {{2, 3}, {1, 2, 3, 4, 5, 6}}).import(),
                    ContainsSubstring("Add 'n'") && ContainsSubstring("does not fit"));
}

TEST_CASE("opset 6 has a slope for each channel") {
  const Model model(6, "PRelu", {}, {{{1, 2, 2}, {-1, 1, -1, 1}}, {{2}, {2, 3}}});
  CHECK(model.run() == Floats{-2, 1, -3, 1});
}

TEST_CASE("an opset before 6 is an error") {
  const Model model(5, "Relu", {}, {{{1}, {1}}});
  CHECK_THROWS_WITH(model.import(),
                    ContainsSubstring("opset 5 is not supported (6 and later are)"));
}

}  // namespace simaqat
