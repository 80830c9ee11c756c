// What single operators promise beyond what holds of all.
#include <cmath>
#include <limits>

#include "qat/ops/shared/examples.h"
#include "tests/catch.h"
#include "tests/ops/run_node.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;

Tensor integers(const std::vector<int64_t>& list) {
  return Tensor::of({static_cast<int64_t>(list.size())}, list);
}

// A node of a file, with the constants that rewriting finds and adds.
struct Rewriting {
  std::map<std::string, Tensor> constants;
  PortableNode node;

  Rewriting(const std::string& op_type, AttributeMap attributes, std::vector<std::string> inputs) {
    node.op_type = op_type;
    node.name = "n";
    node.attributes = std::move(attributes);
    node.inputs = std::move(inputs);
    node.outputs = {"y"};
    node.constant = [this](const std::string& name) {
      const auto it = constants.find(name);
      return it == constants.end() ? nullptr : &it->second;
    };
    node.add_constant = [this](const std::string& suffix, Tensor tensor) {
      constants[suffix] = std::move(tensor);
      return suffix;
    };
  }
  Rewriting(const Rewriting&) = delete;

  void upgrade(int opset) { opRegistry().get(node.op_type).upgrade(node, opset); }
  void downgrade(int opset) { opRegistry().get(node.op_type).downgrade(node, opset); }
};

Shape inferredShape(const std::string& op_type, Shape x, const AttributeMap& attributes,
                    const std::vector<Tensor>& constants) {
  Graph graph(opRegistry());
  std::vector<Value*> inputs = {graph.addInput("x", {ElementType::kFloat, std::move(x)})};
  for (const Tensor& constant : constants) inputs.push_back(graph.addConstant("c", constant));
  auto parsed = opRegistry().get(op_type).make_attributes();
  parsed->parse(attributes);
  return *graph.add(op_type, "n", inputs, std::move(parsed))->type.shape;
}

}  // namespace

TEST_CASE("windows that are cut off count as ONNX Runtime counts them") {
  struct Case {
    int64_t in, kernel, stride, pad_begin, pad_end;
    std::vector<double> largest, mean, mean_with_padding;
  };
  // What ONNX Runtime 1.30 gives for x = 1, 2, ..., in.
  const Case cases[] = {
      {2, 3, 2, 0, 0, {2}, {1.5}, {1.5}},
      {3, 3, 2, 1, 1, {2, 3}, {1.5, 2.5}, {1, 5 / 3.0}},
      {4, 3, 3, 0, 2, {3, 4}, {2, 4}, {2, 4 / 3.0}},
      {4, 2, 2, 0, 1, {2, 4}, {1.5, 3.5}, {1.5, 3.5}},
      {6, 3, 3, 0, 2, {3, 6}, {2, 5}, {2, 5}},
      {3, 2, 2, 1, 1, {1, 3}, {1, 2.5}, {0.5, 2.5}},
      {2, 2, 3, 1, 1, {1}, {1}, {0.5}},
      {5, 3, 2, 1, 2, {2, 4, 5}, {1.5, 3, 4.5}, {1, 3, 3}},
      {4, 3, 4, 2, 2, {1, 4}, {1, 3.5}, {1 / 3.0, 7 / 3.0}},
  };
  for (const Case& one : cases) {
    INFO(one.in << " with " << one.kernel << " by " << one.stride);
    Tensor x(ElementType::kDouble, {1, 1, one.in});
    for (int64_t i = 0; i < one.in; ++i) x.mutableData<double>()[i] = static_cast<double>(i + 1);
    AttributeMap attributes = {{"kernel_shape", std::vector<int64_t>{one.kernel}},
                               {"strides", std::vector<int64_t>{one.stride}},
                               {"pads", std::vector<int64_t>{one.pad_begin, one.pad_end}},
                               {"ceil_mode", int64_t{1}}};
    const auto result = [&](const char* op_type) {
      Graph graph(opRegistry());
      const OpDefinition& op = opRegistry().get(op_type);
      const Node* node = addExampleNode(graph, op, {"", attributes, {x}}, {x});
      return runNode(*node, {x}, {})[0].toVector<double>();
    };
    const auto check = [](const std::vector<double>& y, const std::vector<double>& expected) {
      REQUIRE(y.size() == expected.size());
      for (size_t i = 0; i < y.size(); ++i) CHECK(y[i] == Catch::Approx(expected[i]));
    };
    check(result("MaxPool"), one.largest);
    check(result("AveragePool"), one.mean);
    attributes["count_include_pad"] = int64_t{1};
    check(result("AveragePool"), one.mean_with_padding);
  }
}

