#include "tests/cases/cases.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "kernels/isa.h"
#include "qat/data/array_reader.h"
#include "qat/data/npz.h"
#include "qat/ir/op.h"
#include "qat/train/model.h"
#include "tests/catch.h"
#include "tests/zoo/zoo.h"

namespace simaqat::cases {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string root() { return zoo::sharedFolder() + "/cases"; }

double norm(const std::vector<double>& v) {
  double sum = 0;
  for (const double x : v) sum += x * x;
  return std::sqrt(sum);
}

// While it lives, an element that a kernel leaves unwritten is an error (qat/exec/poison.h).
struct Poison {
  Poison() { ::setenv("SIMAQAT_POISON", "1", 1); }
  ~Poison() { ::unsetenv("SIMAQAT_POISON"); }
};

// The file's initializers and folded constants of floats, by name.
std::map<std::string, std::vector<double>> floatsOf(const std::string& path) {
  const Graph graph = graphOf(path);
  std::map<std::string, std::vector<double>> floats;
  for (const auto& variable : graph.variables()) {
    if (variable->role == VariableRole::kBatchNormStatistic) continue;
    floats[variable->name] = variable->value.toVector<double>();
  }
  for (const auto& value : graph.values()) {
    if (value->isConstant() && isFloatingPoint(value->type.element)) {
      floats[value->name()] = value->constant.toVector<double>();
    }
  }
  return floats;
}

std::vector<double> difference(const std::vector<double>& a, const std::vector<double>& b,
                               double divisor) {
  REQUIRE(a.size() == b.size());
  std::vector<double> d(a.size());
  for (size_t i = 0; i < a.size(); ++i) d[i] = (a[i] - b[i]) / divisor;
  return d;
}

}  // namespace

bool present() { return !zoo::sharedFolder().empty() && fs::exists(root()); }

Case::Case(const std::string& folder, const std::string& name) : folder(root() + "/" + folder) {
  const auto existing = [&](const std::string& suffix) {
    const std::string own = this->folder + "/" + name + "." + suffix;
    return fs::exists(own) ? own : this->folder + "/" + suffix;
  };
  model = this->folder + "/" + name + ".onnx";
  manifest = existing("manifest.json");
  expected = existing("expect.npz");
}

std::string Case::out(const std::string& file) const {
  return cli::scratch(fs::path(folder).filename().string() + "-" + fs::path(model).stem().string() +
                      "/" + file);
}

Tensor Case::value(const std::string& key) const { return readArray(expected + "#" + key); }
double Case::number(const std::string& key) const { return value(key).toVector<double>()[0]; }

std::string Case::loss() const {
  const std::string own = model.substr(0, model.size() - std::string(".onnx").size()) + ".loss.onnx";
  if (fs::exists(own)) return own;
  const json fields = json::parse(std::ifstream(manifest))["splits"]["train"]["fields"];
  return fields.contains("labels") ? "cross_entropy" : "mse";
}

int64_t Case::samples() const {
  const json fields = json::parse(std::ifstream(manifest))["splits"]["train"]["fields"];
  return readArray(folder + "/" + fields.begin().value()["array"].get<std::string>()).dims()[0];
}

void onEveryIsa(const std::function<void()>& function) {
  for (const kernels::Isa isa : kernels::kAllIsas) {
    if (isa > kernels::detectedIsa()) break;
    INFO("SIMAQAT_ISA=" << kernels::isaName(isa));
    ::setenv("SIMAQAT_ISA", kernels::isaName(isa), 1);
    function();
  }
  ::unsetenv("SIMAQAT_ISA");
}

std::vector<double> metric(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::vector<double> values;
  for (std::string line; std::getline(file, line);) {
    const json record = json::parse(line);
    if (!record.contains(key)) continue;
    const json& value = record[key];
    values.push_back(value.is_number() ? value.get<double>()
                                       : std::numeric_limits<double>::quiet_NaN());
  }
  return values;
}

Graph graphOf(const std::string& path) { return loadModel(path).graph; }

