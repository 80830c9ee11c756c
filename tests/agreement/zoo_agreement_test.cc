// What is trained is what ships: the trained network, the finalized one, the exported file in our
// evaluation and the exported file in ONNX Runtime, on its integer kernels and in float QDQ
// arithmetic. The tolerances are those of docs/NUMERICS.md.
#include <algorithm>

#include "kernels/isa.h"
#include "qat/ir/op.h"
#include "tests/agreement/difference.h"
#include "tests/agreement/images.h"
#include "tests/agreement/onnx_runtime.h"
#include "tests/agreement/shipped_network.h"
#include "tests/agreement/teacher_forcing.h"
#include "tests/catch.h"
#include "tests/zoo/zoo.h"

namespace simaqat {
namespace {

const std::vector<std::string> kNetworks = {
    "resnet20",          "densenet_tiny",     "squeezenet_tiny",
    "mobilenet_v2_w035", "efficientnet_tiny", "mobilenet_v3_tiny",
    "shufflenet_v2_tiny", "convnext_tiny_cfg", "vit_tiny",
    "swin_tiny"};

// Fashion-MNIST enlarged to the network's input. So short a training leaves the networks far from
// their best, but ranges, BatchNormalization's statistics and weights are those of a training.
constexpr int64_t kTrainingBatch = 16, kMostSteps = 60;
ShortTraining trainingOf(const std::string& network, bool unusual_gammas) {
  // Behind 20 steps its logits lie so close together that a tie, carried through layers of attention,
  // decides the class of one image in 600.
  if (network == "vit_tiny") return {kMostSteps, kTrainingBatch, 0.05f, unusual_gammas};
  return {20, kTrainingBatch, 0.02f, unusual_gammas};
}
constexpr int64_t kTestImages = 2500;
constexpr int64_t kTestBatch = 50;
// Intermediate values are many: node by node on fewer images.
constexpr int64_t kNodeImages = 16;

void checkEndToEnd(const std::string& what, const Tensor& a, const Tensor& b, double scale) {
  INFO(what);
  Difference difference;
  difference.add(a, b, scale);
  const double same_class = classAgreement(a, b);
  WARN(what << ", end to end: " << 100 * difference.withinOne() << "% within one step, at most "
            << difference.largest << "; same class on " << 100 * same_class << "%");
  CHECK(difference.withinOne() >= 0.99);
  CHECK(same_class >= 0.999);
}

void checkNodes(const std::string& what, const std::map<std::string, Difference>& nodes) {
  Difference all;
  std::string worst;
  double most = 0;
  for (const auto& [name, difference] : nodes) {
    if (difference.shareDiffering() > most) {
      worst = name;
      most = difference.shareDiffering();
    }
    INFO(what << ": '" << name << "' " << difference.differing << " of " << difference.elements
              << " elements differ, " << difference.beyond_one << " by more than a step");
    CHECK(difference.largest <= 1);
    all.merge(difference);
  }
  REQUIRE(all.elements > 0);
  WARN(what << ", node by node: " << nodes.size() << " values, at most " << all.largest
            << " steps, " << 100 * all.shareDiffering() << "% of " << all.elements
            << " elements differ"
            << (worst.empty() ? "" : fmt::format("; {:.2g}% of '{}'", 100 * most, worst)));
}

// Without VNNI ONNX Runtime's sums of two products of 8 bits saturate in 16: weights have 7 there.
ScaffoldOptions recipeForThisProcessor() {
  ScaffoldOptions recipe;
  if (kernels::detectedIsa() < kernels::Isa::kAvx512Vnni) recipe.weight.bits = 7;
  return recipe;
}

// On ONNX Runtime's integer kernels ties fall otherwise, so that what they do to a network is a
// matter of how far it is trained: end to end unusual gammas are ours alone.
class Judge {
 public:
  Judge(const std::string& network, bool unusual_gammas, ThreadPool& pool,
        const ScaffoldOptions& recipe = recipeForThisProcessor())
      : pool_(pool),
        side_(zoo::batch(network, "input").dims()[2]),
        test_(readImages("t10k", kTestImages, side_)),
        few_(rows(test_.pixels, 0, kNodeImages)),
        shipped_(shipNetwork(network, recipe,
                             readImages("train", kMostSteps * kTrainingBatch, side_),
                             trainingOf(network, unusual_gammas), pool)) {}

  // Returns what the exported file makes of the images.
  Tensor compareStages() {
    Tensor exported = evaluate(shipped_.exported);
    CHECK(exported.identical(evaluate(shipped_.finalized)));
    CHECK(exported.identical(evaluate(shipped_.trained)));
    return exported;
  }

  // End to end and node by node, in float arithmetic.
  void compareStagesAndNodes() {
    compareStages();
    compareNodes("ONNX Runtime, float QDQ", false);
  }

  void compareWithOnnxRuntime() {
    const Tensor exported = compareStages();
    for (const bool optimize : {false, true}) judge(optimize, exported);
  }

  void run() {
    compareWithOnnxRuntime();
    checkIntegerNodes();
    compareTrainedFile();
  }