TEST_CASE("a symbolic batch survives") {
  const Dim n = Dim::named("N");
  using Ints = std::vector<int64_t>;
  CHECK(inferredShape("Reshape", {n, 3, 4}, {}, {integers({0, -1})}) == Shape{n, 12});
  CHECK(inferredShape("Reshape", {n, 3, 4}, {}, {integers({-1, 12})}) == Shape{n, 12});
  CHECK(inferredShape("Reshape", {n, 3, 4}, {}, {integers({-1, 6})}) == Shape{Dim(), 6});
  CHECK(inferredShape("Flatten", {n, 3, 4}, {}, {}) == Shape{n, 12});
  CHECK(inferredShape("Flatten", {n, 1, 1}, {{"axis", int64_t{3}}}, {}) == Shape{n, 1});
  CHECK(inferredShape("GlobalAveragePool", {n, 3, 7, 7}, {}, {}) == Shape{n, 3, 1, 1});
  CHECK(inferredShape("MaxPool", {n, 3, 8, Dim()}, {{"kernel_shape", Ints{2, 2}}}, {}) ==
        Shape{n, 3, 7, Dim()});
  CHECK(inferredShape("ReduceMean", {n, 3, 4}, {{"keepdims", int64_t{0}}}, {integers({-1})}) ==
        Shape{n, 3});
  CHECK(inferredShape("Gemm", {n, 3}, {}, {Tensor(ElementType::kFloat, {3, 5})}) == Shape{n, 5});
}

TEST_CASE("misuse is named") {
  const auto rejects = [](const std::string& op_type, Shape x, const AttributeMap& attributes,
                          const std::vector<Tensor>& constants, const std::string& message) {
    CHECK_THROWS_WITH(inferredShape(op_type, std::move(x), attributes, constants),
                      ContainsSubstring(op_type + " 'n' " + message));
  };
  using Ints = std::vector<int64_t>;
  rejects("Reshape", {2, 3}, {}, {integers({-1, -1})}, "input 1: more than one");
  rejects("Reshape", {2, 3}, {}, {integers({4, -1})}, "6 elements do not divide");
  rejects("Reshape", {2, 3}, {}, {integers({5})}, "expected the elements of [2, 3]");
  rejects("Gemm", {2, 3}, {}, {Tensor(ElementType::kFloat, {4, 5})}, "input 1: expected 3 rows");
  rejects("Gemm", {2, 3}, {},
          {Tensor(ElementType::kFloat, {3, 5}), Tensor(ElementType::kFloat, {4})}, "shapes");
  rejects("MaxPool", {1, 2, 4, 4}, {{"kernel_shape", Ints{2}}}, {},
          "attribute 'kernel_shape': expected 2 numbers, got 1");
  rejects("AveragePool", {1, 2}, {{"kernel_shape", Ints{2}}}, {}, "input 0: expected rank 3 to 5");
  rejects("TopK", {2, 3}, {}, {integers({4})}, "input 1: 4 of 3 elements are asked for");
  rejects("DepthToSpace", {1, 6, 2, 2}, {{"blocksize", int64_t{2}}}, {},
          "input 0: axis 1 has 6 elements, no multiple of 4");
  rejects("ConvTranspose", {1, 3, 4, 4}, {}, {Tensor(ElementType::kFloat, {2, 3, 1, 1})},
          "input 1: expected 3 input channels, got 2");
  rejects("Col2Im", {1, 4, 3}, {}, {integers({2, 3}), integers({2, 2})},
          "input 0: expected 2 columns, got 3");
  rejects("Einsum", {2, 3}, {{"equation", std::string("ijk->i")}}, {},
          "attribute 'equation': 'ijk' does not name the axes of rank 2");
  rejects("GatherND", {2, 3}, {}, {Tensor(ElementType::kInt64, {4, 3})},
          "input 1: expected 1 to 2 indices for each slice, got 3");
  rejects("Concat", {2, 3}, {{"axis", int64_t{0}}}, {Tensor(ElementType::kFloat, {2, 4})},
          "input 1: expected 3 on axis 1");
  rejects("Clip", {2}, {}, {Tensor(ElementType::kFloat, {3})}, "input 1: expected a scalar");
  rejects("SoftmaxCrossEntropyLoss", {2, 3}, {}, {Tensor(ElementType::kFloat, {2})},
          "input 1: expected labels of int32 or int64");
}

