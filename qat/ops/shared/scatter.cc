#include "qat/ops/shared/scatter.h"

#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {
namespace {

// The gradient's nodes, of inputs (data, indices, updates).
class ScatterRule {
 public:
  ScatterRule(GradientContext& c, const ScatterForm& form) : c_(c), form_(form) {}

  void overwrite() {
    Value* dy = c_.outputGradient();
    if (c_.wants(0)) set(0, scatter("none", dy, zeros(c_.input(2))));
    if (c_.wants(2)) set(2, gather(dy));
  }

  void add() {
    Value* dy = c_.outputGradient();
    if (c_.wants(0)) set(0, dy);
    if (c_.wants(2)) set(2, gather(dy));
  }

  // An update's factor is all others; for an update of zero they are multiplied without it.
  void multiply() {
    Value* dy = c_.outputGradient();
    Value* updates = c_.input(2);
    if (c_.wants(0)) {
      set(0, scatter("mul", dy, updates));
    }
    if (!c_.wants(2)) return;
    Value* zero = c_.scalar(0, updates);
    Value* is_zero = c_.add("Equal", {updates, zero});
    Value* others = c_.add("Where", {is_zero, c_.scalar(1, updates), updates});
    Value* without_zeros = c_.add("Mul", {dy, scatter("mul", c_.input(0), others)});
    Value* zero_count = scatter("add", zeros(c_.input(0)), castLike(c_, is_zero, updates));
    Value* has_more = c_.add("Greater", {zero_count, c_.scalar(1, updates)});
    Value* of_zero = gather(c_.add("Where", {has_more, zero, without_zeros}));
    Value* of_others = c_.add("Div", {gather(c_.add("Mul", {dy, c_.output()})), others});
    set(2, c_.add("Where", {is_zero, of_zero, of_others}));
  }

  // Those that are the extremum share the gradient evenly.
  void extremum() {
    Value* y = c_.output();
    Value* data_is = castLike(c_, c_.add("Equal", {c_.input(0), y}), y);
    Value* update_is = castLike(c_, c_.add("Equal", {c_.input(2), gather(y)}), y);
    Value* count = scatter("add", data_is, update_is);
    Value* share = c_.add("Div", {c_.outputGradient(), count});
    if (c_.wants(0)) set(0, c_.add("Mul", {share, data_is}));
    if (c_.wants(2)) set(2, c_.add("Mul", {gather(share), update_is}));
  }

 private:
  void set(size_t input, Value* gradient) { c_.setInputGradient(input, gradient); }
  Value* gather(Value* from) {
    return c_.add(form_.gather, {from, c_.input(1)}, form_.gather_attributes->clone());
  }
  Value* scatter(const char* reduction, Value* data, Value* updates) {
    return c_.add(c_.node.op().name, {data, c_.input(1), updates},
                  form_.scatter_attributes(reduction));
  }
  Value* zeros(const Value* like) {
    return c_.constant(Tensor(like->type.element, like->type.dims()));
  }

  GradientContext& c_;
  const ScatterForm& form_;
};

}  // namespace

ScatterReduction scatterReduction(const Node& node, const std::string& name) {
  if (name == "none") return ScatterReduction::kNone;
  if (name == "add") return ScatterReduction::kAdd;
  if (name == "mul") return ScatterReduction::kMul;
  if (name == "min") return ScatterReduction::kMin;
  if (name == "max") return ScatterReduction::kMax;
  node.fail("attribute 'reduction': '{}' is not known", name);
}

void downgradeScatter(PortableNode& node, int opset) {
  const auto reduction = node.attributes.find("reduction");
  if (reduction == node.attributes.end()) return;
  const std::string& name = std::get<std::string>(reduction->second);
  const int needed = name == "none" ? 0 : name == "min" || name == "max" ? 18 : 16;
  if (opset < needed) node.fail(fmt::format("reduction '{}' needs opset {}", name, needed));
  if (opset < 16) node.attributes.erase(reduction);
}

void scatterGradient(GradientContext& c, const std::string& reduction_name,
                     const ScatterForm& form) {
  ScatterRule rule(c, form);
  switch (scatterReduction(c.node, reduction_name)) {
    case ScatterReduction::kNone:
      return rule.overwrite();
    case ScatterReduction::kAdd:
      return rule.add();
    case ScatterReduction::kMul:
      return rule.multiply();
    case ScatterReduction::kMin:
    case ScatterReduction::kMax:
      return rule.extremum();
  }
}

}  // namespace simaqat::ops
