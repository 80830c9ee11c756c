// Sequences of tensors where their structure is known when a model is read: each becomes the list
// of the tensors that it holds, and none is left in the graph.
#pragma once

#include <onnx/onnx_pb.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "qat/ir/types.h"
#include "qat/onnx/inline.h"

namespace simaqat::onnx_format {

class Sequences {
 public:
  struct Surroundings {
    // Undefined where the value depends on data or on an open dimension.
    std::function<Tensor(const std::string& name)> known;
    std::function<TensorType(const std::string& name)> type;
  };
  explicit Sequences(Surroundings surroundings) : around_(std::move(surroundings)) {}

  static bool isOperator(const std::string& qualified_name);
  bool isSequence(const std::string& name) const { return elements_.count(name) != 0; }
  // Whether the node is one of sequences: an operator of theirs, or Identity of one.
  bool concerns(const onnx::NodeProto& node) const;
  // The nodes of tensors that stand for the node. Input Errors: positions and lengths that are not
  // known or out of range.
  std::vector<OpsetNode> lower(const OpsetNode& node);

 private:
  using Names = std::vector<std::string>;
  const Names& elements(const std::string& name) const;
  // Position `input` of the node as an index below `count`, `otherwise` where it is absent.
  size_t position(const onnx::NodeProto& node, int input, size_t count, size_t otherwise) const;
  void define(const onnx::NodeProto& node, Names elements);
  std::vector<onnx::NodeProto> split(const onnx::NodeProto& node);
  std::vector<int64_t> partSizes(const onnx::NodeProto& node, int64_t axis) const;
  std::vector<onnx::NodeProto> concat(const onnx::NodeProto& node) const;
  std::vector<onnx::NodeProto> lowered(const onnx::NodeProto& node);

  const Surroundings around_;
  std::map<std::string, Names> elements_;
};

}  // namespace simaqat::onnx_format
