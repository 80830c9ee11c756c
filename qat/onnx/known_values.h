// Values that follow from constants and shapes alone, as conditions and counts of loops do.
#pragma once

#include <unordered_map>

#include "qat/ir/graph.h"

namespace simaqat::onnx_format {

// Asks after the values of a graph to which nodes are only added.
class KnownValues {
 public:
  explicit KnownValues(const Graph& graph) : graph_(graph) {}

  // The value; undefined where an element depends on data or on an open dimension.
  Tensor find(const Value* value);

 private:
  // A value with elements that are not known: `known` has a 1 for each that is, and is undefined
  // where all are.
  struct Partial {
    Tensor value;
    Tensor known;
  };
  const Partial& partial(const Value* value);
  Partial compute(const Value& value);
  Partial dimensions(const Node& node, const Shape& shape);
  Partial moved(const Node& node, size_t output, const std::vector<const Partial*>& inputs);
  Tensor evaluate(const Node& node, size_t output, const std::vector<Tensor>& inputs);

  const Graph& graph_;
  std::unordered_map<const Value*, Partial> found_;
};

}  // namespace simaqat::onnx_format