 private:
  void judge(bool optimize, const Tensor& ours) {
    const std::string what =
        optimize ? "ONNX Runtime, integer kernels" : "ONNX Runtime, float QDQ";
    onnx_runtime::Options options;
    options.optimize = optimize;
    options.batch = kTestBatch;
    const auto theirs = onnx_runtime::run(shipped_.exported_path, "input", test_.pixels, options);
    checkEndToEnd(what, ours, theirs.at("logits"), outputScale());
    compareNodes(what, optimize);
  }

  // Every stretch between quantizers gets the codes that ONNX Runtime had there.
  void compareNodes(const std::string& what, bool optimize) {
    const std::string exposed = shipped_.exported_path + ".codes.onnx";
    onnx_runtime::exposeCodes(shipped_.exported_path, exposed);
    onnx_runtime::Options options;
    options.optimize = optimize;
    const NamedTensors theirs = onnx_runtime::run(exposed, "input", few_, options);
    const NamedTensors ours = codesGiven(shipped_.exported, few_, theirs, pool_);
    std::map<std::string, Difference> nodes;
    for (const auto& [name, codes] : ours) nodes[name].add(codes, theirs.at(name), 1);
    checkNodes(what, nodes);
    if (optimize) return;

    NamedTensors given;
    std::map<std::string, Dequantized> expected = dequantize(shipped_.exported, ours);
    for (const auto& [name, values] : dequantize(shipped_.exported, theirs)) {
      given[name] = values.values;
    }
    nodes.clear();
    for (const auto& [name, values] : 
         valuesGiven(shipped_.trained, Mode::kEvaluate, few_, given, pool_)) {
      const Dequantized& exported = expected.at(name);
      nodes[name].add(values, exported.values, exported.scale);
    }
    checkNodes("trained, and exported", nodes);
  }

  void checkIntegerNodes() {
    onnx_runtime::Options options;
    options.save_optimized = shipped_.exported_path + ".optimized.onnx";
    onnx_runtime::run(shipped_.exported_path, "input", few_, options);
    const std::string in_float = onnx_runtime::floatProducts(options.save_optimized);
    INFO(in_float);
    CHECK(in_float.empty());
  }

  // The scaffolded file is a training graph, and so ONNX Runtime normalizes by the batch.
  void compareTrainedFile() {
    const Graph& trained = shipped_.trained;
    const bool random = std::any_of(trained.nodes().begin(), trained.nodes().end(),
                                    [](const auto& node) { return node->op().random; });
    if (random) {
      WARN("the trained file in ONNX Runtime is not compared: its Dropout draws other numbers");
      return;
    }
    const std::string exposed = shipped_.trained_path + ".values.onnx";
    onnx_runtime::exposeCodes(shipped_.trained_path, exposed);
    onnx_runtime::Options options;
    options.optimize = false;
    const NamedTensors theirs = onnx_runtime::run(exposed, "input", few_, options);
    std::map<std::string, Difference> nodes;
    for (const auto& [name, values] : valuesGiven(trained, Mode::kTrain, few_, theirs, pool_)) {
      const Quantizer* quantizer = trained.findValue(name)->quantizer;
      nodes[name].add(values, theirs.at(name), *quantizer->scale->variable->value.data<float>());
    }
    checkNodes("the trained file, here and in ONNX Runtime", nodes);
  }

  Tensor evaluate(const Graph& graph) {
    return evaluateAll(graph, test_.pixels, kTestBatch, pool_);
  }

  // The last quantizer's.
  double outputScale() const {
    const Node* dequantize = shipped_.exported.outputs[0].value->producer();
    REQUIRE(dequantize->op().name == "DequantizeLinear");
    return *dequantize->input(1)->constant.data<float>();
  }

  ThreadPool& pool_;
  int64_t side_;
  Images test_;
  Tensor few_;
  ShippedNetwork shipped_;
};

std::string missingHere() {
  if (zoo::sharedFolder().empty()) return "../shared";
  if (!hasImages()) return "dataset-fashion-mnist";
  return onnx_runtime::missing();
}

TEST_CASE("what is trained is what ships, and what ONNX Runtime runs") {
  const std::string missing = missingHere();
  if (!missing.empty()) QAT_SKIP(missing << " is not here: tools/install_test_packages.sh");
  ThreadPool pool(2);
  for (const std::string& network : kNetworks) {
    DYNAMIC_SECTION(network) { Judge(network, false, pool).run(); }
  }
}

TEST_CASE("gammas of 0 and negative ones ship too") {
  const std::string missing = missingHere();
  if (!missing.empty()) QAT_SKIP(missing << " is not here: tools/install_test_packages.sh");
  ThreadPool pool(2);
  for (const std::string& network : kNetworks) {
    DYNAMIC_SECTION(network) { Judge(network, true, pool).compareStagesAndNodes(); }
  }
}

TEST_CASE("approximated functions ship as the operators that they were trained as") {
  const std::string missing = missingHere();
  if (!missing.empty()) QAT_SKIP(missing << " is not here: tools/install_test_packages.sh");
  ScaffoldOptions recipe = recipeForThisProcessor();
  Approximation segments;
  segments.op_type = "HardSwish";
  segments.segments = 16;
  Approximation table;
  table.op_type = "HardSigmoid";
  table.table = 64;
  recipe.approximations = {segments, table};
  ThreadPool pool(2);
  Judge("mobilenet_v3_tiny", false, pool, recipe).compareWithOnnxRuntime();
}

}  // namespace
}  // namespace simaqat
