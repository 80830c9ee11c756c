// Nodes of finalized graphs that compute on integers, and those that only seem to.
#include "qat/passes/foretold.h"

#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

// A Conv between pairs; `weight`, `bias` and `behind` are written into it.
Graph finalized(const std::string& weight, const std::string& bias, const std::string& behind) {
  return parse(R"(
    input %x : float[N, 3, 4, 4]
    input %given : float[2]
    constant %s : float[] = [0.1]
    constant %z : uint8[] = [3]
    constant %ws : float[2] = [0.1, 0.2]
    constant %wz : int8[2] = [0, 0]
    constant %codes : int8[2, 3, 1, 1] = [1, ...]
    constant %ones : float[2] = [1, 1]
    constant %floats : float[2, 3, 1, 1] = [1, ...]
    %xq = QuantizeLinear(%x, %s, %z)
    %xd = DequantizeLinear(%xq, %s, %z)
    %stored = DequantizeLinear(%codes, %ws, %wz) {axis = 0}
    %computed = Mul(%stored, %floats)
    %c = Conv(%xd, )" +
               weight + bias + ") \"conv\"\n" + behind + R"(
    %yq = QuantizeLinear(%b, %s, %z)
    %y = DequantizeLinear(%yq, %s, %z)
    output y = %y)");
}

bool isInteger(const Graph& graph) { return hasIntegerForm(graph, producerOf(graph, "c")); }

constexpr char kRelu[] = "%b = Relu(%c)";
constexpr char kBatchNorm[] = "%b = BatchNormalization(%c, %ones, %ones, %ones, %ones)";

TEST_CASE("a node between codes has an integer form") {
  CHECK(isInteger(finalized("%stored", "", kRelu)));
  CHECK(isInteger(finalized("%stored", ", %ones", kRelu)));
  // What ONNX Runtime quantizes, and folds, itself.
  CHECK(isInteger(finalized("%floats", "", kBatchNorm)));
}

TEST_CASE("computed weights and biases, and a BatchNormalization that stays, are float") {
  CHECK(!isInteger(finalized("%computed", "", kRelu)));
  CHECK(!isInteger(finalized("%stored", ", %given", kRelu)));
  CHECK(!isInteger(finalized("%stored", "", kBatchNorm)));
  CHECK(!isInteger(finalized("%stored", "", "%b = Erf(%c)")));
}

TEST_CASE("what was foretold in vain is named") {
  Graph graph = finalized("%stored", "", kBatchNorm);
  storeForetold(graph, {{"conv", "Conv", "", "", "", "integer"}, {"b", "x", "", "", "", "gone"}});
  CHECK(foretoldButFloat(graph) == std::vector<std::string>{"Conv 'conv'"});
  Graph well = finalized("%stored", "", kRelu);
  storeForetold(well, {{"conv", "Conv", "", "", "", "integer"}});
  CHECK(foretoldButFloat(well).empty());
}

}  // namespace
}  // namespace simaqat
