// Loop, Scan and sequences become nodes of the graph where what they do is known.
#include <onnx/defs/parser.h>

#include "qat/ir/op.h"
#include "qat/onnx/import.h"
#include "qat/ops/registry.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;
using Floats = std::vector<float>;

// A model of x, float[2, 3], and y. An input `none` is absent: the parser of some versions of ONNX
// takes no empty name in front.
Graph importText(const std::string& nodes, const std::string& x = "float[2, 3]") {
  const std::string text =
      "<ir_version: 8, opset_import: [\"\" : 17]> g (" + x + " x) => (float y) {" + nodes + "}";
  onnx::ModelProto model;
  const auto status = onnx::OnnxParser::Parse(model, text.c_str());
  INFO(status.ErrorMessage());
  REQUIRE(status.IsOK());
  for (auto& node : *model.mutable_graph()->mutable_node()) {
    for (std::string& input : *node.mutable_input()) {
      if (input == "none") input.clear();
    }
  }
  return importModelBytes(model.SerializeAsString(), "model.onnx", "", opRegistry());
}

// y for x = [[1, 2, 3], [4, 5, 6]].
Tensor run(const std::string& nodes) {
  const Graph graph = importText(nodes);
  ThreadPool pool(1);
  std::map<const Value*, Tensor> values;
  values[graph.inputs[0]] = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  for (const auto& node : graph.nodes()) {
    std::vector<Tensor> inputs;
    for (const Value* input : node->inputs()) {
      inputs.push_back(input->isConstant() ? input->constant : values.at(input));
    }
    const std::vector<Tensor> outputs = evaluateOnHost(graph, *node, inputs, pool);
    for (size_t i = 0; i < outputs.size(); ++i) values[node->output(i)] = outputs[i];
  }
  return values.at(graph.outputs[0].value);
}

Floats floats(const std::string& nodes) { return run(nodes).toVector<float>(); }

size_t countNodes(const Graph& graph, const std::string& op_type) {
  size_t count = 0;
  for (const auto& node : graph.nodes()) count += node->opType() == op_type;
  return count;
}

const std::string kTimesTwo = R"(
    n = Constant<value_int = 3>()
    go = Constant<value = bool {1}>()
    two = Constant<value_float = 2.0>()
)";

}  // namespace

