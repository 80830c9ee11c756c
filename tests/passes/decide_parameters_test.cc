// Which initializers train, without and with what a file says about them.
#include "qat/passes/decide_parameters.h"

#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

// "" for a parameter, else the reason.
std::string reasonFor(const std::string& text, const std::string& name,
                      const ParameterEvidence& evidence = {},
                      const std::vector<std::string>& forced = {}) {
  Graph graph = parse(text);
  for (const ConstantInitializer& constant : decideParameters(graph, evidence, forced)) {
    if (constant.name != name) continue;
    CHECK(graph.findVariable(name) == nullptr);
    return constant.reason;
  }
  return graph.findVariable(name) != nullptr ? "" : "was no variable";
}

TEST_CASE("what normalizes the model's input is a constant") {
  for (const char* operation :
       {"Sub(%x, %p)", "Sum(%p, %x)", "Div(%x, %p)", "Mul(%p, %x)", "Add(%x, %p)"}) {
    const std::string text = std::string(R"(
      input %x : float[N, 4, 3]
      weight %p : float[3] = [1, 2, 3]
      weight %w : float[3, 2] = [1, 2, 3, 4, 5, 6]
      %n = )") + operation + R"(
      %t = Cast(%n) {to = 1}
      %y = MatMul(%t, %w)
      output y = %y)";
    INFO(operation);
    CHECK(reasonFor(text, "p") == "normalizes the model's input");
    CHECK(reasonFor(text, "w").empty());
    CHECK(reasonFor(text, "p", {}, {"p"}).empty());
  }
}

TEST_CASE("numbers from which the normalization is computed are constants too") {
  const std::string text = R"(
    input %x : float[N, 3]
    weight %mean : float[3] = [1, 2, 3]
    weight %variance : float[3] = [4, 5, 6]
    weight %w : float[3, 2] = [1, 2, 3, 4, 5, 6]
    %shift = Neg(%mean)
    %std = Sqrt(%variance)
    %factor = Reciprocal(%std)
    %c = Add(%x, %shift)
    %n = Mul(%c, %factor)
    %y = MatMul(%n, %w)
    output y = %y)";
  for (const char* name : {"mean", "variance"}) {
    CHECK(reasonFor(text, name) == "normalizes the model's input");
  }
  CHECK(reasonFor(text, "w").empty());
}

TEST_CASE("a scale of 1 in front of everything is where a learned one starts") {
  CHECK(reasonFor(R"(
    input %x : float[N, 3]
    weight %s : float[3] = [1, 1, 1]
    %y = Mul(%x, %s)
    output y = %y)",
                  "s")
            .empty());
}

TEST_CASE("a learned table that is added to the input is a parameter") {
  CHECK(reasonFor(R"(
    input %x : float[N, 4, 3]
    weight %position : float[4, 3] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    %y = Add(%x, %position)
    output y = %y)",
                  "position")
            .empty());
}

TEST_CASE("the same arithmetic after a product trains") {
  CHECK(reasonFor(R"(
    input %x : float[N, 3]
    weight %w : float[3, 2] = [1, 2, 3, 4, 5, 6]
    weight %scale : float[] = [2]
    %m = MatMul(%x, %w)
    %y = Mul(%m, %scale)
    output y = %y)",
                  "scale")
            .empty());
}

TEST_CASE("masks in front of a Softmax are constants, biases there are not") {
  const auto scores = [](const std::string& values) {
    return R"(
      input %x : float[N, 2, 2]
      weight %m : float[2, 2] = )" +
           values + R"(
      %s = MatMul(%x, %x)
      %a = Add(%s, %m)
      %y = Softmax(%a)
      output y = %y)";
  };
  CHECK(reasonFor(scores("[0, -10000, 0, 0]"), "m") == "a mask");
  CHECK(reasonFor(scores("[0, -inf, 0, 0]"), "m") == "has values that are not finite");
  CHECK(reasonFor(scores("[0, -1, 0, 0]"), "m").empty());
  // 1 where a position is kept, as BERT has it.
  const std::string keep = R"(
    input %x : float[N, 2, 2]
    weight %keep : float[2, 2] = [1, 0, 1, 1]
    constant %one : float[] = [1]
    constant %large : float[] = [-10000]
    %left = Sub(%one, %keep)
    %m = Mul(%left, %large)
    %s = MatMul(%x, %x)
    %a = Add(%s, %m)
    %y = Softmax(%a)
    output y = %y)";
  CHECK(reasonFor(keep, "keep") == "a mask");
}

