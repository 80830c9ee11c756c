#include "qat/train/loss.h"

#include <algorithm>
#include <filesystem>
#include <unordered_set>

#include "qat/base/file.h"
#include "qat/base/hash.h"
#include "qat/base/text.h"
#include "qat/onnx/import.h"
#include "qat/passes/exported_forms.h"
#include "qat/passes/pass.h"
#include "qat/passes/simplify.h"

namespace simaqat {
namespace {

bool isInput(const Graph& graph, const std::string& name) {
  return std::any_of(graph.inputs.begin(), graph.inputs.end(),
                     [&](const Value* input) { return input->name() == name; });
}

bool isOutput(const Graph& graph, const std::string& name) {
  return std::any_of(graph.outputs.begin(), graph.outputs.end(),
                     [&](const GraphOutput& output) { return output.name == name; });
}

// The one field that is no input of the model.
std::string targetField(const std::string& loss, const Graph& model,
                        const std::vector<std::string>& fields) {
  std::vector<std::string> targets;
  for (const std::string& field : fields) {
    if (!isInput(model, field)) targets.push_back(field);
  }
  if (targets.size() != 1) {
    throw inputError(
        "the loss {} takes the only field of the data that is no input of the model; there are "
        "{}{}",
        loss, targets.size(), targets.empty() ? "" : fmt::format(": {}", joined(targets)));
  }
  return targets[0];
}

Graph crossEntropy(const Graph& model, const std::string& target) {
  Graph graph(model.registry());
  const GraphOutput& logits = model.outputs.front();
  const TensorType type = withOpenBatch(logits.value->type);
  TensorType labels{ElementType::kInt64, std::nullopt};
  if (type.rank() >= 2) {
    // [N, C, d...] goes with labels of [N, d...].
    labels.shape = type.shape;
    labels.shape->erase(labels.shape->begin() + 1);
  }
  Value* x = graph.addInput(logits.name, type);
  Value* y = graph.addInput(target, labels);
  graph.outputs.push_back({"loss", graph.add("SoftmaxCrossEntropyLoss", "loss", {x, y})});
  return graph;
}

Graph meanSquaredError(const Graph& model, const std::string& target) {
  Graph graph(model.registry());
  const GraphOutput& output = model.outputs.front();
  const TensorType type = withOpenBatch(output.value->type);
  Value* x = graph.addInput(output.name, type);
  Value* y = graph.addInput(target, type);
  Value* difference = graph.add("Sub", "difference", {x, y});
  Value* square = graph.add("Mul", "square", {difference, difference});
  Value* mean = graph.add("ReduceMean", "mean", {square});
  Value* shape = graph.addConstant("scalar_shape", Tensor(ElementType::kInt64, {0}));
  graph.outputs.push_back({"loss", graph.add("Reshape", "loss", {mean, shape})});
  return graph;
}

}  // namespace

TensorType withOpenBatch(TensorType type) {
  if (type.shape && !type.shape->empty() && type.shape->front().known()) {
    type.shape->front() = Dim::named("N");
  }
  return type;
}

Loss loadLoss(const std::string& spec, const Graph& model, const std::vector<std::string>& fields) {
  if (spec == "cross_entropy") {
    return {crossEntropy(model, targetField(spec, model, fields)), hashHex(spec)};
  }
  if (spec == "mse") {
    return {meanSquaredError(model, targetField(spec, model, fields)), hashHex(spec)};
  }
  const std::string bytes = readFile(spec);
  Loss loss{importModelBytes(bytes, spec, std::filesystem::path(spec).parent_path().string(),
                             model.registry()),
            hashHex(bytes)};
  runPass(loss.graph, "narrow-double", narrowDouble);
  runPass(loss.graph, "castlikes-to-casts", castLikesToCasts);
  runPass(loss.graph, "flattened-softmaxes", flattenedSoftmaxes);
  runPass(loss.graph, "remove-identities", removeIdentities);
  runPass(loss.graph, "fold-constants", foldConstants);
  // A loss has nothing to train: class weights and the like are constants.
  while (!loss.graph.variables().empty()) {
    loss.graph.freezeVariable(loss.graph.variables().back().get());
  }
  return loss;
}

std::string warningOfAssignment(const Graph& loss) {
  std::unordered_set<const Value*> seen;
  std::vector<const Value*> pending = {loss.outputs.front().value};
  const Node* choice = nullptr;
  while (!pending.empty()) {
    const Value* value = pending.back();
    pending.pop_back();
    const Node* node = value->producer();
    if (node == nullptr || !seen.insert(value).second) continue;
    const std::string name = node->op().qualifiedName();
    if (name == "simaqat::StopGradient") return "";
    if (name == "TopK" || name == "ArgMax") choice = node;
    for (const Value* input : node->inputs()) {
      if (input != nullptr) pending.push_back(input);
    }
  }
  if (choice == nullptr) return "";
  return fmt::format(
      "the loss chooses by {} and stops no gradient: if its source has detach(), the exporter "
      "dropped it, and the gradient is another one (docs/EXPORT.md; --stop-gradient)",
      choice->describe());
}

std::map<std::string, LossSource> bindLoss(const Graph& loss, const Graph& model,
                                           const std::vector<std::string>& fields,
                                           const std::vector<std::string>& binds) {
  std::map<std::string, std::string> wanted;
  for (const Value* input : loss.inputs) wanted[input->name()] = input->name();
  for (const std::string& bind : binds) {
    const size_t equals = bind.find('=');
    if (equals == std::string::npos)
      throw usageError("--bind {}: expected LOSS_INPUT=SOURCE", bind);
    const std::string name = bind.substr(0, equals);
    if (wanted.count(name) == 0)
      throw usageError("--bind {}: the loss has no input '{}'", bind, name);
    wanted[name] = bind.substr(equals + 1);
  }
  std::map<std::string, LossSource> sources;
  for (const auto& [input, source] : wanted) {
    std::vector<LossSource> found;
    if (isOutput(model, source)) found.push_back({LossSource::Kind::kOutput, source});
    if (isInput(model, source)) {
      // The field of that name is what the input is fed with: one and the same.
      found.push_back({LossSource::Kind::kInput, source});
    } else if (std::find(fields.begin(), fields.end(), source) != fields.end()) {
      found.push_back({LossSource::Kind::kField, source});
    }
    if (found.empty()) {
      throw inputError(
          "loss input '{}': nothing provides '{}' (no output or input of the model and "
          "no field of the data has that name; --bind {}=SOURCE names another)",
          input, source, input);
    }
    if (found.size() > 1) {
      throw inputError(
          "loss input '{}': '{}' is both an output of the model and a field of the "
          "data; rename one, or use --bind",
          input, source);
    }
    sources.emplace(input, found[0]);
  }
  return sources;
}

Graph joinLoss(const Graph& model, const Graph& loss,
               const std::map<std::string, LossSource>& sources) {
  Graph joined = model.clone();
  std::map<std::string, Value*> bindings;
  for (const Value* input : loss.inputs) {
    const LossSource& source = sources.at(input->name());
    if (source.kind == LossSource::Kind::kOutput) {
      for (const GraphOutput& output : joined.outputs) {
        if (output.name == source.name) bindings[input->name()] = output.value;
      }
    } else {
      Value* existing = nullptr;
      for (Value* own : joined.inputs) {
        if (own->name() == source.name) existing = own;
      }
      // Two inputs of the loss may take one field; a field's name goes before a value's.
      Value* same_name = joined.findValue(source.name);
      if (existing == nullptr && same_name != nullptr) {
        joined.rename(same_name, source.name + "/model");
      }
      bindings[input->name()] =
          existing != nullptr ? existing : joined.addInput(source.name, input->type);
    }
  }
  const std::vector<Value*> results = joined.splice(loss, bindings, "loss/");
  joined.outputs.clear();
  for (size_t i = 0; i < results.size(); ++i) {
    joined.outputs.push_back({loss.outputs[i].name, results[i]});
  }
  // A loss may take the logarithm of what the model ends in.
  runPass(joined, "stable-logarithms", stableLogarithms);
  return joined;
}

}  // namespace simaqat