TEST_CASE("a shape that depends on data is known where the data is") {
  const Tensor numbers = Tensor::of<float>({4}, {0, 5, 0, 5});
  const auto shapeOf = [](const std::string& op_type, Value* (*input)(Graph&, const Tensor&),
                          const Tensor& tensor) {
    Graph graph(opRegistry());
    return *graph.add(op_type, "n", {input(graph, tensor)})->type.shape;
  };
  const auto known = [](Graph& graph, const Tensor& tensor) {
    return graph.addConstant("c", tensor);
  };
  const auto unknown = [](Graph& graph, const Tensor& tensor) {
    return graph.addInput("x", {tensor.type(), toShape(tensor.dims())});
  };
  CHECK(shapeOf("NonZero", known, numbers) == Shape{1, 2});
  CHECK(shapeOf("NonZero", unknown, numbers) == Shape{1, Dim()});
  CHECK(shapeOf("Unique", known, numbers) == Shape{2});
  CHECK(shapeOf("Unique", unknown, numbers) == Shape{Dim()});
}

TEST_CASE("a nearest Resize moves values, others compute them") {
  const auto moves = [](const char* mode) {
    Graph graph(opRegistry());
    Value* x = graph.addInput("x", {ElementType::kFloat, Shape{1, 1, 4, 4}});
    Value* sizes = graph.addConstant("sizes", integers({1, 1, 8, 8}));
    auto attributes = opRegistry().get("Resize").make_attributes();
    attributes->parse({{"mode", std::string(mode)}});
    const Value* y = graph.add("Resize", "n", {x, nullptr, nullptr, sizes}, std::move(attributes));
    return sharesQuantizer(*y->producer());
  };
  CHECK(moves("nearest"));
  CHECK_FALSE(moves("linear"));
}

TEST_CASE("Col2Im adds what blocks have of an element, rows of a block first") {
  Graph graph(opRegistry());
  // Row k, column l: 10 k + l.
  const Tensor columns = Tensor::of<float>({1, 4, 2}, {0, 1, 10, 11, 20, 21, 30, 31});
  const OpExample example("", {}, {columns, integers({2, 3}), integers({2, 2})});
  const OpDefinition& op = opRegistry().get("Col2Im");
  const Node* node = addExampleNode(graph, op, example, example.inputs);
  CHECK(runNode(*node, example.inputs, {})[0].identical(
      Tensor::of<float>({1, 1, 2, 3}, {0, 10 + 1, 11, 20, 30 + 21, 31})));
}

