#include "tests/cli/samples.h"

#include <fstream>

#include "qat/base/random.h"
#include "tests/catch.h"
#include "tests/cli/run.h"

namespace simaqat::cli {
namespace {

constexpr int64_t kSide = 8;
constexpr int64_t kClasses = 4;

std::vector<float> randomWeights(const std::string& name, int64_t count, float scale) {
  const RandomStream stream(7, randomPurpose(name), 0);
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) {
    values.push_back(scale * stream.normal(static_cast<uint64_t>(i)));
  }
  return values;
}

void addInts(onnx::NodeProto* node, const std::string& name, const std::vector<int64_t>& values) {
  onnx::AttributeProto* attribute = node->add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::INTS);
  for (int64_t value : values) attribute->add_ints(value);
}

void addInt(onnx::NodeProto* node, const std::string& name, int64_t value) {
  onnx::AttributeProto* attribute = node->add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::INT);
  attribute->set_i(value);
}

std::string convBnRelu(onnx::ModelProto& model, const std::string& name, const std::string& input,
                       int64_t in, int64_t out, int64_t stride) {
  const auto filled = [&](float value) {
    return std::vector<float>(static_cast<size_t>(out), value);
  };
  addWeight(model, name + ".weight", {out, in, 3, 3}, randomWeights(name, out * in * 9, 0.4f));
  addWeight(model, name + ".gamma", {out}, filled(1));
  addWeight(model, name + ".beta", {out}, filled(0));
  addWeight(model, name + ".mean", {out}, filled(0));
  addWeight(model, name + ".var", {out}, filled(1));
  onnx::NodeProto* conv = addNode(model, "Conv", {input, name + ".weight"}, {name + "/conv"});
  addInts(conv, "kernel_shape", {3, 3});
  addInts(conv, "pads", {1, 1, 1, 1});
  addInts(conv, "strides", {stride, stride});
  onnx::NodeProto* norm =
      addNode(model, "BatchNormalization",
              {name + "/conv", name + ".gamma", name + ".beta", name + ".mean", name + ".var"},
              {name + "/bn", name + "/mean_out", name + "/var_out"});
  addInt(norm, "training_mode", 1);
  addNode(model, "Relu", {name + "/bn"}, {name + "/relu"});
  return name + "/relu";
}

// Stripes keep their kind when an image is shifted or mirrored.
uint8_t pixel(uint8_t kind, int64_t y, int64_t x, uint32_t noise) {
  const bool bright = kind == 0   ? y % 2 == 0
                      : kind == 1 ? x % 2 == 0
                      : kind == 2 ? (x + y) % 2 == 0
                                  : false;
  return static_cast<uint8_t>((bright ? 150 : 40) + noise);
}

void writeSplit(const std::string& folder, const std::string& split, int64_t samples) {
  const RandomStream stream(3, randomPurpose(split), 0);
  std::vector<uint8_t> images;
  std::vector<uint8_t> labels;
  uint64_t draw = 0;
  for (int64_t i = 0; i < samples; ++i) {
    const auto kind = static_cast<uint8_t>(i % kClasses);
    labels.push_back(kind);
    for (int64_t y = 0; y < kSide; ++y) {
      for (int64_t x = 0; x < kSide; ++x) {
        images.push_back(pixel(kind, y, x, stream.below(draw++, 100)));
      }
    }
  }
  const auto count = static_cast<uint32_t>(samples);
  saveText(idx(images, {count, kSide, kSide}), folder + "/" + split + "-images");
  saveText(idx(labels, {count}), folder + "/" + split + "-labels");
}

}  // namespace

onnx::ModelProto emptyModel() {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(17);
  model.mutable_graph()->set_name("test");
  return model;
}

onnx::NodeProto* addNode(onnx::ModelProto& model, const std::string& op_type,
                         const std::vector<std::string>& inputs,
                         const std::vector<std::string>& outputs) {
  onnx::NodeProto* node = model.mutable_graph()->add_node();
  node->set_op_type(op_type);
  node->set_name("/" + outputs[0]);
  for (const std::string& input : inputs) node->add_input(input);
  for (const std::string& output : outputs) node->add_output(output);
  return node;
}

void addInput(onnx::ModelProto& model, const std::string& name, int element_type,
              const std::vector<std::string>& dims) {
  onnx::ValueInfoProto* input = model.mutable_graph()->add_input();
  input->set_name(name);
  auto* tensor = input->mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(element_type);
  for (const std::string& dim : dims) {
    auto* entry = tensor->mutable_shape()->add_dim();
    if (std::isdigit(static_cast<unsigned char>(dim[0])) != 0) {
      entry->set_dim_value(std::stoll(dim));
    } else {
      entry->set_dim_param(dim);
    }
  }
}

void addOutput(onnx::ModelProto& model, const std::string& name) {
  onnx::ValueInfoProto* output = model.mutable_graph()->add_output();
  output->set_name(name);
  output->mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::FLOAT);
}

onnx::TensorProto* addWeight(onnx::ModelProto& model, const std::string& name,
                             const std::vector<int64_t>& dims, const std::vector<float>& values) {
  onnx::TensorProto* tensor = model.mutable_graph()->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::FLOAT);
  for (int64_t dim : dims) tensor->add_dims(dim);
  for (float value : values) tensor->add_float_data(value);
  return tensor;
}

void fixBatch(onnx::ModelProto& model, int64_t batch) {
  const auto fix = [&](onnx::ValueInfoProto* value) {
    auto* shape = value->mutable_type()->mutable_tensor_type()->mutable_shape();
    if (shape->dim_size() > 0) shape->mutable_dim(0)->set_dim_value(batch);
  };
  for (auto& value : *model.mutable_graph()->mutable_input()) fix(&value);
  for (auto& value : *model.mutable_graph()->mutable_output()) fix(&value);
}

