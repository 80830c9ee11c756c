#include "qat/passes/simplify.h"

#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;

std::string after(const std::function<void(Graph&)>& pass, const std::string& text) {
  Graph graph = parse(text);
  pass(graph);
  removeDeadCode(graph);
  return linesWith(graph, "");
}

TEST_CASE("identities go, and a graph output keeps its name") {
  CHECK(after(removeIdentities, R"(
    input %x : float[N, 2]
    %a = Identity(%x)
    %b = Concat(%a) {axis = 0}
    %c = Sum(%b)
    %d = Relu(%c)
    %e = Identity(%d)
    output e = %e)") == unindented(R"(
    input %x : float[N, 2]
    %e : float[N, 2] = Relu(%x) "d"
    output e = %e
)"));
}

TEST_CASE("a cast to the type that is there goes, others stay") {
  CHECK(after(removeIdentities, R"(
    input %x : float[N, 2]
    %a = Cast(%x) {to = 1}
    %b = Cast(%a) {to = 7}
    output b = %b)") == unindented(R"(
    input %x : float[N, 2]
    %b : int64[N, 2] = Cast(%x) {to = 7} "b"
    output b = %b
)"));
}

TEST_CASE("casts to the type of a value that is not known fold") {
  const auto pass = [](Graph& graph) {
    castLikesToCasts(graph);
    removeIdentities(graph);
    foldConstants(graph);
  };
  CHECK(after(pass, R"(
    input %x : float[N, 4]
    weight %w : float[3, 4] = [1, ...]
    constant %zero : int64[] = [0]
    constant %six : double[] = [6]
    %shape = Shape(%w) {start = 0, end = 1}
    %none = CastLike(%zero, %x)
    %bias = Expand(%none, %shape)
    %y = Gemm(%x, %w, %bias) {transB = 1}
    %most = CastLike(%six, %y)
    %z = Clip(%y, _, %most)
    %same = CastLike(%z, %x)
    output same = %same)") == unindented(R"(
    input %x : float[N, 4]
    weight %w : float[3, 4] = [1, 1, 1, 1, 1, 1, 1, 1, ...]
    constant %bias/folded : float[3] = [0, 0, 0]
    constant %most/folded : float[] = [6]
    %y : float[N, 3] = Gemm(%x, %w, %bias/folded) {transB = 1} "y"
    %same : float[N, 3] = Clip(%y, _, %most/folded) "z"
    output same = %same
)"));
}

TEST_CASE("an input without a shape has the rank that its operators want") {
  const std::string w = "\nweight %w : float[3, 4] = [1, ...]\n";
  const auto inferred = [&](const std::string& node) {
    Graph graph = parse("input %x : float[*]" + w + node + "\noutput y = %y");
    inferInputRanks(graph);
    return typeToString(graph.inputs[0]->type);
  };
  CHECK(inferred("%y = Gemm(%x, %w) {transB = 1}") == "float[?, ?]");
  CHECK(inferred("%r = Relu(%x)\n%y = Gemm(%r, %w) {transB = 1}") == "float[?, ?]");
  // Several would do.
  CHECK(inferred("%y = Relu(%x)") == "float[*]");
}

TEST_CASE("an identity that copies an input or a second output stays") {
  const std::string text = unindented(R"(
    input %x : float[2]
    %a : float[2] = Identity(%x) "a"
    %b : float[2] = Relu(%x) "b"
    %c : float[2] = Identity(%b) "c"
    output a = %a
    output b = %b
    output c = %c
)");
  CHECK(after(removeIdentities, text) == text);
}

TEST_CASE("a next value passes through an identity") {
  CHECK(after(removeIdentities, R"(
    input %x : float[2]
    weight %w : float[2] = [1, 2]
    %a = Add(%x, %w)
    %b = Identity(%a)
    next %w = %b
    output y = %a)") == unindented(R"(
    input %x : float[2]
    weight %w : float[2] = [1, 2]
    %a : float[2] = Add(%x, %w) "a"
    next %w = %a
    output y = %a
)"));
}

TEST_CASE("shape arithmetic of a static shape folds, through what it makes known") {
  CHECK(after(foldConstants, R"(
    input %x : float[2, 3, 4]
    constant %zero : int64[] = [0]
    constant %rest : int64[1] = [-1]
    constant %axes : int64[1] = [0]
    %shape = Shape(%x)
    %n = Gather(%shape, %zero)
    %first = Unsqueeze(%n, %axes)
    %to = Concat(%first, %rest) {axis = 0}
    %r = Reshape(%x, %to)
    %again = Shape(%r)
    %y = Expand(%r, %again)
    output y = %y)") == unindented(R"(
    input %x : float[2, 3, 4]
    constant %to/folded : int64[2] = [2, -1]
    constant %again/folded : int64[2] = [2, 12]
    %r : float[2, 12] = Reshape(%x, %to/folded) "r"
    %y : float[2, 12] = Expand(%r, %again/folded) "y"
    output y = %y
)"));
}

TEST_CASE("variables, random numbers and unknown shapes do not fold") {
  const std::string text = unindented(R"(
    input %x : float[N, 2]
    weight %w : float[2] = [1, 2]
    constant %c : float[2] = [3, 4]
    %s : int64[2] = Shape(%x) "s"
    %a : float[2] = Add(%w, %c) "a"
    %u : float[2] = RandomUniformLike(%c) "u"
    output s = %s
    output a = %a
    output u = %u
)");
  CHECK(after(foldConstants, text) == text);
}

TEST_CASE("stored codes stay codes where files are read") {
  const std::string text = unindented(R"(
    input %x : float[2]
    constant %codes : uint8[2] = [3, 4]
    constant %s : float[] = [0.5]
    constant %z : uint8[] = [1]
    %c : float[2] = DequantizeLinear(%codes, %s, %z) "c"
    %y : float[2] = Add(%x, %c) "y"
    output y = %y
)");
  CHECK(after(foldAllButCodes, text) == text);
  CHECK(after(foldConstants, text) == unindented(R"(
    input %x : float[2]
    constant %c/folded : float[2] = [1, 1.5]
    %y : float[2] = Add(%x, %c/folded) "y"
    output y = %y
)"));
}

TEST_CASE("a graph output that folds is a constant") {
  CHECK(after(foldConstants, R"(
    constant %c : float[2] = [3, 4]
    %y = Add(%c, %c)
    output y = %y)") == unindented(R"(
    constant %y/folded : float[2] = [6, 8]
    output y = %y/folded
)"));
}

TEST_CASE("dead code goes, what updates a variable stays") {
  CHECK(after(removeDeadCode, R"(
    input %x : float[2]
    input %unused : float[2]
    weight %w : float[2] = [1, 2]
    weight %idle : float[2] = [1, 2]
    batch_norm_statistic %m : float[2] = [0, 0]
    constant %c : float[2] = [3, 4]
    %dead = Add(%idle, %c)
    %more = Relu(%dead)
    %u = Add(%m, %w)
    %y = Relu(%x)
    next %m = %u
    output y = %y)") == unindented(R"(
    input %x : float[2]
    input %unused : float[2]
    weight %w : float[2] = [1, 2]
    batch_norm_statistic %m : float[2] = [0, 0]
    %u : float[2] = Add(%m, %w) "u"
    %y : float[2] = Relu(%x) "y"
    next %m = %u
    output y = %y
)"));
}

TEST_CASE("bound symbols reach every type, and shape arithmetic folds") {
  Graph graph = parse(R"(
    input %x : float[N, 3, H, 4]
    constant %zero : int64[1] = [0]
    constant %rest : int64[1] = [-1]
    %shape = Shape(%x)
    %n = Gather(%shape, %zero)
    %to = Concat(%n, %rest) {axis = 0}
    %y = Reshape(%x, %to)
    output y = %y)");
  bindShapes(graph, {{"N", 8}, {"H", 2}});
  removeDeadCode(graph);
  CHECK(linesWith(graph, "") == unindented(R"(
    input %x : float[8, 3, 2, 4]
    constant %to/folded : int64[2] = [8, -1]
    %y : float[8, 24] = Reshape(%x, %to/folded) "y"
    output y = %y
)"));
}

TEST_CASE("known dimensions fold beside open ones") {
  CHECK(after(foldConstants, R"(
    input %x : float[N, 3, H, 4]
    constant %last : int64[1] = [-1]
    constant %first : int64[1] = [0]
    constant %end : int64[1] = [9]
    %shape = Shape(%x)
    %size = Slice(%shape, %last, %end)
    %channels = Shape(%x) {start = 1, end = 2}
    %batch = Gather(%shape, %first)
    %to = Concat(%batch, %channels, %size) {axis = 0}
    output to = %to)") == unindented(R"(
    input %x : float[N, 3, H, 4]
    constant %first : int64[1] = [0]
    constant %size/folded : int64[1] = [4]
    constant %channels/folded : int64[1] = [3]
    %shape : int64[4] = Shape(%x) "shape"
    %batch : int64[1] = Gather(%shape, %first) "batch"
    %to : int64[3] = Concat(%batch, %channels/folded, %size/folded) {axis = 0} "to"
    output to = %to
)"));
}

TEST_CASE("shapes that stay unknown are errors that name the culprit") {
  Graph unbound = parse("input %x : float[N, 3]\n%y = Relu(%x)\noutput y = %y");
  CHECK_THROWS_WITH(bindShapes(unbound, {{"M", 2}}), ContainsSubstring("input 'x'"));
  Graph data = parse(R"(
    input %x : float[2, 3]
    input %shape : int64[2]
    %y = Reshape(%x, %shape)
    output y = %y)");
  CHECK_THROWS_WITH(bindShapes(data, {}), ContainsSubstring("Reshape 'y' output 'y'"));
}

TEST_CASE("an operator whose shape depends on data is an error, unless its input folds") {
  const std::map<std::string, std::string> nodes = {
      {"NonZero", "(%x)"}, {"Compress", "(%x, %c)"}, {"Unique", "(%x)"}};
  for (const auto& [op_type, inputs] : nodes) {
    INFO(op_type);
    const std::string rest = "\n%y = " + op_type + inputs + "\noutput y = %y";
    Graph open = parse("input %x : float[4]\ninput %c : bool[4]" + rest);
    CHECK_THROWS_WITH(bindShapes(open, {}), ContainsSubstring(op_type + " 'y' output 'y'") &&
                                                ContainsSubstring("depends on data"));
    Graph known =
        parse("constant %x : float[4] = [0, 2, 0, 2]\nconstant %c : bool[4] = [0, 1, 0, 1]" + rest);
    bindShapes(known, {});
    CHECK(known.outputs[0].value->isConstant());
  }
}

}  // namespace
}  // namespace simaqat
