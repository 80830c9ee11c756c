// prepare --check: what would fail in training, before it is tried.
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/catch.h"
#include "tests/cli/run.h"
#include "tests/cli/samples.h"

namespace simaqat::cli {
namespace {

using nlohmann::json;

constexpr int kFloat = 1, kInt64 = 7;

json check(const std::string& model, int status, const Args& extra = {}) {
  const Result result = run(Args{"prepare", model, "--check", "--json"} + extra);
  INFO(result.err);
  CHECK(result.status == status);
  return json::parse(result.out);
}

// The text of the finding about `subject`; "" where there is none.
std::string finding(const json& report, const std::string& subject, bool fails) {
  for (const json& entry : report["findings"]) {
    if (entry["subject"] == subject && entry["fails"] == fails) return entry["text"];
  }
  return "";
}

// x [N, 4] times w to y [N, 2].
onnx::ModelProto linear(float first_weight) {
  onnx::ModelProto model = emptyModel();
  addInput(model, "x", kFloat, {"N", "4"});
  addWeight(model, "w", {4, 2}, {first_weight, 2, 3, 4, 5, 6, 7, 8});
  addNode(model, "MatMul", {"x", "w"}, {"y"});
  addOutput(model, "y");
  return model;
}

TEST_CASE("a sound network has no findings that fail, with data and with noise") {
  const std::string model = save(smallNetwork(), scratch("small.onnx"));
  const std::string manifest = writeStripes(scratch("stripes"), 16, 8);
  for (const Args& extra : {Args{}, Args{"--data", manifest}}) {
    const json report = check(model, 0, extra);
    CHECK(report["fails"] == false);
    CHECK(report["ranges"].size() > 5);
    for (const json& range : report["ranges"]) CHECK(range["min"] <= range["max"]);
  }
}

TEST_CASE("weights and values that are not finite") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const json weight = check(save(linear(nan), scratch("nan.onnx")), 3);
  CHECK(finding(weight, "w", true).find("1 of 8 elements are not finite") == 0);

  onnx::ModelProto model = linear(1);
  addNode(model, "Log", {"y"}, {"z"});
  model.mutable_graph()->mutable_output(0)->set_name("z");
  const json value = check(save(model, scratch("log.onnx")), 3);
  CHECK(finding(value, "z", true) == "Log makes the first value that is not finite");
}

TEST_CASE("parameters without a gradient") {
  onnx::ModelProto model = linear(1);
  addWeight(model, "gate", {2}, {-1e9f, -1e9f});
  addNode(model, "Add", {"y", "gate"}, {"g"});
  addNode(model, "Relu", {"g"}, {"z"});
  model.mutable_graph()->mutable_output(0)->set_name("z");
  const json report = check(save(model, scratch("dead.onnx")), 0);
  CHECK(finding(report, "w", false) == "its gradient is zero throughout");
}

TEST_CASE("a batch size that a Reshape fixes is named") {
  onnx::ModelProto model = linear(1);
  onnx::TensorProto* shape = addWeight(model, "shape", {2}, {});
  shape->set_data_type(kInt64);
  shape->clear_float_data();
  shape->clear_raw_data();
  for (const int64_t dim : {2, 4}) shape->add_int64_data(dim);
  addNode(model, "Reshape", {"y", "shape"}, {"z"})->set_name("squash");
  model.mutable_graph()->mutable_output(0)->set_name("z");
  const json report = check(save(model, scratch("baked.onnx")), 3);
  CHECK(finding(report, "batch size", true).find("Reshape 'squash'") != std::string::npos);
}

TEST_CASE("--check needs no output, and the rest does") {
  const std::string model = save(linear(1), scratch("linear.onnx"));
  CHECK(run({"prepare", model}).status == 2);
  CHECK(run({"prepare", model, "--json", "-o", scratch("p.onnx")}).status == 2);
}

}  // namespace
}  // namespace simaqat::cli
