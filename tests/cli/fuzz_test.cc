// Damaged files end in an Error or are read; they never crash, and ask for no more memory than a
// small multiple of what they hold.
#include <sys/resource.h>

#include <functional>
#include <new>
#include <random>

#include "qat/base/error.h"
#include "qat/base/hash.h"
#include "qat/onnx/import.h"
#include "qat/ops/registry.h"
#include "qat/train/checkpoint.h"
#include "qat/train/model.h"
#include "tests/catch.h"
#include "tests/cli/run.h"
#include "tests/cli/samples.h"

using namespace simaqat;
using namespace simaqat::cli;

namespace {

constexpr int64_t kMostMegabytes = 1024;

int64_t peakMegabytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

std::string damaged(std::string bytes, std::mt19937& random) {
  const auto below = [&](size_t bound) { return static_cast<size_t>(random() % bound); };
  if (below(5) == 0) return bytes.substr(0, below(bytes.size()));
  for (size_t flips = 1 + below(6); flips > 0; --flips) {
    bytes[below(bytes.size())] = static_cast<char>(random());
  }
  return bytes;
}

// `read` throws Errors alone, whatever the bytes.
void fuzz(const std::string& whole, int runs, const std::function<void(const std::string&)>& read) {
  std::mt19937 random(20);
  int refused = 0;
  for (int i = 0; i < runs; ++i) {
    const std::string bytes = damaged(whole, random);
    try {
      read(bytes);
    } catch (const Error& error) {
      ++refused;
      INFO(error.what());
      CHECK(error.kind() == ErrorKind::kInput);
      CHECK(!std::string(error.what()).empty());
    } catch (const std::exception& error) {
      FAIL_CHECK("damage " << i << ": " << error.what());
    }
  }
  CHECK(refused > 0);
  CHECK(peakMegabytes() < kMostMegabytes);
}

}  // namespace

TEST_CASE("damaged model files") {
  const Stages& s = stages();
  for (const std::string& path : {s.source, s.prepared, s.exported}) {
    INFO(path);
    // Weights are most of the bytes and any value of theirs is fine: without them damage matters.
    onnx::ModelProto model;
    REQUIRE(model.ParseFromString(bytesOf(path)));
    const std::string whole = model.SerializeAsString();
    fuzz(whole, 300, [](const std::string& bytes) {
      importModelBytes(bytes, "damaged.onnx", scratch("."), opRegistry());
    });
    const std::string file = scratch("damaged.onnx");
    fuzz(whole, 200, [&](const std::string& bytes) { loadModel(saveText(bytes, file)); });
  }
}

TEST_CASE("damaged graphs without weights") {
  onnx::ModelProto model = smallNetwork();
  for (auto& tensor : *model.mutable_graph()->mutable_initializer()) {
    // As Constant nodes that a shape operator makes, they take no bytes.
    onnx::NodeProto* node = model.mutable_graph()->add_node();
    node->set_op_type("ConstantOfShape");
    node->set_name(tensor.name());
    node->add_input(tensor.name() + ".shape");
    node->add_output(tensor.name());
    onnx::TensorProto shape;
    shape.set_name(tensor.name() + ".shape");
    shape.set_data_type(onnx::TensorProto::INT64);
    shape.add_dims(tensor.dims_size());
    for (int64_t dim : tensor.dims()) shape.add_int64_data(dim);
    tensor = shape;
  }
  // Nodes stand behind what they take.
  auto* nodes = model.mutable_graph()->mutable_node();
  const int made = model.graph().initializer_size();
  std::rotate(nodes->begin(), nodes->end() - made, nodes->end());
  const std::string file = scratch("damaged-graph.onnx");
  fuzz(model.SerializeAsString(), 1000,
       [&](const std::string& bytes) { loadModel(saveText(bytes, file)); });
}

TEST_CASE("damaged checkpoints") {
  Checkpoint checkpoint;
  checkpoint.model_hash = hashHex("model");
  checkpoint.step = 5;
  checkpoint.variables["w"] = Tensor::of({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  checkpoint.variables["n"] = Tensor::scalar(int64_t{4});
  checkpoint.best_metric = 0.5;
  checkpoint.best_variables["w"] = Tensor::of({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  const std::string file = scratch("small.checkpoint");
  writeCheckpoint(file, checkpoint);
  const std::string whole = bytesOf(file);
  fuzz(whole, 300, [&](const std::string& bytes) { readCheckpoint(saveText(bytes, file)); });
  // Damage that the hash does not show, as a program with a bug could write it.
  const std::string body = whole.substr(0, whole.size() - 32);
  fuzz(body, 1000,
       [&](const std::string& bytes) { readCheckpoint(saveText(bytes + hashHex(bytes), file)); });
}