void checkStep(const Case& c, const cli::Args& extra) {
  constexpr double kRate = 64;
  INFO(c.model);
  const Poison poison;
  using cli::operator+;
  cli::runWell(cli::Args{"train", c.model, "-o", c.out("o.onnx"), "--loss", c.loss(), "--data",
                         c.manifest, "--steps", "1", "--batch-size", std::to_string(c.samples()),
                         "--lr", "64", "--momentum", "0", "--metrics", c.out("m.json")} +
               extra);
  const std::vector<double> losses = metric(c.out("m.json"), "loss");
  REQUIRE(!losses.empty());
  const double loss = c.number("loss");
  CHECK(std::fabs(losses[0] - loss) <= 1e-5 * std::fabs(loss));

  const auto before = floatsOf(c.model), after = floatsOf(c.out("o.onnx"));
  std::map<std::string, std::vector<double>> expected;
  std::vector<double> all;
  for (const std::string& key : npzKeys(c.expected)) {
    if (key.rfind("grad/", 0) != 0) continue;
    const std::vector<double> gradient = c.value(key).toVector<double>();
    all.insert(all.end(), gradient.begin(), gradient.end());
    expected[key.substr(5)] = gradient;
  }
  const double whole = norm(all);
  for (const auto& [name, gradient] : expected) {
    INFO(name);
    REQUIRE(after.count(name) == 1);
    REQUIRE(before.count(name) == 1);
    const std::vector<double> ours = difference(before.at(name), after.at(name), kRate);
    const double error = norm(difference(ours, gradient, 1));
    CHECK(error <= 2e-5 * whole);
    if (norm(gradient) > 1e-4 * whole) CHECK(error <= 1e-2 * norm(gradient));
  }
  for (const auto& [name, values] : after) {
    if (expected.count(name) != 0 || before.count(name) == 0) continue;
    INFO(name);
    CHECK(values == before.at(name));
  }
}

double evalLoss(const std::string& model, const std::string& loss, const std::string& manifest) {
  const cli::Result result = cli::runWell(
      {"eval", model, "--loss", loss, "--data", manifest, "--metric", "none", "--json"});
  const json value = json::parse(result.out)["loss"];
  return value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
}

Flow runFlow(const Case& c, const FlowOptions& options) {
  using cli::operator+;
  const std::string loss = options.loss.empty() ? c.loss() : options.loss;
  const std::string source = options.source.empty() ? c.model : options.source;
  const int64_t batch = options.batch == 0 ? c.samples() : options.batch;
  INFO(source);
  const Poison poison;
  Flow flow;
  flow.prepared = c.out("p.onnx");
  flow.trained = c.out("t.onnx");
  flow.finalized = c.out("f.onnx");
  flow.exported = c.out("q.onnx");
  const auto run = [&](const cli::Args& args) {
    const cli::Result result = cli::runWell(args);
    flow.err += result.err;
    return result.out;
  };
  flow.table = run(cli::Args{"prepare", source, "-o", flow.prepared} + options.prepare);
  run(cli::Args{"train", flow.prepared, "-o", flow.trained, "--loss", loss, "--data", c.manifest,
                "--steps", std::to_string(options.steps), "--batch-size", std::to_string(batch),
                "--calibrate", "1", "--momentum", "0", "--metrics", c.out("q.json")} +
      options.train);
  run(cli::Args{"finalize", flow.trained, "-o", flow.finalized} + options.finalize);
  run(cli::Args{"export", flow.finalized, "-o", flow.exported} + options.export_file);
  const std::vector<double> losses = metric(c.out("q.json"), "loss");
  flow.first_loss = losses.empty() ? std::numeric_limits<double>::quiet_NaN() : losses[0];
  flow.loss = evalLoss(flow.exported, loss, c.manifest);
  CHECK(std::isfinite(flow.loss));
  return flow;
}

Flow checkFlow(const Case& c, double tolerance, const FlowOptions& options) {
  const Flow flow = runFlow(c, options);
  INFO(c.model);
  CHECK(std::fabs(flow.first_loss - c.number("loss")) <= tolerance);
  return flow;
}

void checkInteger(const std::string& exported) {
  INFO(exported);
  const Graph graph = graphOf(exported);
  int layers = 0;
  for (const Node* node : graph.nodeSequence()) {
    INFO(node->name());
    CHECK(node->opType() != "BatchNormalization");
    if (node->opType() != "Conv" && node->opType() != "Gemm") continue;
    ++layers;
    const Node* weight = node->input(1)->producer();
    REQUIRE(weight != nullptr);
    REQUIRE(weight->opType() == "DequantizeLinear");
    CHECK(weight->input(0)->isConstant());
    const int64_t channels = node->op().quantization.weight_axis(*node);
    CHECK(weight->input(1)->type.dims() ==
          std::vector<int64_t>{node->input(1)->type.dims()[static_cast<size_t>(channels)]});
  }
  CHECK(layers > 0);
}

}  // namespace simaqat::cases
