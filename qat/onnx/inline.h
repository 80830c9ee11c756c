// Model-local functions and the bodies of If, Loop and Scan, put in place of the nodes that stand
// for them.
#pragma once

#include <onnx/onnx_pb.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "qat/ir/op.h"

namespace simaqat::onnx_format {

// ONNX's own operators stand in this domain, which has two names.
inline bool isStandardDomain(const std::string& domain) {
  return domain.empty() || domain == "ai.onnx";
}
// "domain::Name", or the name alone in ONNX's domain.
std::string qualifiedName(const onnx::NodeProto& node);
// What messages call a node: its name, or that of its first output.
std::string displayName(const onnx::NodeProto& node);

// A node with the opset of ONNX's domain that it is of: functions have opsets of their own.
struct OpsetNode {
  onnx::NodeProto proto;
  int opset;
};

// Replaces calls of the model's functions by the functions' bodies, nested ones too. A call's
// attributes go before the function's defaults. Names inside take the call's first output in front.
// Operators of the registry stay as they are. Input Errors name the call: a function that calls
// itself, too many inputs or outputs.
class FunctionInliner {
 public:
  FunctionInliner(const onnx::ModelProto& model, const OpRegistry& registry)
      : model_(model), registry_(registry) {}

  using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;
  std::vector<OpsetNode> run(const Nodes& nodes, int opset) const;

 private:
  using Calls = std::vector<const onnx::FunctionProto*>;
  void add(const onnx::NodeProto& node, int opset, Calls& calls,
           std::vector<OpsetNode>& result) const;
  const onnx::FunctionProto* find(const onnx::NodeProto& node) const;

  const onnx::ModelProto& model_;
  const OpRegistry& registry_;
};

// The attribute `name` of an If, Loop or Scan; an input Error where it is missing.
const onnx::GraphProto& bodyOf(const onnx::NodeProto& node, const std::string& name);

// The names that a body's values have in the graph around it.
using BodyNames = std::map<std::string, std::string>;

// The nodes and initializers of a body, its outputs too, under the names they have outside: as
// `names` has it, else their own; a name that is `taken` outside takes `prefix` in front.
onnx::GraphProto inlineBody(const onnx::GraphProto& body, BodyNames names,
                            const std::string& prefix,
                            const std::function<bool(const std::string&)>& taken);

}  // namespace simaqat::onnx_format