TEST_CASE("a label that is no class is an error that names the node") {
  Graph graph(opRegistry());
  OpExample example("", {}, {ops::exampleTensor({2, 10}), integers({3, 12})});
  const OpDefinition& op = opRegistry().get("SoftmaxCrossEntropyLoss");
  const Node* node = addExampleNode(graph, op, example, example.inputs);
  CHECK_THROWS_WITH(runNode(*node, example.inputs, {}),
                    "SoftmaxCrossEntropyLoss 'node' label 12 is out of range for 10 classes");
  example.attributes["ignore_index"] = int64_t{12};
  runNode(*addExampleNode(graph, op, example, example.inputs), example.inputs, {});
}

TEST_CASE("the extremum of no elements is what any element goes before") {
  const auto extremum = [](const char* op_type, const Tensor& x) {
    Graph graph(opRegistry());
    const OpExample example("", {{"keepdims", int64_t{0}}}, {x, integers({0})});
    const Node* node = addExampleNode(graph, opRegistry().get(op_type), example, example.inputs);
    return runNode(*node, example.inputs, {})[0];
  };
  const Tensor floats(ElementType::kFloat, {0, 1}), codes(ElementType::kInt8, {0, 1});
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(extremum("ReduceMax", floats).identical(Tensor::of<float>({1}, {-infinity})));
  CHECK(extremum("ReduceMin", floats).identical(Tensor::of<float>({1}, {infinity})));
  CHECK(extremum("ReduceMax", codes).identical(Tensor::of<int8_t>({1}, {-128})));
  CHECK(extremum("ReduceMin", codes).identical(Tensor::of<int8_t>({1}, {127})));
}

TEST_CASE("a scale and its zero point may be one number of rank 0 or 1 each") {
  Graph graph(opRegistry());
  const OpExample example(
      "", {},
      {Tensor::of<uint8_t>({2}, {5, 9}), Tensor::scalar(0.5f), Tensor::of<uint8_t>({1}, {7})});
  const Node* node =
      addExampleNode(graph, opRegistry().get("DequantizeLinear"), example, example.inputs);
  CHECK(runNode(*node, example.inputs, {})[0].identical(Tensor::of<float>({2}, {-1, 1})));
}

TEST_CASE("integer division by zero is an error, and by minus one is none") {
  Graph graph(opRegistry());
  const OpDefinition& op = opRegistry().get("Div");
  const int64_t least = std::numeric_limits<int64_t>::min();
  const OpExample fine("", {}, {integers({least, 7}), integers({-1, -1})});
  const Node* node = addExampleNode(graph, op, fine, fine.inputs);
  CHECK(runNode(*node, fine.inputs, {})[0].toVector<int64_t>() == std::vector<int64_t>{least, -7});
  const OpExample zero("", {}, {integers({7}), integers({0})});
  CHECK_THROWS_WITH(runNode(*addExampleNode(graph, op, zero, zero.inputs), zero.inputs, {}),
                    ContainsSubstring("division by zero"));
}