TEST_CASE("exponents, epsilons and bounds are numbers of the formula") {
  const std::string text = R"(
    input %x : float[N, 3]
    weight %two : float[] = [2]
    weight %eps : float[] = [1e-5]
    weight %most : float[] = [6]
    weight %gain : float[] = [1]
    %r = Relu(%x)
    %square = Pow(%r, %two)
    %guarded = Add(%square, %eps)
    %root = Sqrt(%guarded)
    %n = Div(%r, %root)
    %bounded = Min(%n, %most)
    %y = Mul(%bounded, %gain)
    output y = %y)";
  CHECK(reasonFor(text, "two") == "an exponent");
  CHECK(reasonFor(text, "eps") == "an epsilon");
  CHECK(reasonFor(text, "most") == "a bound or a filling");
  CHECK(reasonFor(text, "gain").empty());
  CHECK(reasonFor(text, "two", {}, {"tw*"}).empty());
}

TEST_CASE("a weight of one element is one, whatever its name") {
  const std::string text = R"(
    input %x : float[N, 1]
    weight %onnx::MatMul_3 : float[1, 1] = [2]
    weight %7 : float[1] = [0.25]
    %m = MatMul(%x, %onnx::MatMul_3)
    %y = PRelu(%m, %7)
    output y = %y)";
  CHECK(reasonFor(text, "onnx::MatMul_3").empty());
  CHECK(reasonFor(text, "7").empty());
}

TEST_CASE("a fixed filter stays constant where other weights are computed from initializers") {
  Graph graph = parse(R"(
    input %x : float[N, 2]
    weight %direction : float[2, 2] = [1, 2, 3, 4]
    weight %norm : float[2] = [5, 6]
    constant %fixed : float[2, 2] = [1, 0, 0, 1]
    %w = Mul(%direction, %norm)
    %m = MatMul(%x, %w)
    %y = MatMul(%m, %fixed)
    output y = %y)");
  decideParameters(graph, {}, {});
  CHECK(graph.findVariable("fixed") == nullptr);
  CHECK(graph.findVariable("norm") != nullptr);
}

TEST_CASE("an exponent with a name of the state_dict is learned") {
  CHECK(reasonFor(R"(
    input %x : float[N, 3]
    weight %pool.p : float[1] = [3]
    %y = Pow(%x, %pool.p)
    output y = %y)",
                  "pool.p")
            .empty());
}

TEST_CASE("what the file says goes before what the graph looks like") {
  const std::string text = R"(
    input %x : float[N, 3]
    weight %mean : float[3] = [1, 2, 3]
    weight %w : float[3, 2] = [1, 2, 3, 4, 5, 6]
    weight %fixed : float[2, 2] = [1, 0, 0, 1]
    %c = Sub(%x, %mean)
    %m = MatMul(%c, %w)
    %y = MatMul(%m, %fixed)
    output y = %y)";
  ParameterEvidence listed;
  listed.listed = std::set<std::string>{"mean", "w"};
  CHECK(reasonFor(text, "mean", listed).empty());
  CHECK(reasonFor(text, "fixed", listed) == "is not in the file's list of parameters");
  ParameterEvidence stated;
  stated.stated = {{"mean", true}, {"fixed", false}};
  CHECK(reasonFor(text, "mean", stated).empty());
  CHECK(reasonFor(text, "w", stated).empty());
  CHECK(reasonFor(text, "fixed", stated) == "the exporter calls it a buffer or constant");
}

TEST_CASE("constants train where all weights of the file are constants, and only then") {
  const auto network = [](const std::string& kind) {
    return R"(
      input %x : float[N, 3]
      constant %std : float[3] = [1, 2, 3]
      )" + kind +
           R"( %w : float[3, 2] = [1, 2, 3, 4, 5, 6]
      constant %b : float[2] = [1, 2]
      constant %half : float[] = [0.5]
      %d = Div(%x, %std)
      %m = MatMul(%d, %w)
      %a = Add(%m, %b)
      %y = Mul(%a, %half)
      output y = %y)";
  };
  Graph constants = parse(network("constant"));
  decideParameters(constants, {}, {});
  CHECK(linesWith(constants, "weight ") == unindented(R"(
    weight %w : float[3, 2] = [1, 2, 3, 4, 5, 6]
    weight %b : float[2] = [1, 2]
)"));
  Graph variables = parse(network("weight"));
  decideParameters(variables, {}, {});
  CHECK(linesWith(variables, "weight ") == "weight %w : float[3, 2] = [1, 2, 3, 4, 5, 6]\n");
}

TEST_CASE("names that exporters make up") {
  for (const char* name : {"onnx::MatMul_12", "/layer/Constant_output_0", "val_3", "17", "_v_2",
                           "const_fold_opt__9", "p2o.Constant.4", "model/add/y:0"}) {
    INFO(name);
    CHECK(isGeneratedName(name));
  }
  for (const char* name : {"scale", "layer.0.gamma", "conv1.weight", "value",
                           "model/dense/ReadVariableOp:0", "constrained"}) {
    INFO(name);
    CHECK(!isGeneratedName(name));
  }
}

}  // namespace
}  // namespace simaqat
