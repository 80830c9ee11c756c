// A ConvTranspose with groups, whose weight has one scale, as ONNX Runtime computes it.
#include <algorithm>

#include "kernels/isa.h"
#include "qat/passes/scaffold.h"
#include "tests/agreement/difference.h"
#include "tests/agreement/onnx_runtime.h"
#include "tests/agreement/shipped_network.h"
#include "tests/catch.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

constexpr char kDecoder[] = R"(
    input %x : float[N, 4, 6, 6]
    weight %w1 : float[8, 4, 3, 3] = [...]
    weight %w2 : float[8, 3, 3, 3] = [...]
    weight %bias : float[6] = [...]
    weight %gamma : float[6] = [...]
    weight %beta : float[6] = [...]
    batch_norm_statistic %mean : float[6] = [...]
    batch_norm_statistic %var : float[6] = [...]
    %c = Conv(%x, %w1) {pads = [1, 1, 1, 1]} "encode"
    %r = Relu(%c)
    %t = ConvTranspose(%r, %w2, %bias) {group = 2, strides = [2, 2]} "decode"
    %n = BatchNormalization(%t, %gamma, %beta, %mean, %var)
    %y = Relu(%n)
    output y = %y)";

void check(const ScaffoldOptions& options) {
  const std::string missing = onnx_runtime::missing();
  if (!missing.empty()) QAT_SKIP(missing << " is not here: tools/install_test_packages.sh");
  Graph graph = parse(kDecoder);
  randomizeVariables(graph, 3);
  float* gamma = graph.findVariable("gamma")->value.mutableData<float>();
  gamma[1] = 0;
  gamma[4] = -gamma[4];
  const std::vector<PlacementEntry> entries = scaffold(graph, options);
  const auto decode = std::find_if(entries.begin(), entries.end(),
                                   [](const auto& entry) { return entry.node == "decode"; });
  REQUIRE(decode != entries.end());
  CHECK_THAT(decode->weight, Catch::Matchers::ContainsSubstring("per tensor"));
  CHECK(decode->kernel == "float: ConvTranspose has no integer kernel");
  calibrate(graph, {randomTensor({4, 4, 6, 6}, 1)});
  const double scale = *graph.outputs[0].value->quantizer->scale->variable->value.data<float>();

  const ShippedNetwork shipped = ship(graph.clone(), "decoder");
  const Tensor input = randomTensor({8, 4, 6, 6}, 2);
  ThreadPool pool(1);
  const Tensor exported = evaluateAll(shipped.exported, input, 8, pool);
  CHECK(exported.identical(evaluateAll(shipped.finalized, input, 8, pool)));
  const auto compare = [&](const char* what, const Tensor& other) {
    INFO(what);
    Difference difference;
    difference.add(exported, other, scale);
    CHECK(difference.elements == 8 * 6 * 13 * 13);
    CHECK(difference.largest <= 1);
    CHECK(difference.withinOne() == 1);
    CHECK(difference.shareDiffering() <= 0.01);
  };
  compare("trained", evaluateAll(shipped.trained, input, 8, pool));
  for (const bool optimize : {false, true}) {
    onnx_runtime::Options runtime;
    runtime.optimize = optimize;
    runtime.save_optimized = optimize ? shipped.exported_path + ".optimized.onnx" : "";
    compare(optimize ? "ONNX Runtime, optimized" : "ONNX Runtime, float QDQ",
            onnx_runtime::run(shipped.exported_path, "x", input, runtime).at("y"));
    if (!optimize) continue;
    const auto kinds = onnx_runtime::nodeKinds(runtime.save_optimized);
    CHECK(kinds.by_name.at("encode") == "integer");
    CHECK(kinds.by_name.at("decode") == "float");
  }
}

TEST_CASE("a ConvTranspose with groups agrees with ONNX Runtime") {
  for (const char* observer : {"channel_max", "channel_mse", "lsq"}) {
    INFO(observer);
    ScaffoldOptions options;
    options.weight.observer = observer;
    // Without VNNI sums of two products of 8 bits saturate in the Conv.
    if (kernels::detectedIsa() < kernels::Isa::kAvx512Vnni) options.weight.bits = 7;
    check(options);
  }
}

}  // namespace
}  // namespace simaqat