TEST_CASE("a Loop of a constant count is its iterations") {
  CHECK(floats(kTimesTwo + R"(
    y = Loop<body = b (int64 i, bool c, float[2, 3] a) => (bool c, float[2, 3] next)
        { next = Mul(a, two) }>(n, go, x))") == Floats{8, 16, 24, 32, 40, 48});
}

TEST_CASE("a Loop without iterations passes on what it carries") {
  CHECK(floats(R"(
    n = Constant<value_int = 0>()
    y = Loop<body = b (int64 i, bool c, float[2, 3] a) => (bool c, float[2, 3] next)
        { next = Neg(a) }>(n, , x))") == Floats{1, 2, 3, 4, 5, 6});
}

TEST_CASE("a Loop ends where its condition is known to, without a count too") {
  CHECK(floats(kTimesTwo + R"(
    last = Constant<value_int = 1>()
    y = Loop<body = b (int64 i, bool c, float[2, 3] a) => (bool more, float[2, 3] next)
        { next = Mul(a, two) more = Less(i, last) }>(none, go, x))") ==
        Floats{4, 8, 12, 16, 20, 24});
}

TEST_CASE("what each iteration of a Loop gives is stacked, and its number known") {
  const Tensor y = run(R"(
    n = Constant<value_int = 2>()
    axis = Constant<value_int = 1>()
    z, y = Loop<body = b (int64 i, bool c, float[2, 3] a) => (bool c, float[2, 3] a, float[3] row)
        { row = Gather(x, i) }>(n, , x))");
  CHECK(y.dims() == std::vector<int64_t>{2, 3});
  CHECK(y.toVector<float>() == Floats{1, 2, 3, 4, 5, 6});
}

TEST_CASE("a Loop's own weights and constants are there once") {
  const Graph graph = importText(R"(
    n = Constant<value_int = 3>()
    y = Loop<body = b (int64 i, bool c, float[2, 3] a) => (bool c, float[2, 3] next)
        { w = Constant<value_floats = [1.0, 2.0, 3.0]>() next = Mul(a, w) }>(n, , x))");
  CHECK(countNodes(graph, "Mul") == 3);
  const Value* w = graph.findValue("w");
  REQUIRE(w != nullptr);
  CHECK(w->uses().size() == 3);
}

TEST_CASE("loops within loops, conditions of their numbers, and sequences that they fill") {
  // A row for each i, for each j < 2: x[i] + j, or its negative where i == j.
  CHECK(floats(R"(
    two = Constant<value_int = 2>()
    empty = SequenceEmpty()
    all = Loop<body = outer (int64 i, bool c, float s) => (bool c, float filled) {
      filled = Loop<body = inner (int64 j, bool d, float t) => (bool d, float u) {
        row = Gather(x, i)
        number = Cast<to = 1>(j)
        sum = Add(row, number)
        same = Equal(i, j)
        part = If<then_branch = p () => (float[3] neg) { neg = Neg(sum) },
                  else_branch = q () => (float[3] as) { as = Identity(sum) }>(same)
        u = SequenceInsert(t, part)
      }>(two, , s)
    }>(two, , empty)
    y = ConcatFromSequence<axis = 0, new_axis = 1>(all))") ==
        Floats{-1, -2, -3, 2, 3, 4, 4, 5, 6, -5, -6, -7});
}

TEST_CASE("a Scan takes slices of its inputs, backward too, and joins those of its outputs") {
  const Tensor y = run(R"(
    zero = Constant<value_floats = [0.0, 0.0]>()
    last, y = Scan<num_scan_inputs = 1, scan_input_axes = [1], scan_input_directions = [1],
                   scan_output_axes = [1],
                   body = b (float[2] sum, float[2] column) => (float[2] next, float[2] out)
        { next = Add(sum, column) out = Identity(next) }>(zero, x))");
  CHECK(y.dims() == std::vector<int64_t>{2, 3});
  CHECK(y.toVector<float>() == Floats{3, 5, 6, 6, 11, 15});
}

TEST_CASE("sequences are the tensors that they hold") {
  CHECK(floats(R"(
    s = SplitToSequence<axis = 1, keepdims = 0>(x)
    first = Constant<value_int = 0>()
    last = Constant<value_int = -1>()
    t = SequenceErase(s, first)
    u = Identity(t)
    a = SequenceAt(u, last)
    v = SequenceInsert(u, a, first)
    w = SequenceErase(v)
    y = ConcatFromSequence<axis = 0>(w))") == Floats{3, 6, 2, 5});
}

TEST_CASE("parts of a sequence have the lengths that are given, and their number is known") {
  CHECK(floats(R"(
    lengths = Constant<value_ints = [1, 2]>()
    one = Constant<value_int = 1>()
    s = SplitToSequence<axis = 1>(x, lengths)
    y = SequenceAt(s, one))") == Floats{2, 3, 5, 6});
  CHECK(floats(R"(
    two = Constant<value_int = 2>()
    last = Constant<value_int = -1>()
    s = SplitToSequence<axis = -1>(x, two)
    n = SequenceLength(s)
    part = SequenceAt(s, last)
    number = Cast<to = 1>(n)
    y = Mul(part, number))") == Floats{6, 12});
  CHECK(floats("s = SequenceConstruct(x, x) y = ConcatFromSequence<axis = 1>(s)").size() == 12);
}

TEST_CASE("counts, conditions and positions that are not known are errors that name the node") {
  const auto fails = [](const std::string& nodes, const std::string& message,
                        const std::string& x = "float[N, 3]") {
    CHECK_THROWS_WITH(importText(nodes, x), ContainsSubstring(message));
  };
  const std::string count = R"(
    shape = Shape(x) zero = Constant<value_int = 0>() n = Gather(shape, zero))";
  const std::string body = R"(<body = b (int64 i, bool c, float a) => (bool c, float next)
        { next = Neg(a) }>)";
  fails(count + "y = Loop" + body + "(n, , x)",
        "Loop 'y': the number of iterations 'n' depends on data or on an open dimension");
  fails("y = Loop" + body + "(none, none, x)", "Loop 'y': its iterations have more than");
  fails(count + "s = SequenceConstruct(x) y = SequenceAt(s, n)",
        "SequenceAt 'y': the position 'n' depends on data or on an open dimension");
  fails("one = Constant<value_int = 1>() s = SequenceConstruct(x) y = SequenceAt(s, one)",
        "SequenceAt 'y': position 1 is out of range for a sequence of 1");
  fails("s = SplitToSequence(x) y = ConcatFromSequence<axis = 0>(s)",
        "SplitToSequence 's': input 0 'x': the length of axis 0 is not known");
  fails("s = SequenceConstruct(x) y = Neg(s)", "Neg 'y': input 's' is a sequence");
  fails("y = SequenceConstruct(x)", "graph output 'y' is a sequence");
  fails("y = ConcatFromSequence<axis = 0>(x)",
        "ConcatFromSequence 'y': input 'x' is not a sequence");
  fails(R"(y = Loop<body = b (int64 i, bool c, float a) => (bool c, float next)
        { next = Nothing(a) }>(none, none, x))",
        "not supported: Nothing 'next'");
}

}  // namespace simaqat
