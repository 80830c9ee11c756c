// Values that must not become 0.
#pragma once

#include <unordered_map>
#include <unordered_set>

#include "qat/ir/graph.h"

namespace simaqat {

// Values whose code 0 would make a node's result or gradient infinite where the float is only
// small: divisors and arguments of logarithms, of roots and of negative powers, and what these are
// made of by operators that keep a small value small. A range always holds 0, so that a quantizer
// would round to it what is below half a step.
class Divisors {
 public:
  explicit Divisors(const Graph& graph);

  // The node that the value must not become 0 for, a Div say; null where there is none.
  const Node* dividedBy(const Value* value) const;
  // Whether the use is one by which its value is a divisor.
  bool leadsToOne(const Use& use) const;

 private:
  void mark(const Value* value, const Node& node);
  bool isData(const Value* value) const;
  const Value* inFront(const Node& node) const;
  bool isShifted(const Node& node) const;

  const std::unordered_set<const Value*> stored_;
  std::unordered_map<const Value*, const Node*> marked_;
};

}  // namespace simaqat
