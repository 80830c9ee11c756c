#include "qat/passes/float_form.h"

#include "qat/ir/fake_quantize.h"
#include "qat/passes/approximate.h"
#include "qat/passes/pass.h"
#include "qat/passes/simplify.h"

namespace simaqat {
namespace {

void removeFakeQuantize(Graph& graph) {
  for (Node* node : graph.nodeSequence()) {
    if (!isFakeQuantize(*node)) continue;
    const std::string name = node->output()->name();
    const bool leaves = graph.isOutput(node->output());
    Value* input = node->input(0);
    graph.replaceUses(node->output(), input);
    graph.rename(node->output(), name + "/removed");
    // What comes from outside keeps its name; the output's is that of the output alone.
    if (leaves && input->producer() != nullptr) graph.rename(input, name);
    graph.removeNode(node);
  }
}

}  // namespace

void floatForm(Graph& graph) {
  runPass(graph, "restore-functions", restoreAllFunctions);
  runPass(graph, "remove-fake-quantize", removeFakeQuantize);
  runPass(graph, "specialize", [](Graph& g) { specialize(g, {Mode::kEvaluate}); });
}

}  // namespace simaqat
