// If, Loop and Scan where what they do is known when a model is read: the branch that is taken, the
// iterations one behind the other.
#pragma once

#include <onnx/onnx_pb.h>

#include <functional>
#include <string>
#include <vector>

#include "qat/ir/types.h"
#include "qat/onnx/inline.h"

namespace simaqat::onnx_format {

class ControlFlow {
 public:
  // What the graph around a body gives.
  struct Surroundings {
    std::function<bool(const std::string& name)> taken;
    // Undefined where the value depends on data or on an open dimension.
    std::function<Tensor(const std::string& name)> known;
    std::function<TensorType(const std::string& name)> type;
    // Adds the nodes and initializers of a body that is already renamed.
    std::function<void(onnx::GraphProto& body, int opset)> add;
  };
  explicit ControlFlow(Surroundings surroundings) : around_(std::move(surroundings)) {}

  static bool isOperator(const std::string& qualified_name);
  // Adds what stands for the node. Input Errors: a condition or a count that is not known, more
  // iterations than a graph should hold.
  void add(const OpsetNode& node);

 private:
  class Iterations;
  void addIf(const onnx::NodeProto& node, int opset);
  void addLoop(const onnx::NodeProto& node, int opset);
  void addScan(const onnx::NodeProto& node, int opset);
  bool knownCondition(const std::string& name) const;
  std::vector<std::string> takeApart(const std::string& name, int64_t axis,
                                     const std::string& prefix);
  void addNodes(const std::vector<onnx::NodeProto>& nodes);

  const Surroundings around_;
  int64_t unrolled_nodes_ = 0;
};

}  // namespace simaqat::onnx_format
