// Compares an exported classifier in our evaluation with ONNX Runtime, end to end on all images of
// a .npy file and node by node on some, and prints what it found as JSON. Run in the project's
// root.
//
//   compare_file EXPORTED.onnx IMAGES.npy [IMAGES_NODE_BY_NODE]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "qat/data/array_reader.h"
#include "qat/train/model.h"
#include "tests/agreement/difference.h"
#include "tests/agreement/images.h"
#include "tests/agreement/onnx_runtime.h"
#include "tests/agreement/shipped_network.h"
#include "tests/agreement/teacher_forcing.h"

namespace simaqat {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kBatch = 250;

// ONNX Runtime refuses some files with codes of 4 bits (docs/RECIPE.md), and hands none out.
template <class F>
Json orItsError(const F& run) {
  try {
    return run();
  } catch (const std::runtime_error& error) {
    return {{"error", std::string(error.what()).substr(0, 200)}};
  }
}

class Comparison {
 public:
  Comparison(const std::string& path, const Tensor& images, int64_t few)
      : pool_(availableProcessors()),
        path_(path),
        graph_(loadModel(path).graph),
        input_(graph_.inputs.at(0)->name()),
        images_(images),
        few_(rows(images, 0, few)),
        ours_(evaluateAll(graph_, images, kBatch, pool_)) {}

  Json run(bool optimize) {
    onnx_runtime::Options options;
    options.optimize = optimize;
    options.batch = kBatch;
    const Tensor theirs =
        onnx_runtime::run(path_, input_, images_, options).at(graph_.outputs.at(0).name);
    Difference end;
    end.add(ours_, theirs, outputScale());
    Json result = {{"same_class", classAgreement(ours_, theirs)},
                   {"within_one_step", end.withinOne()},
                   {"largest", end.largest}};
    result["nodes"] = orItsError([&] { return compareNodes(optimize); });
    return result;
  }

 private:
  double outputScale() const {
    const Node* dequantize = graph_.outputs[0].value->producer();
    const bool is_quantized = dequantize->op().name == "DequantizeLinear";
    // A float output: in thousandths of its largest magnitude.
    if (is_quantized) return *dequantize->input(1)->constant.data<float>();
    float most = 0;
    for (float value : ours_.toVector<float>()) most = std::max(most, std::abs(value));
    return most / 1000;
  }

  // Every stretch between quantizers gets the codes that ONNX Runtime had there.
  Json compareNodes(bool optimize) {
    const std::string exposed = path_ + ".codes.onnx";
    onnx_runtime::exposeCodes(path_, exposed);
    onnx_runtime::Options options;
    options.optimize = optimize;
    const NamedTensors theirs = onnx_runtime::run(exposed, input_, few_, options);
    std::filesystem::remove(exposed);
    Difference all;
    Json nodes = Json::array();
    for (const auto& [name, codes] : codesGiven(graph_, few_, theirs, pool_)) {
      Difference difference;
      difference.add(codes, theirs.at(name), 1);
      all.merge(difference);
      nodes.push_back({{"node", name},
                       {"differing", difference.shareDiffering()},
                       {"largest", difference.largest}});
    }
    std::stable_sort(nodes.begin(), nodes.end(), [](const Json& a, const Json& b) {
      return a["differing"].get<double>() > b["differing"].get<double>();
    });
    return {{"count", nodes.size()},
            {"differing", all.shareDiffering()},
            {"largest", all.largest},
            {"worst", nodes.empty() ? Json() : nodes.front()}};
  }

  ThreadPool pool_;
  std::string path_;
  Graph graph_;
  std::string input_;
  Tensor images_;
  Tensor few_;
  Tensor ours_;
};

int compare(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: compare_file EXPORTED.onnx IMAGES.npy [IMAGES_NODE_BY_NODE]\n");
    return 2;
  }
  const std::string folder = std::filesystem::path(argv[1]).parent_path().string();
  setenv("TEST_TMPDIR", folder.empty() ? "." : folder.c_str(), 0);
  try {
    const Tensor images = readArray(argv[2]);
    const int64_t few = argc > 3 ? std::atoll(argv[3]) : 64;
    Comparison comparison(argv[1], images, std::min(few, images.dims().at(0)));
    const Json result = {{"none", orItsError([&] { return comparison.run(false); })},
                         {"all", orItsError([&] { return comparison.run(true); })}};
    std::printf("%s\n", result.dump().c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace simaqat

int main(int argc, char** argv) { return simaqat::compare(argc, argv); }