TEST_CASE("older forms become the canonical one, and back") {
  SECTION("Clip") {
    Rewriting clip("Clip", {{"min", 0.0f}, {"max", 6.0f}}, {"x"});
    clip.upgrade(6);
    CHECK(clip.node.inputs == std::vector<std::string>{"x", "min", "max"});
    CHECK(clip.node.attributes.empty());
    CHECK(clip.constants.at("max").identical(Tensor::scalar(6.0f)));
    Rewriting upper("Clip", {{"max", 6.0f}}, {"x"});
    upper.upgrade(10);
    CHECK(upper.node.inputs == std::vector<std::string>{"x", "", "max"});
  }
  SECTION("Reduce") {
    const std::vector<int64_t> axes = {2, 3};
    Rewriting mean("ReduceMean", {{"axes", axes}}, {"x"});
    mean.upgrade(13);
    CHECK(mean.node.inputs == std::vector<std::string>{"x", "axes"});
    mean.downgrade(18);
    CHECK(mean.node.inputs.size() == 2);
    mean.downgrade(17);
    CHECK(mean.node.inputs == std::vector<std::string>{"x"});
    CHECK(std::get<std::vector<int64_t>>(mean.node.attributes.at("axes")) == axes);
    Rewriting sum("ReduceSum", {}, {"x", "axes"});
    sum.downgrade(13);
    CHECK(sum.node.inputs.size() == 2);
    Rewriting nothing("ReduceMean", {{"noop_with_empty_axes", int64_t{1}}}, {"x"});
    nothing.downgrade(13);
    CHECK(nothing.node.op_type == "Identity");
  }
  SECTION("Dropout") {
    Rewriting dropout("Dropout", {{"ratio", 0.25f}}, {"x"});
    dropout.upgrade(10);
    CHECK(dropout.node.inputs == std::vector<std::string>{"x", "ratio", "training_mode"});
    CHECK(dropout.constants.at("ratio").identical(Tensor::scalar(0.25f)));
  }
  SECTION("Resize") {
    Rewriting resize("Resize", {{"mode", std::string("linear")}}, {"x", "scales"});
    resize.upgrade(10);
    CHECK(resize.node.inputs == std::vector<std::string>{"x", "", "scales"});
    CHECK(std::get<std::string>(resize.node.attributes.at("coordinate_transformation_mode")) ==
          "asymmetric");
    Rewriting empty("Resize", {}, {"x", "roi", "scales", "sizes"});
    empty.constants["roi"] = Tensor(ElementType::kFloat, {0});
    empty.constants["scales"] = Tensor(ElementType::kFloat, {0});
    empty.constants["sizes"] = integers({1, 3, 8, 8});
    empty.upgrade(11);
    CHECK(empty.node.inputs == std::vector<std::string>{"x", "", "", "sizes"});
    empty.downgrade(13);
    CHECK(empty.node.inputs == std::vector<std::string>{"x", "", "", "sizes"});
    empty.downgrade(11);
    CHECK(empty.node.inputs == std::vector<std::string>{"x", "roi", "scales", "sizes"});
    CHECK_THROWS_WITH(empty.downgrade(10), ContainsSubstring("needs opset 11"));
    Rewriting antialias("Resize", {{"antialias", int64_t{1}}}, {"x", "", "scales"});
    CHECK_THROWS_WITH(antialias.downgrade(17), ContainsSubstring("'antialias' needs opset 18"));
  }
  SECTION("Upsample") {
    Rewriting upsample("Upsample", {{"scales", std::vector<float>{1, 1, 2, 2}}}, {"x"});
    upsample.upgrade(7);
    CHECK(upsample.node.op_type == "Resize");
    CHECK(upsample.node.inputs == std::vector<std::string>{"x", "", "scales"});
    CHECK(std::get<std::string>(upsample.node.attributes.at("nearest_mode")) == "floor");
  }
  SECTION("TopK") {
    Rewriting top("TopK", {{"k", int64_t{3}}}, {"x"});
    top.upgrade(9);
    CHECK(top.node.inputs == std::vector<std::string>{"x", "k"});
    CHECK(top.constants.at("k").identical(integers({3})));
    Rewriting least("TopK", {{"largest", int64_t{0}}}, {"x", "k"});
    CHECK_THROWS_WITH(least.downgrade(10), ContainsSubstring("'largest' needs opset 11"));
  }
  SECTION("Scatter") {
    Rewriting scatter("Scatter", {}, {"x", "i", "u"});
    scatter.upgrade(9);
    CHECK(scatter.node.op_type == "ScatterElements");
    Rewriting added("ScatterND", {{"reduction", std::string("max")}}, {"x", "i", "u"});
    CHECK_THROWS_WITH(added.downgrade(17), ContainsSubstring("'max' needs opset 18"));
  }
  SECTION("GridSample") {
    Rewriting sample("GridSample", {{"mode", std::string("bicubic")}}, {"x", "grid"});
    sample.upgrade(16);
    CHECK(std::get<std::string>(sample.node.attributes.at("mode")) == "cubic");
    sample.downgrade(16);
    CHECK(std::get<std::string>(sample.node.attributes.at("mode")) == "bicubic");
  }
  SECTION("QuantizeLinear") {
    Rewriting quantize("QuantizeLinear", {{"saturate", int64_t{1}}, {"axis", int64_t{0}}},
                       {"x", "s", "z"});
    quantize.constants["z"] = Tensor::scalar<uint16_t>(0);
    quantize.downgrade(21);
    CHECK_THROWS_WITH(quantize.downgrade(20), ContainsSubstring("codes of uint16 need opset 21"));
    quantize.constants["z"] = Tensor::scalar<uint8_t>(0);
    quantize.downgrade(13);
    CHECK(quantize.node.attributes.size() == 1);
  }
}

