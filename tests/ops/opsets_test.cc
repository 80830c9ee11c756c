// Every example is written at the least opset that has its attributes, inputs and types, and comes
// back from there.
#include <onnx/checker.h>
#include <onnx/defs/schema.h>

#include "qat/ir/parser.h"
#include "qat/onnx/check.h"
#include "qat/onnx/export.h"
#include "qat/onnx/import.h"
#include "qat/onnx/opset.h"
#include "tests/catch.h"
#include "tests/ops/run_node.h"

namespace simaqat {
namespace {

using Catch::Matchers::ContainsSubstring;

int leastOf(const std::string& text) { return leastOpset(parseText(text, opRegistry()), 13); }

}  // namespace

TEST_CASE("every example is accepted at its least opset") {
  forEachExample([](const OpDefinition& op, const OpExample& example) {
    const bool is_written = op.domain.empty() && op.last_opset >= kLeastExportOpset;
    if (!is_written) return;
    INFO(describe(op, example));
    const std::vector<Tensor> inputs = exampleInputs(example, ElementType::kFloat);
    Graph graph(opRegistry());
    // Lists that choose shapes are constants, as exporters write them.
    Node* node = addExampleNode(graph, op, example, inputs, [&](size_t i) {
      return i == 0 && inputs[i].defined() && isFloatingPoint(inputs[i].type());
    });
    for (size_t i = 0; i < node->outputCount(); ++i) {
      if (node->output(i) != nullptr) {
        graph.outputs.push_back({node->output(i)->name(), node->output(i)});
      }
    }
    const int least = leastOpset(graph, kLeastExportOpset);
    INFO("opset " << least);
    CHECK_NOTHROW(checkStandardModel(graph, least));
    const Graph again = importModelBytes(serializeModel(graph, least), "bytes", "", opRegistry());
    REQUIRE(again.outputs.size() == graph.outputs.size());
    for (size_t i = 0; i < graph.outputs.size(); ++i) {
      CHECK(again.outputs[i].value->type.element == graph.outputs[i].value->type.element);
    }
  });
}

TEST_CASE("attributes, inputs and types raise the opset") {
  const std::string x = "input %x : float[N, 4, 8, 8]\n";
  const std::string y = "\noutput y = %y";
  CHECK(leastOf(x + "%y = Relu(%x)" + y) == 13);
  CHECK(leastOf("input %x : int32[4]\n%y = Relu(%x)" + y) == 14);
  CHECK(leastOf("input %x : int8[4]\n%y = Mul(%x, %x)" + y) == 14);
  CHECK(leastOf(x + "%y = Shape(%x)" + y) == 13);
  CHECK(leastOf(x + "%y = Shape(%x) {start = 1}" + y) == 15);
  const std::string shape = "constant %s : int64[2] = [-1, 256]\n";
  CHECK(leastOf(x + shape + "%y = Reshape(%x, %s)" + y) == 13);
  CHECK(leastOf(x + shape + "%y = Reshape(%x, %s) {allowzero = 1}" + y) == 14);
  CHECK(leastOf(x + "constant %p : int64[8] = [0, ...]\n%y = Pad(%x, %p)" + y) == 13);
  CHECK(leastOf(x + "constant %p : int64[2] = [1, 1]\nconstant %a : int64[1] = [2]\n" +
                "%y = Pad(%x, %p, _, %a)" + y) == 18);
  CHECK(leastOf(x + "%y = AveragePool(%x) {dilations = [2, 2], kernel_shape = [2, 2]}" + y) == 19);
  CHECK(leastOf(x + "%y = AveragePool(%x) {kernel_shape = [2, 2]}" + y) == 13);
  CHECK(leastOf(x + "constant %z : int64[2] = [4, 4]\n" +
                "%y = Resize(%x, _, _, %z) {antialias = 1, axes = [2, 3], mode = \"linear\"}" + y) ==
        18);
  const std::string scatter =
      "input %x : float[4, 4]\ninput %u : float[4, 2]\nconstant %i : int64[4, 2] = [0, ...]\n";
  CHECK(leastOf(scatter + "%y = ScatterElements(%x, %i, %u)" + y) == 13);
  CHECK(leastOf(scatter + "%y = ScatterElements(%x, %i, %u) {reduction = \"add\"}" + y) == 16);
  CHECK(leastOf(scatter + "%y = ScatterElements(%x, %i, %u) {reduction = \"max\"}" + y) == 18);
}

TEST_CASE("a node that needs a newer opset than is written is named") {
  const Graph graph = parseText(
      "input %x : float[2, 8]\n%n = Relu(%x)\n%y = Shape(%n) {start = 1} \"sizes\"\noutput y = %y",
      opRegistry());
  const NeededOpset needed = neededOpset(graph, 13);
  CHECK(needed.opset == 15);
  requireWritable(needed, 15);
  CHECK_THROWS_WITH(requireWritable(needed, 14),
                    ContainsSubstring("Shape 'sizes'") && ContainsSubstring("opset 15"));
}

}  // namespace simaqat
