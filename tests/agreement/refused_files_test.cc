// Which files ONNX Runtime refuses to load, as `prepare` foretells it.
#include "qat/onnx/export.h"
#include "qat/onnx/opset.h"
#include "qat/passes/finalize.h"
#include "qat/passes/onnxruntime_kernels.h"
#include "qat/passes/scaffold.h"
#include "tests/agreement/onnx_runtime.h"
#include "tests/catch.h"
#include "tests/cli/run.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

// By their widths: of the input and other activations, of the Conv's output, and of its weight.
struct Widths {
  int64_t activations, conv, weight;
};

bool loads(const Graph& scaffolded, const Tensor& x) {
  Graph graph = scaffolded.clone();
  calibrate(graph, {x});
  finalize(graph);
  const std::string path = cli::scratch("refused.onnx");
  exportModel(graph, path, {leastOpset(graph, kOwnOpset)});
  try {
    onnx_runtime::run(path, "x", x, {});
  } catch (const std::exception&) {
    return false;
  }
  return true;
}

TEST_CASE("files that ONNX Runtime refuses are foretold") {
  const std::string missing = onnx_runtime::missing();
  if (!missing.empty()) QAT_SKIP(missing);
  const std::vector<std::string> texts = {
      "%y = Conv(%x, %w)", "%c = Conv(%x, %w)\n%y = Relu(%c)",
      "%c = Conv(%x, %w)\n%y = MaxPool(%c) {kernel_shape = [2, 2]}",
      "%c = Conv(%x, %w)\n%g = GlobalAveragePool(%c)\n%y = Flatten(%g)"};
  for (const std::string& lines : texts) {
    for (const Widths w : {Widths{4, 4, 8}, {4, 8, 8}, {8, 4, 8}, {4, 4, 4}, {8, 8, 8}}) {
      INFO(lines << ": " << w.activations << ", " << w.conv << ", " << w.weight);
      Graph graph = parse("input %x : float[4, 3, 6, 6]\nweight %w : float[4, 3, 1, 1] = [1, -2, ...]\n" +
                          lines + "\noutput y = %y");
      ScaffoldOptions options;
      options.activation.bits = w.activations;
      options.weight.bits = w.weight;
      QuantizationOverride conv;
      conv.op_type = "Conv";
      conv.activation.bits = w.conv;
      options.overrides.push_back(conv);
      scaffold(graph, options);
      CHECK(refusedNodes(graph).empty() == loads(graph, randomTensor({4, 3, 6, 6}, 3)));
    }
  }
}

}  // namespace
}  // namespace simaqat