TEST_CASE("Dropout drops in training alone") {
  const auto specialized = [](Mode mode, bool training, bool uses_mask) {
    Graph graph(opRegistry());
    Value* x = graph.addInput("x", {ElementType::kFloat, Shape{4, 5}});
    Value* ratio = graph.addConstant("ratio", Tensor::scalar(0.5f));
    Value* flag = graph.addConstant("flag", Tensor::scalar(training));
    Graph::NodeOptions options;
    options.output_names = {"y"};
    if (uses_mask) options.output_names.push_back("mask");
    Node* node = graph.addNode("Dropout", "drop", {x, ratio, flag}, nullptr, options);
    graph.outputs.push_back({"y", node->output()});
    if (uses_mask) graph.outputs.push_back({"mask", node->output(1)});
    Specialization to;
    to.mode = mode;
    node->op().specialize(graph, *node, to);
    return graph;
  };
  const auto isIdentity = [](const Graph& graph) {
    return graph.nodes().empty() && graph.outputs[0].value == graph.inputs[0];
  };
  CHECK(isIdentity(specialized(Mode::kEvaluate, true, false)));
  CHECK(isIdentity(specialized(Mode::kCalibrate, true, false)));
  CHECK(isIdentity(specialized(Mode::kTrain, false, false)));

  const Graph masked = specialized(Mode::kEvaluate, true, true);
  REQUIRE(masked.nodes().size() == 1);
  CHECK(masked.nodes().front()->input(2) == nullptr);

  const Graph training = specialized(Mode::kTrain, true, false);
  REQUIRE(training.nodes().size() == 1);
  const Node& node = *training.nodes().front();
  CHECK(node.name() == "drop");
  CHECK(node.output()->name() == "y");
  CHECK(node.outputCount() == 2);
  CHECK(training.outputs[0].value == node.output());
}

TEST_CASE("Clip says what it bounds") {
  Graph graph(opRegistry());
  const auto clip = [&](std::optional<float> lo, std::optional<float> hi) -> const Node& {
    const auto bound = [&](std::optional<float> number) {
      return number ? graph.addConstant("b", Tensor::scalar(*number)) : nullptr;
    };
    Value* x = graph.addInput("x", {ElementType::kFloat, Shape{2}});
    return *graph.add("Clip", "clip", {x, bound(lo), bound(hi)})->producer();
  };
  const QuantizationTraits& traits = opRegistry().get("Clip").quantization;
  CHECK(traits.is_activation(clip(0.0f, 6.0f)));
  CHECK(traits.is_activation(clip(0.0f, std::nullopt)));
  CHECK_FALSE(traits.is_activation(clip(-1.0f, 1.0f)));
  CHECK_FALSE(traits.is_activation(clip(std::nullopt, 1.0f)));
  CHECK(traits.upper_bound(clip(0.0f, 6.0f)) == 6.0f);
  CHECK(std::isinf(traits.upper_bound(clip(0.0f, std::nullopt))));
}

}  // namespace simaqat
