// Initializers of every kind that files have: what they become in the graph.
#include <onnx/onnx_pb.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "qat/base/file.h"
#include "qat/onnx/import.h"
#include "qat/ops/registry.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

namespace fs = std::filesystem;
using Catch::Matchers::ContainsSubstring;
using Proto = onnx::TensorProto;

// A model that gives the initializer "w" as it is.
onnx::ModelProto modelOf(const Proto& tensor) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(17);
  onnx::GraphProto& graph = *model.mutable_graph();
  *graph.add_initializer() = tensor;
  onnx::NodeProto& node = *graph.add_node();
  node.set_op_type("Identity");
  node.add_input("w");
  node.add_output("y");
  graph.add_output()->set_name("y");
  return model;
}

Proto tensorOf(int type, const std::vector<int64_t>& dims) {
  Proto tensor;
  tensor.set_name("w");
  tensor.set_data_type(type);
  for (const int64_t dim : dims) tensor.add_dims(dim);
  return tensor;
}

template <class T>
Proto raw(int type, const std::vector<T>& numbers) {
  Proto tensor = tensorOf(type, {static_cast<int64_t>(numbers.size())});
  tensor.set_raw_data(numbers.data(), numbers.size() * sizeof(T));
  return tensor;
}

Graph import(const Proto& tensor, const std::string& folder = "") {
  return importModelBytes(modelOf(tensor).SerializeAsString(), "model.onnx", folder, opRegistry());
}

// The variable that the initializer has become.
Tensor weight(const Proto& tensor) {
  const Graph graph = import(tensor);
  const Variable* variable = graph.findVariable("w");
  REQUIRE(variable != nullptr);
  return variable->value;
}

Tensor constant(const Proto& tensor) {
  const Graph graph = import(tensor);
  CHECK(graph.variables().empty());
  return graph.findValue("w")->constant;
}

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

}  // namespace

TEST_CASE("float16 becomes float, bit by bit") {
  const std::vector<uint16_t> bits = {0x0000, 0x8000, 0x3C00, 0xC500, 0x7BFF,
                                      0x0400, 0x0001, 0x83FF, 0x7C00, 0xFC00};
  const std::vector<float> expected = {
      0, -0.0f, 1, -5, 65504, 0x1p-14f, 0x1p-24f, -0x1.FF8p-15f, kInfinity, -kInfinity};
  Proto listed = tensorOf(Proto::FLOAT16, {static_cast<int64_t>(bits.size())});
  for (const uint16_t one : bits) listed.add_int32_data(one);
  for (const Proto& tensor : {raw(Proto::FLOAT16, bits), listed}) {
    CHECK(weight(tensor).identical(
        Tensor::of<float>({static_cast<int64_t>(expected.size())}, expected)));
  }
  CHECK(std::isnan(weight(raw<uint16_t>(Proto::FLOAT16, {0x7E01, 0})).data<float>()[0]));
}

TEST_CASE("bfloat16 becomes float, bit by bit") {
  const std::vector<uint16_t> bits = {0x3F80, 0xC0A0, 0x0001, 0x7F80, 0x8000};
  const std::vector<float> expected = {1, -5, 0x1p-133f, kInfinity, -0.0f};
  CHECK(weight(raw(Proto::BFLOAT16, bits)).identical(Tensor::of<float>({5}, expected)));
}

TEST_CASE("a value's 16-bit type is float too") {
  onnx::ModelProto model = modelOf(raw<uint16_t>(Proto::FLOAT16, {0x3C00, 0x3C00}));
  onnx::ValueInfoProto& input = *model.mutable_graph()->add_input();
  input.set_name("x");
  input.mutable_type()->mutable_tensor_type()->set_elem_type(Proto::FLOAT16);
  onnx::NodeProto& node = *model.mutable_graph()->add_node();
  node.set_op_type("Add");
  node.add_input("x");
  node.add_input("y");
  node.add_output("z");
  model.mutable_graph()->mutable_output(0)->set_name("z");
  const Graph graph = importModelBytes(model.SerializeAsString(), "model.onnx", "", opRegistry());
  CHECK(graph.outputs[0].value->type.element == ElementType::kFloat);
}

TEST_CASE("doubles, and floats in lists, are weights") {
  CHECK(
      weight(raw<double>(Proto::DOUBLE, {0.1, -2})).identical(Tensor::of<double>({2}, {0.1, -2})));
  Proto floats = tensorOf(Proto::FLOAT, {3});
  for (const float x : {1.5f, -2.0f, kNaN}) floats.add_float_data(x);
  const Tensor tensor = weight(floats);
  CHECK(tensor.data<float>()[0] == 1.5f);
  CHECK(std::isnan(tensor.data<float>()[2]));
}

TEST_CASE("integers and booleans are constants") {
  CHECK(constant(raw<int64_t>(Proto::INT64, {-1, int64_t{1} << 40}))
            .identical(Tensor::of<int64_t>({2}, {-1, int64_t{1} << 40})));
  CHECK(constant(raw<int32_t>(Proto::INT32, {-7, 8})).identical(Tensor::of<int32_t>({2}, {-7, 8})));
  CHECK(
      constant(raw<uint8_t>(Proto::UINT8, {0, 255})).identical(Tensor::of<uint8_t>({2}, {0, 255})));
  Proto listed = tensorOf(Proto::INT8, {2});
  listed.add_int32_data(-128);
  listed.add_int32_data(127);
  CHECK(constant(listed).identical(Tensor::of<int8_t>({2}, {-128, 127})));
  Proto truths = tensorOf(Proto::BOOL, {2});
  truths.add_int32_data(0);
  truths.add_int32_data(1);
  CHECK(constant(truths).toVector<int>() == std::vector<int>{0, 1});
}

TEST_CASE("what cannot be read is named") {
  const auto rejects = [](const Proto& tensor, const std::string& message) {
    CHECK_THROWS_WITH(import(tensor), ContainsSubstring("'w'") && ContainsSubstring(message));
  };
  Proto strings = tensorOf(Proto::STRING, {1});
  strings.add_string_data("text");
  rejects(strings, "element type string is not supported");
  Proto half = raw<uint16_t>(Proto::FLOAT16, {0x3C00});
  half.set_dims(0, 2);
  rejects(half, "expected 2 elements");
  Proto cut = raw<float>(Proto::FLOAT, {1, 2});
  cut.set_dims(0, 3);
  rejects(cut, "ask for 3 elements, the file holds 2");
}

TEST_CASE("external data is read from behind 4 GiB") {
  const fs::path folder = fs::temp_directory_path() / "simaqat_sparse_data";
  fs::remove_all(folder);
  fs::create_directories(folder);
  // Almost all of the file is a hole, which takes no disk.
  const int64_t offset = (int64_t{5} << 30) + 64;
  const std::vector<float> numbers = {1, 2, 3};
  {
    std::ofstream file(folder / "weights.bin", std::ios::binary);
    file.seekp(offset);
    file.write(reinterpret_cast<const char*>(numbers.data()), 12);
  }
  Proto tensor = tensorOf(Proto::FLOAT, {3});
  tensor.set_data_location(Proto::EXTERNAL);
  const auto entry = [&](const std::string& key, const std::string& value) {
    auto* e = tensor.add_external_data();
    e->set_key(key);
    e->set_value(value);
  };
  entry("location", "weights.bin");
  entry("offset", std::to_string(offset));
  entry("length", "12");
  const Graph graph = import(tensor, folder.string());
  CHECK(graph.findVariable("w")->value.identical(Tensor::of<float>({3}, numbers)));
  fs::remove_all(folder);
}

}  // namespace simaqat
