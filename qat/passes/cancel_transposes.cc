#include <algorithm>
#include <numeric>
#include <optional>

#include "qat/ir/op.h"
#include "qat/passes/exported_forms.h"
#include "qat/passes/integer_forms.h"
#include "qat/passes/simplify.h"
#include "qat/passes/stored.h"

namespace simaqat {
namespace {

using Perm = std::vector<int64_t>;

std::unique_ptr<Attributes> attributesOf(const Graph& graph, const std::string& op_type,
                                         const AttributeMap& map) {
  auto attributes = graph.registry().get(op_type).make_attributes();
  attributes->parse(map);
  return attributes;
}

Perm permOf(const Node& transpose) {
  const AttributeMap map = transpose.rawAttributes().toMap();
  const auto perm = map.find("perm");
  return perm == map.end() ? Perm{} : std::get<Perm>(perm->second);
}

bool isTranspose(const Node* node) {
  return node != nullptr && node->op().qualifiedName() == "Transpose";
}

// Channels from axis 1 to the end, or back, of images and volumes.
bool isLayout(const Perm& perm) {
  const auto rank = static_cast<int64_t>(perm.size());
  if (rank < 4 || rank > 5) return false;
  Perm last(perm.size()), first(perm.size());
  for (int64_t i = 1; i < rank; ++i) {
    last[static_cast<size_t>(i)] = i == rank - 1 ? 1 : i + 1;
    first[static_cast<size_t>(i)] = i == 1 ? rank - 1 : i - 1;
  }
  return perm == last || perm == first;
}

// The permutation of the layout that the value was brought into, or none.
Perm layoutOf(const Value* value) {
  if (value == nullptr || !isTranspose(value->producer())) return {};
  const Perm perm = permOf(*value->producer());
  return isLayout(perm) ? perm : Perm{};
}

// Takes Transposes that change the layout behind the nodes that use them, until they meet.
class TransposeSinker {
 public:
  explicit TransposeSinker(Graph& graph) : graph_(graph) {}

  void run() {
    for (Node* node : graph_.nodeSequence()) {
      if (isTranspose(node)) {
        join(node);
      } else if (const Perm perm = commonLayout(*node); !perm.empty()) {
        sink(node, perm);
      }
    }
  }

 private:
  // Two in a row are one, or none.
  void join(Node* node) {
    const Perm inner = layoutOf(node->input(0));
    const Perm outer = permOf(*node);
    if (inner.empty() || outer.empty()) return;
    Value* x = node->input(0)->producer()->input(0);
    Perm both;
    for (const int64_t axis : outer) both.push_back(inner[static_cast<size_t>(axis)]);
    const bool cancels = std::is_sorted(both.begin(), both.end());
    // A graph output needs a node of its own behind an input, or behind another output.
    const bool is_free = x->producer() != nullptr && !graph_.isOutput(x);
    if (cancels && graph_.isOutput(node->output()) && !is_free) return;
    if (cancels && !graph_.isOutput(node->output())) {
      graph_.replaceUses(node->output(), x);
      graph_.removeNode(node);
    } else if (cancels) {
      replaceNode(graph_, node, x);
    } else {
      replaceNode(graph_, node, transposed(x, both, node->name(), node));
    }
  }

  // The layout of all inputs that have one, where each other input is stored or a single number.
  Perm commonLayout(const Node& node) const {
    Perm perm;
    for (size_t i = 0; i < node.inputCount(); ++i) {
      const Value* input = node.input(i);
      if (input == nullptr) continue;
      const Perm own = layoutOf(input);
      if (own.empty()) {
        const bool is_known =
            input->type.isStatic() && (isStored(input) || input->type.size() == 1);
        if (!is_known) return {};
      } else if (!perm.empty() && own != perm) {
        return {};
      } else {
        perm = own;
      }
    }
    return perm;
  }

  static Value* source(const Value* value) { return value->producer()->input(0); }

  void sink(Node* node, const Perm& perm) {
    if (!node->op().domain.empty() || node->outputCount() != 1) return;
    const std::string type = node->op().qualifiedName();
    if (type == "Pad") {
      sinkPad(node, perm);
    } else if (type == "Concat") {
      sinkConcat(node, perm);
    } else if (type == "Squeeze" || type.rfind("Reduce", 0) == 0) {
      sinkReduction(node, perm);
    } else if (isElementwise(*node)) {
      sinkElementwise(node, perm);
    }
  }

  static bool isElementwise(const Node& node) {
    const PointwiseTraits& traits = node.op().pointwise;
    const bool is_pointwise =
        traits.block != nullptr && (traits.applies == nullptr || traits.applies(node));
    return is_pointwise || node.op().qualifiedName() == "Cast" ||
           node.op().quantization.output == OutputQuantization::kTransparent;
  }

  void sinkElementwise(Node* node, const Perm& perm) {
    std::vector<Value*> inputs;
    for (Value* input : node->inputs()) {
      const bool is_laid_out = !layoutOf(input).empty();
      inputs.push_back(is_laid_out ? source(input) : operand(input, perm, node));
    }
    finish(node, perm, inputs, node->rawAttributes().clone());
  }

