// Programs of elementwise operators: a fused node holds the sub-graph it stands for, and runs it
// block by block, so that what lies between is never in memory.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat {

// Whether the node's operator is elementwise, and the node one that may be part of a program: one
// float output of static type.
bool isPointwise(const Node& node);

// A graph of elementwise nodes of one shape, made ready to run. Its inputs are the operands, which
// NumPy's broadcasting brings to that shape; its one output is the result.
class PointwiseProgram {
 public:
  explicit PointwiseProgram(Graph body);

  struct Step {
    const Node* node;
    std::vector<int> in;  // slots; -1 for an absent input
    int out;
  };
  // Operands are walked along the shape, axes that all treat alike being one: rows of `inner`
  // elements, along which an operand has stride 1 or 0.
  struct Operand {
    std::vector<int64_t> row_strides;  // one for each of `row_dims`, elements
    bool is_row;                       // stride 1 along a row
    bool is_whole;                     // of the result's shape: element i is element i
  };

  // Programs whose operands are broadcast along more axes than that in turn are not run.
  static constexpr size_t kMostRowDims = 8;

  const Graph& body() const { return body_; }
  const std::vector<Step>& steps() const { return steps_; }
  const std::vector<Operand>& operands() const { return operands_; }
  // Operands have the first slots, intermediate values the others.
  int slots() const { return slots_; }
  int64_t size() const { return size_; }
  int64_t inner() const { return inner_; }
  const std::vector<int64_t>& rowDims() const { return row_dims_; }
  // "Relu(Add(0, 1))"
  std::string toString() const;

 private:
  void schedule();
  void layOut();

  Graph body_;
  std::vector<Step> steps_;
  std::vector<Operand> operands_;
  std::vector<int64_t> row_dims_;  // outermost first
  int slots_ = 0;
  int64_t size_ = 0;
  int64_t inner_ = 1;
};

// Attributes of a fused node. Its inputs are those of the operator it is the fused form of, without
// the one the program computes, and then the program's operands.
struct PointwiseAttributes {
  std::string function;  // the program, to print and to compare
  std::shared_ptr<const PointwiseProgram> program;
  // Those of the operator it is the fused form of.
  std::shared_ptr<Attributes> base;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("function", self.function);
  }
};

}  // namespace simaqat
