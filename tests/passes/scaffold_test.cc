#include "qat/passes/bind_quantizers.h"
#include "qat/passes/scaffold.h"

#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;

// What stands where: "node: output; weight (reason)" for each line of the report.
std::string placement(Graph& graph, const ScaffoldOptions& options = {}) {
  std::string text;
  for (const PlacementEntry& entry : scaffold(graph, options)) {
    text += entry.node + ": " + entry.output;
    if (!entry.weight.empty()) text += "; " + entry.weight;
    if (!entry.reason.empty()) text += "(" + entry.reason + ")";
    text += "\n";
  }
  linesWith(graph, "");  // verifies
  return text;
}

constexpr char kNetwork[] = R"(
  input %x : float[N, 2, 4, 4]
  weight %w : float[2, 2, 1, 1] = [1, 2, 3, 4]
  weight %g : float[2] = [1, 1]
  weight %b : float[2] = [0, 0]
  batch_norm_statistic %m : float[2] = [0, 0]
  batch_norm_statistic %v : float[2] = [1, 1]
  %c = Conv(%x, %w)
  %n = BatchNormalization(%c, %g, %b, %m, %v)
  %r = Relu(%n)
  %s = Add(%r, %x)
  %sr = Relu(%s)
  %p = MaxPool(%sr) {kernel_shape = [2, 2], strides = [2, 2]}
  %f = Flatten(%p)
  output y = %f)";

