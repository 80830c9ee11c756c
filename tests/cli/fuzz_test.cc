// Damaged files end in an Error or are read; they never crash, and ask for no more memory than a
// small multiple of what they hold.
#include <sys/resource.h>

#include <functional>
#include <limits>
#include <new>
#include <random>

#include "qat/base/error.h"
#include "qat/base/hash.h"
#include "qat/data/manifest.h"
#include "qat/onnx/import.h"
#include "qat/ops/registry.h"
#include "qat/train/checkpoint.h"
#include "qat/train/model.h"
#include "qat/train/step_graph.h"
#include "tests/catch.h"
#include "tests/cli/run.h"
#include "tests/cli/samples.h"
#include "tools/recipe.h"

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

// ---- Damage to a message: one field somewhere in it has another value -----------------------

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// All messages within `message`, it included.
void collect(Message* message, std::vector<Message*>& all) {
  all.push_back(message);
  const auto* reflection = message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      collect(reflection->MutableMessage(message, field), all);
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(*message, field); ++i) {
      collect(reflection->MutableRepeatedMessage(message, field, i), all);
    }
  }
}

void changeRepeated(Message* message, const FieldDescriptor* field, std::mt19937& random) {
  const auto* reflection = message->GetReflection();
  const int size = reflection->FieldSize(*message, field);
  const int at = static_cast<int>(random() % static_cast<uint32_t>(size));
  const int64_t numbers[] = {0, -1, 1, 3, int64_t{1} << 31, std::numeric_limits<int64_t>::max()};
  if (random() % 2 == 0 && field->cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
    reflection->SetRepeatedInt64(message, field, at, numbers[random() % std::size(numbers)]);
  } else if (random() % 2 == 0) {
    reflection->SwapElements(message, field, at, 0);
  } else if (random() % 2 == 0 && field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    auto* copy = reflection->AddMessage(message, field);
    copy->CopyFrom(reflection->GetRepeatedMessage(*message, field, at));
  } else {
    reflection->SwapElements(message, field, at, size - 1);
    reflection->RemoveLast(message, field);
  }
}

std::string changedMessage(const std::string& bytes, std::mt19937& random) {
  onnx::ModelProto model;
  model.ParseFromString(bytes);
  std::vector<Message*> all;
  collect(&model, all);
  Message* message = all[random() % all.size()];
  const auto* reflection = message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(*message, &fields);
  if (fields.empty()) return model.SerializeAsString();
  const FieldDescriptor* field = fields[random() % fields.size()];
  if (field->is_repeated()) {
    changeRepeated(message, field, random);
  } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_INT64 && random() % 2 == 0) {
    reflection->SetInt64(message, field, static_cast<int64_t>(random()) - 100);
  } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_INT32 && random() % 2 == 0) {
    reflection->SetInt32(message, field, static_cast<int32_t>(random() % 30));
  } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING && random() % 2 == 0) {
    const char* const names[] = {"", "input", "first.weight", "logits", "kernel_shape", "Conv"};
    reflection->SetString(message, field, names[random() % std::size(names)]);
  } else {
    reflection->ClearField(message, field);
  }
  return model.SerializeAsString();
}

// Damage to text: a byte, or a piece of it that is gone, doubled, or replaced by another piece.
std::string damagedText(std::string text, std::mt19937& random) {
  static const char* const kPieces[] = {"null", "{}", "[]",  "\"\"", "1e999", "-1", "NaN", ":",
                                        "{",    "}",  "\\u", "\xff", "[[[[[", ",",  "true"};
  const auto below = [&](size_t bound) { return static_cast<size_t>(random() % bound); };
  for (size_t changes = 1 + below(3); changes > 0; --changes) {
    const size_t at = below(text.size());
    const size_t length = std::min(text.size() - at, below(12));
    const std::string piece = text.substr(at, length);
    switch (below(4)) {
      case 0:
        text.erase(at, length);
        break;
      case 1:
        text.insert(at, piece);
        break;
      case 2:
        text.replace(at, length, kPieces[below(std::size(kPieces))]);
        break;
      default:
        text[at] = static_cast<char>(random());
    }
    if (text.empty()) text = "{";
  }
  return text;
}

// `read` throws Errors alone, whatever the bytes.
void fuzz(const std::string& whole, int runs,
          const std::function<std::string(std::string, std::mt19937&)>& damage,
          const std::function<void(const std::string&)>& read) {
  std::mt19937 random(20);
  int refused = 0;
  for (int i = 0; i < runs; ++i) {
    const std::string bytes = damage(whole, random);
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
  const std::string file = scratch("damaged.onnx");
  for (const std::string& path : {s.source, s.prepared, s.exported}) {
    INFO(path);
    const std::string whole = bytesOf(path);
    fuzz(whole, 300, damaged, [](const std::string& bytes) {
      importModelBytes(bytes, "damaged.onnx", scratch("."), opRegistry());
    });
    fuzz(whole, 200, damaged, [&](const std::string& bytes) { loadModel(saveText(bytes, file)); });
  }
}

TEST_CASE("well-formed files that make no sense") {
  const Stages& s = stages();
  const std::string file = scratch("senseless.onnx");
  for (const std::string& path : {s.source, s.prepared, s.exported}) {
    INFO(path);
    fuzz(bytesOf(path), 400, changedMessage, [&](const std::string& bytes) {
      const Model model = loadModel(saveText(bytes, file));
      buildInference(model.graph.clone(), Mode::kEvaluate, 2, {});
    });
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
  fuzz(model.SerializeAsString(), 1000, damaged,
       [&](const std::string& bytes) { loadModel(saveText(bytes, file)); });
}

TEST_CASE("damaged manifests and recipes") {
  const std::string file = scratch("damaged.json");
  const std::string manifest = bytesOf(stages().manifest);
  fuzz(manifest, 2000, damagedText,
       [&](const std::string& text) { loadManifest(saveText(text, file)); });
  const std::string recipe = R"({"preset": "sima", "overrides": [
      {"node": "/head/*", "quantize": false}, {"op_type": "Add", "quantize": true}]})";
  const auto read = [&](const std::string& text) {
    std::string hash;
    loadRecipe(saveText(text, file), &hash);
  };
  fuzz(recipe, 2000, damagedText, read);
  // Nested as deep as the file is long.
  for (const char* open : {"[", "{\"overrides\": [", "{\"splits\": {\"a\": "}) {
    std::string deep;
    for (int i = 0; i < 100000; ++i) deep += open;
    CHECK_THROWS_AS(loadManifest(saveText(deep, file)), Error);
    CHECK_THROWS_AS(read(deep), Error);
  }
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
  fuzz(whole, 300, damaged,
       [&](const std::string& bytes) { readCheckpoint(saveText(bytes, file)); });
  // Damage that the hash does not show, as a program with a bug could write it.
  const std::string body = whole.substr(0, whole.size() - 32);
  fuzz(body, 1000, damaged,
       [&](const std::string& bytes) { readCheckpoint(saveText(bytes + hashHex(bytes), file)); });
}
