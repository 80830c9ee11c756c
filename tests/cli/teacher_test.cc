// Learning from another network.
#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/catch.h"
#include "tests/cli/bad_input.h"
#include "tests/cli/run.h"
#include "tests/cli/samples.h"

using Catch::Approx;
using Json = nlohmann::json;
using namespace simaqat::cli;

namespace {

// Logits that are the bias, whatever the image.
std::string constantNetwork(const std::string& name, const std::vector<float>& logits) {
  onnx::ModelProto model = emptyModel();
  addInput(model, "input", onnx::TensorProto::FLOAT, {"N", "1", "8", "8"});
  addNode(model, "Flatten", {"input"}, {"flat"});
  addWeight(model, "w", {64, 4}, std::vector<float>(256, 0));
  addWeight(model, "b", {4}, logits);
  addNode(model, "Gemm", {"flat", "w", "b"}, {"logits"});
  addOutput(model, "logits");
  auto* shape =
      model.mutable_graph()->mutable_output(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
  shape->add_dim()->set_dim_param("N");
  shape->add_dim()->set_dim_value(4);
  return save(model, scratch(name));
}

Args base(const std::string& model, const std::string& teacher,
          const std::string& loss = "cross_entropy") {
  return {"train", model, "--loss", loss, "--data", stages().manifest, "--batch-size", "16",
          "--teacher", teacher};
}

// The first step's line.
Json firstStep(const Args& args) {
  const std::string metrics = scratch("teacher.jsonl");
  runWell(args + Args{"--steps", "1", "-o", scratch("taught.onnx"), "--metrics", metrics});
  return Json::parse(linesOf(bytesOf(metrics)).front());
}

// mean((logits - teacher/logits)^2)
std::string lossOfTeacher() {
  onnx::ModelProto loss = emptyModel();
  addInput(loss, "logits", onnx::TensorProto::FLOAT, {"N", "4"});
  addInput(loss, "teacher/logits", onnx::TensorProto::FLOAT, {"N", "4"});
  addNode(loss, "Sub", {"logits", "teacher/logits"}, {"difference"});
  addNode(loss, "Mul", {"difference", "difference"}, {"square"});
  auto* keep = addNode(loss, "ReduceMean", {"square"}, {"loss"})->add_attribute();
  keep->set_name("keepdims");
  keep->set_type(onnx::AttributeProto::INT);
  keep->set_i(0);
  addOutput(loss, "loss");
  return save(loss, scratch("teacher-loss.onnx"));
}

const std::vector<float> kStudent = {0.5f, -1, 2, 0};
const std::vector<float> kTeacher = {1, 1, -2, 3};

}  // namespace

TEST_CASE("distillation is T^2 times the divergence of the softened outputs") {
  const double t = 3;
  const auto softmax = [&](const std::vector<float>& logits) {
    std::vector<double> p;
    double sum = 0;
    for (float x : logits) p.push_back(std::exp(x / t));
    for (double x : p) sum += x;
    for (double& x : p) x /= sum;
    return p;
  };
  const std::vector<double> p = softmax(kTeacher);
  const std::vector<double> q = softmax(kStudent);
  double divergence = 0;
  for (size_t i = 0; i < 4; ++i) divergence += p[i] * std::log(p[i] / q[i]);

  const Json step = firstStep(base(constantNetwork("student.onnx", kStudent),
                                   constantNetwork("teacher.onnx", kTeacher)) +
                              Args{"--distill", "0.3,3"});
  const double task = step["task"].get<double>();
  CHECK(step["distillation"].get<double>() == Approx(t * t * divergence).epsilon(1e-5));
  CHECK(step["loss"].get<double>() == Approx(0.7 * task + 0.3 * t * t * divergence).epsilon(1e-5));
}

TEST_CASE("a network learns from its teacher alone") {
  const std::string fp32 = scratch("fp32.onnx");
  runWell({"train", stages().source, "--loss", "cross_entropy", "--data", stages().manifest, "-o",
           fp32, "--epochs", "6", "--batch-size", "16", "--lr", "0.05"});
  const std::string taught = scratch("taught.onnx");
  const Args args = base(stages().prepared, fp32) +
                    Args{"--distill", "1,2", "--epochs", "6", "--lr", "0.05"};
  const std::string metrics = scratch("taught.jsonl");
  runWell(args + Args{"-o", taught, "--eval-every", "6", "--metrics", metrics});
  const Json file = Json::parse(
      runWell({"eval", taught, "--data", stages().manifest, "--loss", "cross_entropy",
               "--batch-size", "16", "--json"})
          .out);
  CHECK(file["top1"].get<double>() > 0.9);
  // The evaluation sees the teacher as well; the task's part of it needs none.
  const Json last = Json::parse(linesOf(bytesOf(metrics)).back())["eval"];
  CHECK(last["task"] == file["loss"]);
  CHECK(last["loss"] == last["distillation"]);
  // Nothing of the teacher is in the file.
  CHECK(weightsOf(taught).size() == weightsOf(stages().prepared).size());
}

TEST_CASE("a loss graph sees the teacher's outputs") {
  const std::string student = constantNetwork("student.onnx", kStudent);
  const std::string teacher = constantNetwork("teacher.onnx", kTeacher);
  double expected = 0;
  for (size_t i = 0; i < 4; ++i) expected += std::pow(kStudent[i] - kTeacher[i], 2) / 4;
  const Json step = firstStep(base(student, teacher, lossOfTeacher()));
  CHECK(step["loss"].get<double>() == Approx(expected));
  // The teacher's part of an evaluation by itself.
  const Json evaluated = Json::parse(runWell({"eval", student, "--data", stages().manifest,
                                              "--loss", lossOfTeacher(), "--teacher", teacher,
                                              "--json"})
                                         .out);
  CHECK(evaluated["loss"].get<double>() == Approx(expected));
}

TEST_CASE("teachers that cannot be") {
  const Stages& s = stages();
  expectBadInput(base(s.prepared, s.prepared) + Args{"--distill", "0.5,2"},
                 {"prepared.onnx", "is prepared; a teacher is an FP32 model"});
  expectBadInput(base(s.prepared, s.source), {"source.onnx", "uses no output of the teacher"});
  onnx::ModelProto other = load(constantNetwork("other.onnx", kTeacher));
  other.mutable_graph()->mutable_input(0)->set_name("pixels");
  *other.mutable_graph()->mutable_node(0)->mutable_input(0) = "pixels";
  expectBadInput(base(s.prepared, save(other, scratch("other.onnx"))) + Args{"--distill", "0.5,2"},
                 {"other.onnx", "'pixels'", "input"});
  const auto refused = [&](const Args& args) {
    const Result result = runUntouched(args);
    CHECK(result.status == 2);
    CHECK_THAT(result.err, Catch::Matchers::ContainsSubstring("--distill"));
  };
  refused(base(s.prepared, s.source) + Args{"--distill", "1.5,2"});
  refused(base(s.prepared, s.source) + Args{"--distill", "0.5,0"});
  refused(base(s.prepared, s.source) + Args{"--distill", "0.5"});
  refused(trainArgs(s.prepared, s.manifest) + Args{"--distill", "0.5,2"});
}

TEST_CASE("a run resumes with its teacher alone") {
  const Stages& s = stages();
  const std::string checkpoint = scratch("teacher.checkpoint");
  const Args args = Args{"--distill", "0.5,2", "--steps", "10", "-o", scratch("resumed.onnx"),
                         "--checkpoint", checkpoint, "--checkpoint-every", "5"};
  runWell(base(s.prepared, s.source) + args);
  runWell(base(s.prepared, s.source) + args + Args{"--resume", checkpoint});
  const std::string other = constantNetwork("teacher.onnx", kTeacher);
  checkOneLine(run(base(s.prepared, other) + args + Args{"--resume", checkpoint}),
               {"teacher.checkpoint", "another teacher"});
}