  // A stored operand that was broadcast to the other layout.
  Value* operand(Value* value, const Perm& perm, Node* before) {
    if (value == nullptr || value->type.size() == 1) return value;
    std::vector<int64_t> dims = value->type.dims();
    dims.insert(dims.begin(), perm.size() - dims.size(), 1);
    std::vector<int64_t> moved(dims.size());
    Perm inverse(dims.size());
    for (size_t i = 0; i < dims.size(); ++i) {
      moved[static_cast<size_t>(perm[i])] = dims[i];
      inverse[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
    }
    const auto is_line =
        std::count(dims.begin(), dims.end(), 1) + 1 >= static_cast<int64_t>(dims.size());
    Value* reshaped =
        graph_.add("Reshape", value->name() + "/reshape",
                   {value, integers(before, "shape", is_line ? moved : dims)}, nullptr, before);
    return is_line ? reshaped : transposed(reshaped, inverse, value->name() + "/transpose", before);
  }

  void sinkPad(Node* node, const Perm& perm) {
    const std::optional<std::vector<int64_t>> pads = listOf(node->input(1));
    if (layoutOf(node->input(0)).empty() || !pads) return;
    std::vector<Value*> inputs = node->inputs();
    inputs[0] = source(inputs[0]);
    if (node->input(3) != nullptr) {
      const auto axes = listOf(node->input(3));
      if (!axes) return;
      inputs[3] = integers(node, "axes", moved(*axes, perm));
    } else {
      const size_t rank = perm.size();
      std::vector<int64_t> own(2 * rank);
      for (size_t i = 0; i < rank; ++i) {
        own[static_cast<size_t>(perm[i])] = (*pads)[i];
        own[static_cast<size_t>(perm[i]) + rank] = (*pads)[i + rank];
      }
      inputs[1] = integers(node, "pads", own);
    }
    finish(node, perm, inputs, node->rawAttributes().clone());
  }

  void sinkConcat(Node* node, const Perm& perm) {
    std::vector<Value*> inputs;
    for (const Value* input : node->inputs()) {
      if (layoutOf(input).empty()) return;
      inputs.push_back(source(input));
    }
    AttributeMap map = node->rawAttributes().toMap();
    map["axis"] = moved({std::get<int64_t>(map.at("axis"))}, perm)[0];
    finish(node, perm, inputs, attributesOf(graph_, "Concat", map));
  }

  // Axes that go leave the others in order, or in the layout where they stay.
  void sinkReduction(Node* node, const Perm& perm) {
    const auto axes = node->input(1) == nullptr ? std::nullopt : listOf(node->input(1));
    if (layoutOf(node->input(0)).empty() || !axes || axes->empty()) return;
    const AttributeMap map = node->rawAttributes().toMap();
    const auto keeps = map.find("keepdims");
    const bool axes_go = node->opType() == "Squeeze" ||
                         (keeps != map.end() && std::get<int64_t>(keeps->second) == 0);
    const std::vector<int64_t> own = moved(*axes, perm);
    Perm rest;
    for (const int64_t axis : perm) {
      if (std::find(own.begin(), own.end(), axis) == own.end()) rest.push_back(axis);
    }
    if (axes_go && !std::is_sorted(rest.begin(), rest.end())) return;
    const std::vector<Value*> inputs = {source(node->input(0)), integers(node, "axes", own)};
    finish(node, axes_go ? Perm{} : perm, inputs, node->rawAttributes().clone());
  }

  // The node on these inputs, and a Transpose behind it.
  void finish(Node* node, const Perm& perm, const std::vector<Value*>& inputs,
              std::unique_ptr<Attributes> attributes) {
    Value* y = graph_.add(node->opType(), node->name(), inputs, std::move(attributes), node);
    if (!perm.empty()) y = transposed(y, perm, node->name() + "/transpose", node);
    replaceNode(graph_, node, y);
  }

  Value* transposed(Value* x, const Perm& perm, const std::string& name, Node* before) {
    return graph_.add("Transpose", name, {x}, attributesOf(graph_, "Transpose", {{"perm", perm}}),
                      before);
  }

  static std::vector<int64_t> moved(std::vector<int64_t> axes, const Perm& perm) {
    const auto rank = static_cast<int64_t>(perm.size());
    for (int64_t& axis : axes) axis = perm[static_cast<size_t>(axis < 0 ? axis + rank : axis)];
    return axes;
  }

  static std::optional<std::vector<int64_t>> listOf(const Value* value) {
    if (value == nullptr || !value->isConstant()) return std::nullopt;
    return value->constant.toVector<int64_t>();
  }

  Value* integers(const Node* node, const char* suffix, const std::vector<int64_t>& list) {
    return graph_.addConstant(graph_.uniqueName(node->name() + "/" + suffix),
                              Tensor::of<int64_t>({static_cast<int64_t>(list.size())}, list));
  }

  Graph& graph_;
};

int64_t transposes(const Graph& graph) {
  return std::count_if(graph.nodes().begin(), graph.nodes().end(),
                       [](const auto& node) { return isTranspose(node.get()); });
}

}  // namespace

void cancelTransposes(Graph& graph) {
  const bool has_layouts = std::any_of(
      graph.nodes().begin(), graph.nodes().end(),
      [](const auto& node) { return isTranspose(node.get()) && isLayout(permOf(*node)); });
  if (!has_layouts) return;
  Graph sunk = graph.clone();
  TransposeSinker(sunk).run();
  removeDeadCode(sunk);
  // One that several nodes use may become several.
  if (transposes(sunk) <= transposes(graph)) graph = std::move(sunk);
}

}  // namespace simaqat
