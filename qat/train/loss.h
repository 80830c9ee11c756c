// The loss: a second graph, joined to the model by name.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat {

struct Loss {
  Graph graph;
  std::string hash;
};

// `spec` is an ONNX file or a built-in: "cross_entropy" or "mse", which take the model's first
// output and `target`, the field that is no input of the model.
Loss loadLoss(const std::string& spec, const Graph& model, const std::vector<std::string>& fields);

// A warning where the loss chooses by TopK or ArgMax and stops no gradient, as a loss that assigns
// targets does once the exporter has dropped detach(); else "".
std::string warningOfAssignment(const Graph& loss);

// A type as a loss takes it: where the model fixes its batch, the loss leaves it open, since
// evaluation asks about a part of one.
TensorType withOpenBatch(TensorType type);

// Where a loss input comes from.
struct LossSource {
  enum class Kind { kOutput, kInput, kField } kind;
  std::string name;
};

// For each input of the loss where it comes from: the model's outputs, the model's inputs or the
// fields, by name or as `binds` ("LOSS_INPUT=SOURCE") say. Errors: a name that nothing provides,
// one that is found in two places, a bind for an input that is not there.
std::map<std::string, LossSource> bindLoss(const Graph& loss, const Graph& model,
                                           const std::vector<std::string>& fields,
                                           const std::vector<std::string>& binds);

// The model and the loss as one graph: its outputs are the loss' outputs, in order, and its inputs
// the model's and then the fields that the loss alone needs, under the fields' names.
Graph joinLoss(const Graph& model, const Graph& loss,
               const std::map<std::string, LossSource>& sources);

}  // namespace simaqat
