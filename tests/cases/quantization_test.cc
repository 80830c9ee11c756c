// ../shared/cases: what is quantized, and what ships of it.
#include <cmath>
#include <sstream>

#include "kernels/isa.h"
#include "qat/base/file.h"
#include "qat/data/array_reader.h"
#include "tests/agreement/onnx_runtime.h"
#include "tests/cases/cases.h"
#include "tests/catch.h"

namespace simaqat::cases {
namespace {

using Catch::Matchers::ContainsSubstring;

// The line of `prepare`'s table about a node.
std::string rowOf(const std::string& table, const std::string& node) {
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(node + " ", 0) == 0) return line;
  }
  return "";
}

TEST_CASE("convolutions whose weight is computed") {
  if (!present()) QAT_SKIP("../shared is not here");
  for (const char* name : {"batch_norm_gain", "batch_norm_plain", "weight_norm", "reshape"}) {
    const Case c("standardized_weights", name);
    checkStep(c);
    checkInteger(checkFlow(c).exported);
  }
}

TEST_CASE("parts of a stored weight") {
  if (!present()) QAT_SKIP("../shared is not here");
  for (const char* name : {"slice", "split"}) {
    const Flow flow = runFlow(Case("split_weights", name));
    CHECK_THAT(rowOf(flow.table, "mm"), ContainsSubstring("int8 per channel (axis 1)  integer"));
    const Graph graph = graphOf(flow.exported);
    for (const auto& node : graph.nodes()) {
      if (node->opType() != "MatMul") continue;
      const Node* weight = node->input(1)->producer();
      REQUIRE(weight != nullptr);
      CHECK(weight->input(0)->constant.type() == ElementType::kInt8);
      CHECK(weight->input(1)->type.dims() == std::vector<int64_t>{8});
    }
  }
}

TEST_CASE("a parameter that is repeated over the batch") {
  if (!present()) QAT_SKIP("../shared is not here");
  const Flow flow = runFlow(Case("expanded_parameter"));
  CHECK_THAT(rowOf(flow.table, "add"), ContainsSubstring("integer"));
  CHECK_THAT(rowOf(flow.table, "ex"), ContainsSubstring("shares its input's"));
}

TEST_CASE("attention that divides by a sum of products") {
  if (!present()) QAT_SKIP("../shared is not here");
  const Case c("linear_attention");
  checkStep(c);
  const Flow flow = checkFlow(c, 0.1);
  for (const char* node : {"/att/Add_1", "/att/MatMul_1"}) {
    CHECK_THAT(rowOf(flow.table, node),
               ContainsSubstring("- a code of 0 would make Div '/att/Div_1' infinite"));
  }
}

TEST_CASE("boxes and scores in one output keep their own scales") {
  if (!present()) QAT_SKIP("../shared is not here");
  const Case c("concat_scales");
  FlowOptions options;
  options.steps = 0;
  const Flow flow = runFlow(c, options);
  CHECK_THAT(rowOf(flow.table, "cat"), ContainsSubstring("its parts keep their own scales"));
  CHECK(evalLoss(flow.exported, c.folder + "/scores.onnx", c.manifest) < 1e-4);
  CHECK_THAT(flow.err, !ContainsSubstring("shares a scale"));
  // On purpose.
  const std::string recipe = c.out("shared.json");
  writeFileAtomically(recipe, R"({"overrides": [{"node": "cat", "activation": {"quantize": true}}]})");
  options.prepare = {"--recipe", recipe};
  CHECK_THAT(runFlow(c, options).err, ContainsSubstring("its part 'sc' stays within 0.996 and shares"));
}

TEST_CASE("equalization leaves the function as it is") {
  if (!present()) QAT_SKIP("../shared is not here");
  const Case c("equalize");
  cli::runWell({"prepare", c.model, "-o", c.out("p.onnx"), "--equalize"});
  cli::runWell({"export", "--float", c.out("p.onnx"), "-o", c.out("fl.onnx")});
  CHECK(evalLoss(c.out("fl.onnx"), "mse", c.manifest) < 1e-9);
}