onnx::ModelProto smallNetwork() {
  onnx::ModelProto model = emptyModel();
  addInput(model, "input", onnx::TensorProto::FLOAT, {"N", "1", "8", "8"});
  std::string x = convBnRelu(model, "first", "input", 1, 6, 1);
  x = convBnRelu(model, "second", x, 6, 8, 2);
  addNode(model, "GlobalAveragePool", {x}, {"pooled"});
  addNode(model, "Flatten", {"pooled"}, {"flat"});
  addWeight(model, "fc.weight", {kClasses, 8}, randomWeights("fc", kClasses * 8, 0.4f));
  addWeight(model, "fc.bias", {kClasses}, std::vector<float>(kClasses, 0));
  addInt(addNode(model, "Gemm", {"flat", "fc.weight", "fc.bias"}, {"logits"}), "transB", 1);
  addOutput(model, "logits");
  auto* shape = model.mutable_graph()
                    ->mutable_output(0)
                    ->mutable_type()
                    ->mutable_tensor_type()
                    ->mutable_shape();
  shape->add_dim()->set_dim_param("N");
  shape->add_dim()->set_dim_value(kClasses);
  return model;
}

onnx::ModelProto load(const std::string& path) {
  onnx::ModelProto model;
  REQUIRE(model.ParseFromString(bytesOf(path)));
  return model;
}

std::map<std::string, std::string> weightsOf(const std::string& path) {
  std::map<std::string, std::string> weights;
  const onnx::ModelProto model = load(path);
  for (const auto& tensor : model.graph().initializer()) {
    const auto& floats = tensor.float_data();
    weights[tensor.name()] = floats.empty()
                                 ? tensor.raw_data()
                                 : std::string(reinterpret_cast<const char*>(floats.data()),
                                               static_cast<size_t>(floats.size()) * sizeof(float));
  }
  return weights;
}

std::string saveText(const std::string& text, const std::string& path) {
  std::ofstream stream(path, std::ios::binary);
  stream << text;
  REQUIRE(stream.flush().good());
  return path;
}

std::string save(const onnx::ModelProto& model, const std::string& path) {
  return saveText(model.SerializeAsString(), path);
}

std::string idx(const std::vector<uint8_t>& values, const std::vector<uint32_t>& dims) {
  std::string bytes = {0, 0, 8, static_cast<char>(dims.size())};
  for (uint32_t dim : dims) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(dim >> shift);
  }
  bytes.append(values.begin(), values.end());
  return bytes;
}

std::string npy(const std::vector<float>& values, const std::vector<int64_t>& dims) {
  std::string shape;
  for (int64_t dim : dims) shape += std::to_string(dim) + ", ";
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.resize(118, ' ');
  std::string bytes = "\x93NUMPY";
  bytes += {1, 0, static_cast<char>(header.size()), 0};
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  return bytes;
}

std::string writeFashion(const std::string& folder, uint32_t samples) {
  std::vector<uint8_t> images;
  std::vector<uint8_t> labels;
  for (uint32_t i = 0; i < samples; ++i) {
    labels.push_back(static_cast<uint8_t>(i % 10));
    for (uint32_t k = 0; k < 28 * 28; ++k) {
      images.push_back(static_cast<uint8_t>(k * (i % 10 + 1) * 7 + (k * i * 2654435761u >> 26)));
    }
  }
  const std::string path = scratch(folder + "/data.json");
  saveText(idx(images, {samples, 28, 28}), scratch(folder + "/images"));
  saveText(idx(labels, {samples}), scratch(folder + "/labels"));
  const std::string fields = R"({"fields": {"input": {"array": "images", "transforms":
      [{"horizontal_flip": {}}, {"normalize": {"scale": 255, "mean": [0.5], "std": [0.3]}}]},
      "labels": {"array": "labels"}}})";
  return saveText(R"({"splits": {"train": )" + fields + R"(, "test": )" + fields + "}}", path);
}

std::string writeStripes(const std::string& folder, int64_t train, int64_t test) {
  const std::string path = scratch(folder + "/data.json");
  writeSplit(scratch(folder), "train", train);
  writeSplit(scratch(folder), "test", test);
  return saveText(R"({"splits": {
    "train": {"fields": {
      "input": {"array": "train-images", "transforms": [{"pad_crop": {"padding": 1}},
        {"horizontal_flip": {}}, {"normalize": {"scale": 255, "mean": [0.45], "std": [0.25]}}]},
      "labels": {"array": "train-labels"}}},
    "test": {"fields": {
      "input": {"array": "test-images",
        "transforms": [{"normalize": {"scale": 255, "mean": [0.45], "std": [0.25]}}]},
      "labels": {"array": "test-labels"}}}}})",
                  path);
}

const Stages& stages() {
  static const Stages& made = *[] {
    auto* s = new Stages{writeStripes("stages", 256, 100), scratch("stages/source.onnx"),
                         scratch("stages/prepared.onnx"),  scratch("stages/trained.onnx"),
                         scratch("stages/finalized.onnx"), scratch("stages/exported.onnx")};
    save(smallNetwork(), s->source);
    runWell({"prepare", s->source, "-o", s->prepared});
    runWell({"train", s->prepared, "--loss", "cross_entropy", "--data", s->manifest, "-o",
             s->trained, "--epochs", "6", "--batch-size", "16", "--lr", "0.05"});
    runWell({"finalize", s->trained, "-o", s->finalized});
    runWell({"export", s->finalized, "-o", s->exported});
    return s;
  }();
  return made;
}

}  // namespace simaqat::cli