TEST_CASE("fused nodes have one quantizer behind them, moved values none") {
  Graph graph = parse(kNetwork);
  CHECK(placement(graph) == unindented(R"(
    x: uint8 per tensor
    c: ; int8 per channel (axis 0)(fused with BatchNormalization 'n')
    n: (fused with Relu 'r')
    r: uint8 per tensor
    s: (fused with Relu 'sr')
    sr: uint8 per tensor
    p: (shares its input's)
    f: (shares its input's)
)"));
  CHECK(countNodes(graph, "simaqat::FakeQuantize") == 4);
  CHECK(graph.findValue("f")->quantizer == graph.findValue("sr/fake_quantize")->quantizer);
  CHECK(linesWith(graph, "%w/fake_quantize :") ==
        "%w/fake_quantize : float[2, 2, 1, 1] @w = simaqat::FakeQuantize(%w, %w/scale, "
        "%w/zero_point) {axis = 0, is_weight = 1, observer = \"channel_max\", qmax = 127, qmin = -127, symmetric = 1} "
        "\"w/fake_quantize\"\n");
  CHECK(linesWith(graph, "%x/fake_quantize :") ==
        "%x/fake_quantize : float[N, 2, 4, 4] @x = simaqat::FakeQuantize(%x, %x/scale, "
        "%x/zero_point, %x/range_min, %x/range_max) {qmax = 255, qmin = 0} "
        "\"x/fake_quantize\"\n");
  CHECK(linesWith(graph, "range_min :") == unindented(R"(
    observer_range %x/range_min : float[] = [inf]
    observer_range %r/range_min : float[] = [inf]
    observer_range %sr/range_min : float[] = [inf]
)"));
}

TEST_CASE("a value that others use too is not fused over") {
  std::string text = kNetwork;
  Graph graph = parse(text + "\noutput n = %n");
  CHECK_THAT(placement(graph), ContainsSubstring("n: uint8 per tensor\n"));
  CHECK(producerOf(graph, "r").input(0) == graph.findValue("n"));
}

TEST_CASE("a graph output keeps its name, with its raw value in front") {
  Graph graph = parse(R"(
    input %x : float[N, 3]
    weight %w : float[4, 3] = [1, ...]
    %logits = Gemm(%x, %w) {transB = 1}
    %more = Relu(%logits)
    output logits = %logits
    output more = %more)");
  placement(graph);
  CHECK(linesWith(graph, "%logits/raw :") + linesWith(graph, "%logits :") +
            linesWith(graph, "output") ==
        unindented(R"(
    %logits/raw : float[N, 4] = Gemm(%x/fake_quantize, %w/fake_quantize) {transB = 1} "logits"
    %logits : float[N, 4] @logits = simaqat::FakeQuantize(%logits/raw, %logits/scale, %logits/zero_point, %logits/range_min, %logits/range_max) {qmax = 255, qmin = 0} "logits/fake_quantize"
    output logits = %logits
    output more = %more
)"));
}

TEST_CASE("a Clip from 0 is fused and bounds its quantizer") {
  const std::string text = R"(
    input %x : float[N, 2, 4]
    weight %w : float[2, 2, 1] = [1, 2, 3, 4]
    constant %lo : float[] = [LOW]
    constant %hi : float[] = [6]
    %c = Conv(%x, %w)
    %y = Clip(%c, %lo, %hi)
    output y = %y)";
  const auto clipFrom = [&](const std::string& low) {
    std::string copy = text;
    return copy.replace(copy.find("LOW"), 3, low);
  };
  Graph fused = parse(clipFrom("0"));
  CHECK_THAT(placement(fused), ContainsSubstring("(fused with Clip 'y')"));
  CHECK_THAT(linesWith(fused, "%y :"), ContainsSubstring("upper_bound = 6.0"));
  // From elsewhere it is no activation.
  Graph apart = parse(clipFrom("-1"));
  CHECK_THAT(placement(apart), ContainsSubstring("c: uint8 per tensor; int8"));
}

constexpr char kConcat[] = R"(
  input %x : float[N, 2, 4]
  weight %w1 : float[2, 2, 1] = [1, 2, 3, 4]
  weight %w2 : float[2, 2, 1] = [5, 6, 7, 8]
  %a = Conv(%x, %w1)
  %b = Conv(%x, %w2)
  %c = Concat(%a, %b) {axis = 1}
  %m = Sigmoid(%c)
  output y = %m
)";

TEST_CASE("a Concat of values made for it alone has the one quantizer") {
  Graph graph = parse(kConcat);
  CHECK(placement(graph) == unindented(R"(
    x: uint8 per tensor
    a: ; int8 per channel (axis 0)(quantized behind Concat 'c')
    b: ; int8 per channel (axis 0)(quantized behind Concat 'c')
    c: uint8 per tensor
    m: uint8 per tensor
)"));
}

TEST_CASE("otherwise each part has its own") {
  const std::string own = unindented(R"(
    x: uint8 per tensor
    a: uint8 per tensor; int8 per channel (axis 0)
    b: uint8 per tensor; int8 per channel (axis 0)
    c: uint8 per tensor
    m: uint8 per tensor
)");
  Graph used = parse(std::string(kConcat) + "output b = %b");
  CHECK(placement(used) == own);
  std::string twice = kConcat;
  twice.replace(twice.find("%a, %b)"), 7, "%a, %b, %b)");
  Graph doubled = parse(twice);
  CHECK(placement(doubled) == own);
}

TEST_CASE("a Sigmoid's parameters are fixed") {
  Graph graph = parse("input %x : float[N, 2]\n%y = Sigmoid(%x)\noutput y = %y");
  placement(graph);
  CHECK(linesWith(graph, "%y/") == unindented(R"(
    quantizer_scale %y/scale : float[] = [0.00390625]
    quantizer_scale %y/zero_point : float[] = [0]
    %y/raw : float[N, 2] = Sigmoid(%x/fake_quantize) "y"
    %y : float[N, 2] @y = simaqat::FakeQuantize(%y/raw, %y/scale, %y/zero_point) {observer = "fixed", qmax = 255, qmin = 0} "y/fake_quantize"
)"));
}

TEST_CASE("integers are never quantized") {
  Graph graph = parse(R"(
    input %x : float[N, 2]
    input %i : int64[3]
    %s = Shape(%x)
    %g = Gather(%x, %i) {axis = 1}
    output s = %s
    output g = %g)");
  CHECK(placement(graph) == unindented(R"(
    x: uint8 per tensor
    s: (int64)
    g: (shares its input's)
)"));
}

TEST_CASE("overrides: the last that matches wins, and one that matches nothing is an error") {
  ScaffoldOptions options;
  options.overrides = {quantized("Conv", "", false)};
  Graph off = parse(kNetwork);
  CHECK_THAT(placement(off, options),
             ContainsSubstring("c: ; - off by the recipe(off by the recipe)\n"));
  CHECK(off.findValue("w/fake_quantize") == nullptr);

  options.overrides = {quantized("", "*", false), quantized("", "s*", true)};
  Graph some = parse(kNetwork);
  CHECK(placement(some, options) == unindented(R"(
    x: uint8 per tensor
    c: ; - off by the recipe(off by the recipe)
    n: (off by the recipe)
    r: (off by the recipe)
    s: (fused with Relu 'sr')
    sr: uint8 per tensor
    p: (off by the recipe)
    f: (off by the recipe)
)"));

  options.overrides = {quantized("Conv", "layer?", false)};
  Graph none = parse(kNetwork);
  CHECK_THROWS_WITH(scaffold(none, options), ContainsSubstring("layer?"));
}

QuantizationOverride activationBits(const std::string& op_type, const std::string& node,
                                    int64_t bits) {
  QuantizationOverride result{op_type, node, {}, {}};
  result.activation.bits = bits;
  return result;
}

TEST_CASE("an override of one of the nodes that are fused is about their quantizer") {
  for (const auto& override : {activationBits("Conv", "", 16), activationBits("", "n", 16),
                               activationBits("Relu", "r", 16)}) {
    ScaffoldOptions options;
    options.overrides = {override};
    Graph graph = parse(kNetwork);
    CHECK_THAT(placement(graph, options), ContainsSubstring("r: uint16 per tensor\n") &&
                                              ContainsSubstring("sr: uint8 per tensor\n"));
  }
  ScaffoldOptions options;
  options.overrides = {activationBits("Relu", "", 16), activationBits("Conv", "", 4)};
  Graph graph = parse(kNetwork);
  CHECK_THAT(placement(graph, options), ContainsSubstring("r: uint4 per tensor\n") &&
                                            ContainsSubstring("sr: uint16 per tensor\n"));
}

TEST_CASE("an input of a Concat that is quantized otherwise has a quantizer of its own") {
  const std::string text = R"(
    input %x : float[N, 2, 4, 4]
    weight %w : float[2, 2, 1, 1] = [1, 2, 3, 4]
    %a = Conv(%x, %w)
    %b = Conv(%x, %w)
    %y = Concat(%a, %b) {axis = 1}
    %s = Sigmoid(%y)
    output s = %s)";
  Graph same = parse(text);
  CHECK_THAT(placement(same), ContainsSubstring("(quantized behind Concat 'y')"));
  ScaffoldOptions options;
  options.overrides = {activationBits("", "a", 16)};
  Graph other = parse(text);
  CHECK_THAT(placement(other, options),
             ContainsSubstring("a: uint16 per tensor") && ContainsSubstring("b: uint8 per tensor"));
}

TEST_CASE("an override that has no effect is an error that says why") {
  QuantizationOverride weight{"Relu", "", {}, {}};
  weight.weight.bits = 4;
  const auto error = [](const QuantizationOverride& rule) {
    ScaffoldOptions options;
    options.overrides = {rule};
    Graph graph = parse(kNetwork);
    try {
      scaffold(graph, options);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(error(activationBits("Flatten", "", 16)) ==
        "the recipe's override of op_type 'Flatten': no quantizer is there for its 'activation' "
        "(Flatten 'f': shares its input's)");
  CHECK_THAT(error(weight), ContainsSubstring("'Relu'") && ContainsSubstring("'weight'"));
  CHECK(error(activationBits("Conv", "", 16)).empty());
}

TEST_CASE("nodes that are rewritten answer to what they were") {
  const std::string text = R"(
    input %x : float[N, 4]
    weight %w : float[4, 3] = [1, ...]
    weight %b : float[3] = [1, ...]
    %m = MatMul(%x, %w)
    %a = Add(%m, %b)
    %s = Sum(%a, %a, %a)
    output y = %s)";
  for (const auto& override : {activationBits("MatMul", "", 16), activationBits("Add", "a", 16),
                               activationBits("", "m", 16)}) {
    ScaffoldOptions options;
    options.overrides = {override};
    Graph graph = parse(text);
    CHECK_THAT(placement(graph, options), ContainsSubstring("m: uint16 per tensor"));
  }
  ScaffoldOptions options;
  options.overrides = {activationBits("Sum", "", 16)};
  Graph graph = parse(text);
  CHECK_THAT(placement(graph, options),
             ContainsSubstring("m: uint8 per tensor") && ContainsSubstring("s: uint16 per tensor"));
}

TEST_CASE("nodes of one name are told apart by their operators") {
  ScaffoldOptions options;
  options.overrides = {quantized("Sigmoid", "", false)};
  Graph graph = parse(R"(
    input %x : float[N, 2, 4]
    weight %w : float[2, 2, 1] = [1, 2, 3, 4]
    %a = Conv(%x, %w) "layer"
    %y = Sigmoid(%a) "layer"
    output y = %y)");
  CHECK_THAT(placement(graph, options),
             ContainsSubstring("layer: uint8 per tensor; int8 per channel (axis 0)\n"));
}

TEST_CASE("an override of a weight is not about an activation in its place") {
  ScaffoldOptions options;
  QuantizationOverride weight{"MatMul", "", {}, {}};
  weight.weight.bits = 4;
  options.overrides = {weight};
  Graph graph = parse(R"(
    input %q : float[N, 5, 4]
    input %k : float[N, 4, 5]
    %y = MatMul(%q, %k)
    output y = %y)");
  CHECK_THROWS_WITH(scaffold(graph, options), ContainsSubstring("no weight to quantize"));
}

TEST_CASE("a symmetric quantizer has no offset to learn, wherever the two are asked for") {
  ScaffoldOptions options;
  options.activation.symmetric = true;
  options.activation.is_signed = true;
  options.overrides.push_back(activationBits("Relu", "", 8));
  options.overrides[0].activation.observer = "lsq_plus";
  Graph graph = parse(kNetwork);
  CHECK_THROWS_WITH(scaffold(graph, options), ContainsSubstring("lsq_plus"));
}

TEST_CASE("with integer kernels only, a Dropout between does not hide one") {
  ScaffoldOptions options;
  options.only_integer_kernels = true;
  Graph graph = parse(R"(
    input %x : float[N, 4]
    weight %w : float[4, 3] = [1, ...]
    %h = HardSwish(%x)
    %d = Dropout(%h)
    %y = Gemm(%d, %w)
    output y = %y)");
  CHECK_THAT(placement(graph, options), ContainsSubstring("h: uint8 per tensor"));
}

TEST_CASE("with integer kernels only, what has none stays float") {
  ScaffoldOptions options;
  options.only_integer_kernels = true;
  const std::string text = R"(
    input %x : float[N, 2, 4, 4]
    weight %w1 : float[2, 2, 1, 1] = [1, ...]
    weight %w2 : float[2, 2, 1, 1] = [1, ...]
    %c = Conv(%x, %w1)
    %t = Tanh(%c)
    %y = ConvTranspose(%t, %w2)
    output y = %y)";
  Graph graph = parse(text);
  CHECK(placement(graph, options) == unindented(R"(
    x: uint8 per tensor
    c: uint8 per tensor; int8 per channel (axis 0)
    t: (ONNX Runtime makes and uses it in float)
    y: ; - ONNX Runtime uses it in float(ONNX Runtime makes and uses it in float)
)"));
  options.overrides = {quantized("ConvTranspose", "", true)};
  Graph asked = parse(text);
  CHECK_THAT(placement(asked, options),
             ContainsSubstring("y: uint8 per tensor; int8 per channel (axis 1)"));
}

TEST_CASE("a ConvTranspose with groups has one scale for its weight") {
  const std::string text = R"(
    input %x : float[N, 4, 5]
    weight %w : float[4, 3, 2] = [1, ...]
    weight %g : float[6] = [1, ...]
    batch_norm_statistic %v : float[6] = [1, ...]
    %c = ConvTranspose(%x, %w) {group = 2}
    %y = BatchNormalization(%c, %g, %g, %v, %v)
    output y = %y)";
  Graph graph = parse(text);
  CHECK(placement(graph) == unindented(R"(
    x: uint8 per tensor
    c: ; int8 per tensor(fused with BatchNormalization 'y')
    y: uint8 per tensor
)"));
  const QuantizerSpec& spec = producerOf(graph, "c").input(1)->quantizer->spec;
  CHECK(spec.observer == "folded_max");
  CHECK(spec.groups == 2);
  CHECK(graph.findVariable("w/scale")->value.dims() == std::vector<int64_t>{4, 3, 1});

  // Each of two would want scales of its own.
  std::string shared = text;
  const std::string sum = R"(
    %d = ConvTranspose(%x, %w) {group = 2}
    %z = Add(%d, %y)
    output z = %z)";
  shared.replace(shared.find("    output"), std::string::npos, sum);
  Graph tied = parse(shared);
  CHECK_THAT(placement(tied), ContainsSubstring("c: ; - several nodes share it(fused"));
}

TEST_CASE("a tied weight has one quantizer") {
  Graph graph = parse(R"(
    input %x : float[N, 2, 4]
    weight %w : float[2, 2, 1] = [1, 2, 3, 4]
    %a = Conv(%x, %w)
    %y = Conv(%a, %w)
    output y = %y)");
  CHECK(placement(graph) == unindented(R"(
    x: uint8 per tensor
    a: uint8 per tensor; int8 per channel (axis 0)
    y: uint8 per tensor; int8 per channel (axis 0)
)"));
  CHECK(producerOf(graph, "a").input(1) == producerOf(graph, "y/raw").input(1));
}

TEST_CASE("a table that Gather reads in front of the Gemm it is tied to") {
  Graph graph = parse(R"(
    input %i : int64[N]
    weight %w : float[5, 3] = [1, ...]
    %e = Gather(%w, %i)
    %y = Gemm(%e, %w) {transB = 1}
    output y = %y)");
  placement(graph);
  CHECK(producerOf(graph, "e").input(0) == graph.findValue("w"));
  CHECK(producerOf(graph, "y/raw").input(1) == graph.findValue("w/fake_quantize"));
}

TEST_CASE("one weight along two axes has a quantizer for each") {
  Graph graph = parse(R"(
    input %x : float[N, 3]
    weight %w : float[5, 3] = [1, ...]
    %e = Gemm(%x, %w) {transB = 1}
    %y = Gemm(%e, %w)
    output y = %y)");
  CHECK(placement(graph) == unindented(R"(
    x: uint8 per tensor
    e: uint8 per tensor; int8 per channel (axis 0)
    y: uint8 per tensor; int8 per channel (axis 1)
)"));
}

TEST_CASE("a weight that a node off by the recipe shares stays float there") {
  Graph graph = parse(R"(
    input %x : float[N, 2, 4]
    weight %w : float[2, 2, 1] = [1, 2, 3, 4]
    %a = Conv(%x, %w)
    %y = Conv(%a, %w)
    output y = %y)");
  ScaffoldOptions options;
  options.overrides = {quantized("", "y", false)};
  placement(graph, options);
  CHECK(producerOf(graph, "y").input(1) == graph.findValue("w"));
}

TEST_CASE("quantizers bound from a file are those that were placed") {
  Graph graph = parse(kNetwork);
  scaffold(graph, {});
  const std::string text = linesWith(graph, "");
  for (const auto& value : graph.values()) value->quantizer = nullptr;
  graph.dropUnused();
  bindQuantizers(graph);
  CHECK(linesWith(graph, "") == text);
}

TEST_CASE("stored operands beside quantized values have quantizers of their own") {
  Graph graph = parse(R"(
    input %x : float[N, 4]
    input %z : int64[N, 4]
    weight %scale : float[4] = [1, ...]
    constant %half : float[] = [0.5]
    constant %one : int64[] = [1]
    %m = Mul(%x, %scale)
    %a = Add(%m, %half)
    %s = Neg(%a)
    %b = Add(%s, %half)
    %i = Add(%z, %one)
    output b = %b
    output s = %s
    output a = %a
    output i = %i)");
  scaffold(graph, {});
  const Node& mul = producerOf(graph, "m");
  CHECK(mul.input(1)->name() == "scale/fake_quantize");
  CHECK(mul.input(1)->quantizer->spec.observer == "tensor_range");
  CHECK(mul.input(1)->quantizer->spec.toString() == "uint8 per tensor");
  const Value* half = producerOf(graph, "a/raw").input(1);
  CHECK(half->name() == "half/fake_quantize");
  CHECK(producerOf(graph, "b/raw").input(1) == half);
  CHECK(producerOf(graph, "i").input(1)->name() == "one");
}

TEST_CASE("what follows from shapes has no quantizer, in float neither") {
  Graph graph = parse(R"(
    input %x : float[N, H]
    constant %ones : float[2] = [1, 2]
    %shape = Shape(%x)
    %sizes = Cast(%shape) {to = 1}
    %scaled = Mul(%sizes, %ones)
    %back = Cast(%scaled) {to = 7}
    %y = Expand(%x, %back)
    output y = %y)");
  CHECK(placement(graph) == unindented(R"(
    x: uint8 per tensor
    shape: (int64)
    sizes: (follows from shapes)
    scaled: (follows from shapes)
    back: (int64)
    y: (shares its input's)
)"));
}

TEST_CASE("an infinity stays float") {
  Graph graph = parse(R"(
    input %x : float[N, 4]
    input %where : bool[N, 4]
    constant %mask : float[] = [-inf]
    %y = Where(%where, %mask, %x)
    output y = %y)");
  scaffold(graph, {});
  CHECK(producerOf(graph, "y/raw").input(1)->name() == "mask");
}

constexpr char kBoxesAndScores[] = R"(
  input %x : float[N, 4]
  weight %w : float[4, 4] = [1, ...]
  weight %u : float[4, 3] = [1, ...]
  %box = Gemm(%x, %w)
  %class = Gemm(%x, %u)
  %score = Sigmoid(%class)
  %all = Concat(%box, %score) {axis = 1}
  %t = Transpose(%all)
  )";

TEST_CASE("the parts of a Concat that is an output keep their own scales") {
  Graph graph = parse(std::string(kBoxesAndScores) + "output t = %t");
  CHECK_THAT(placement(graph),
             ContainsSubstring("box: uint8 per tensor") && ContainsSubstring("score: uint8 per tensor") &&
                 ContainsSubstring("all: (an output of the model: its parts keep their own scales)") &&
                 ContainsSubstring("t: (its input is float)"));
  // Not where an integer kernel takes it, nor where an override wants it quantized.
  Graph used = parse(std::string(kBoxesAndScores) + "%y = Relu(%t)\noutput y = %y\noutput all = %all");
  CHECK_THAT(placement(used), ContainsSubstring("box: ; int8 per channel (axis 1)(quantized behind Concat 'all')"));
  ScaffoldOptions options;
  options.overrides.push_back(quantized("Concat", "", true));
  Graph wanted = parse(std::string(kBoxesAndScores) + "output t = %t");
  CHECK_THAT(placement(wanted, options), ContainsSubstring("all: uint8 per tensor"));
}

TEST_CASE("values of other types than float have no quantizer") {
  Graph graph = parse(R"(
    input %x : float[N, 4]
    input %k : int64[N, 4]
    constant %two : int64[1] = [2]
    %v, %i = TopK(%x, %two)
    %s = Slice(%k, %two, %two)
    output v = %v
    output i = %i
    output s = %s)");
  scaffold(graph, {});
  for (const char* name : {"k", "i", "s"}) CHECK(graph.findValue(name)->quantizer == nullptr);
  CHECK(graph.findValue("v")->quantizer != nullptr);
  Graph again = parse(toText(graph));
  bindQuantizers(again);
  CHECK(again.findValue("i")->quantizer == nullptr);
}

}  // namespace
}  // namespace simaqat