TEST_CASE("bias correction of layers that share a bias") {
  if (!present()) QAT_SKIP("../shared is not here");
  const Case c("bias_correction_shared");
  FlowOptions options;
  options.steps = 0;
  options.batch = 16;
  options.prepare = {"--recipe", c.folder + "/w3.json"};
  const double without = runFlow(c, options).loss;
  options.train = {"--correct-biases", "1"};
  const Flow corrected = runFlow(c, options);
  CHECK(corrected.loss <= without);
  const Graph graph = graphOf(corrected.exported);
  const Value* first = graph.findValue("c")->producer()->input(2)->producer()->input(0);
  const Value* second = nullptr;
  for (const auto& node : graph.nodes()) {
    if (node->name() == "c2") second = node->input(2)->producer()->input(0);
  }
  CHECK(first != second);
}

TEST_CASE("4-bit activations for which ONNX Runtime refuses the file") {
  if (!present()) QAT_SKIP("../shared is not here");
  const Case c("w8a4");
  FlowOptions options;
  options.prepare = {"--recipe", c.folder + "/w8a4.json"};
  const Flow flow = runFlow(c, options);
  for (const char* node : {"c", "c2"}) {
    CHECK_THAT(rowOf(flow.table, node), ContainsSubstring("refused: no kernel for uint4"));
    CHECK_THAT(flow.err, ContainsSubstring(std::string("Conv '") + node + "'"));
  }
  CHECK_THAT(flow.err, ContainsSubstring("ONNX Runtime will refuse the exported file"));
}

TEST_CASE("indices have no quantizer") {
  if (!present()) QAT_SKIP("../shared is not here");
  FlowOptions options;
  options.loss = "mse";
  options.batch = 8;
  const Graph graph = graphOf(runFlow(Case("topk"), options).exported);
  for (const GraphOutput& output : graph.outputs) {
    const Node* node = output.value->producer();
    CHECK(node->opType() == (output.name == "i" ? "TopK" : "DequantizeLinear"));
    CHECK(output.value->type.element ==
          (output.name == "i" ? ElementType::kInt64 : ElementType::kFloat));
  }
}

TEST_CASE("pooling that counts padding in windows cut off by ceil_mode") {
  if (!present()) QAT_SKIP("../shared is not here");
  const std::string missing = onnx_runtime::missing();
  for (const char* name : {"no_pads", "pads"}) {
    const Case c("average_pool_ceil", name);
    FlowOptions options;
    options.steps = 0;
    options.batch = 8;
    // Without VNNI ONNX Runtime's sums of two products of 8 bits saturate in the Conv.
    if (kernels::detectedIsa() < kernels::Isa::kAvx512Vnni) {
      const std::string recipe = c.out("w7.json");
      writeFileAtomically(recipe, R"({"weight": {"bits": 7}})");
      options.prepare = {"--recipe", recipe};
    }
    const Flow flow = runFlow(c, options);
    CHECK(flow.loss < 1e-3);
    if (!missing.empty()) continue;
    const Tensor x = readArray(c.folder + "/x.npy");
    const auto with = [&](bool optimize) {
      onnx_runtime::Options runtime;
      runtime.optimize = optimize;
      return onnx_runtime::run(flow.exported, "x", x, runtime).at("y").toVector<double>();
    };
    const std::vector<double> integer = with(true), plain = with(false);
    const Graph graph = graphOf(flow.exported);
    const Value* scale = graph.outputs[0].value->producer()->input(1);
    const double step =
        (scale->isConstant() ? scale->constant : scale->variable->value).toVector<double>()[0];
    for (size_t i = 0; i < integer.size(); ++i) CHECK(std::fabs(integer[i] - plain[i]) < 1.01 * step);
  }
  if (!missing.empty()) QAT_SKIP(missing);
}

}  // namespace
}  // namespace simaqat::cases
