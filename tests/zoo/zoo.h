// The zoo of real exports with PyTorch's references, beside the checkout in ../shared.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "qat/base/thread_pool.h"
#include "qat/data/array_reader.h"
#include "qat/ir/graph.h"
#include "qat/train/loss.h"
#include "qat/train/model.h"

namespace simaqat::zoo {

inline const std::vector<std::string> kNetworks = {
    "resnet20",          "mobilenet_v2_w035", "squeezenet_tiny",    "densenet_tiny",
    "efficientnet_tiny", "mobilenet_v3_tiny", "shufflenet_v2_tiny", "convnext_tiny_cfg",
    "vit_tiny",          "swin_tiny"};

// The folder ../shared seen from the project's root; empty where it is missing. A test's runfiles
// lead back to the sources by the link of this very package.
inline std::string sharedFolder() {
  const char* given = std::getenv("SIMAQAT_SHARED");
  if (given != nullptr) return given;
  std::error_code code;
  const auto source = std::filesystem::canonical("tests/zoo/zoo.h", code);
  if (code) return "";
  const auto shared = source.parent_path().parent_path().parent_path().parent_path() / "shared";
  return std::filesystem::exists(shared / "zoo") ? shared.string() : "";
}

inline std::string networkFolder(const std::string& name) { return sharedFolder() + "/zoo/" + name; }

inline Tensor batch(const std::string& network, const std::string& key) {
  return readArray(networkFolder(network) + "/batches.npz#" + key);
}

inline bool hasReference(const std::string& network, const std::string& key) {
  try {
    readArray(networkFolder(network) + "/reference.npz#" + key);
    return true;
  } catch (const Error&) {
    return false;
  }
}

inline Tensor reference(const std::string& network, const std::string& key) {
  return readArray(networkFolder(network) + "/reference.npz#" + key);
}

// Row `index` of the first axis.
inline Tensor slice(const Tensor& tensor, int64_t index) {
  std::vector<int64_t> dims(tensor.dims().begin() + 1, tensor.dims().end());
  Tensor row(tensor.type(), dims);
  std::copy_n(tensor.rawData() + static_cast<size_t>(index) * row.bytes(), row.bytes(),
              row.mutableRawData());
  return row;
}

// The model with mean cross entropy, as training joins them.
inline Graph joinedWithCrossEntropy(const Graph& model) {
  const std::vector<std::string> fields = {"input", "labels"};
  const Loss loss = loadLoss("cross_entropy", model, fields);
  return joinLoss(model, loss.graph, bindLoss(loss.graph, model, fields, {}));
}

inline std::map<std::string, std::vector<int64_t>> sampleDims(const Tensor& input) {
  return {{"input", {input.dims().begin() + 1, input.dims().end()}}, {"labels", {}}};
}

}  // namespace simaqat::zoo
