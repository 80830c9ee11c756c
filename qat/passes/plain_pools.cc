#include <algorithm>

#include "qat/ir/op.h"
#include "qat/passes/integer_forms.h"

namespace simaqat {
namespace {

int64_t integerOf(const AttributeMap& map, const std::string& name) {
  const auto found = map.find(name);
  return found == map.end() ? 0 : std::get<int64_t>(found->second);
}

std::vector<int64_t> integersOf(const AttributeMap& map, const std::string& name, size_t count,
                                int64_t otherwise) {
  const auto found = map.find(name);
  std::vector<int64_t> values;
  if (found != map.end()) values = std::get<std::vector<int64_t>>(found->second);
  return values.empty() ? std::vector<int64_t>(count, otherwise) : values;
}

// By how much the windows of each axis reach beyond its extent; negative where they end before it.
std::vector<int64_t> overhangs(const Node& pool, const AttributeMap& map) {
  const Shape& in = *pool.input(0)->type.shape;
  const Shape& out = *pool.output()->type.shape;
  const size_t axes = in.size() - 2;
  const std::vector<int64_t> kernel = integersOf(map, "kernel_shape", axes, 1);
  const std::vector<int64_t> strides = integersOf(map, "strides", axes, 1);
  const std::vector<int64_t> dilations = integersOf(map, "dilations", axes, 1);
  std::vector<int64_t> beyond;
  for (size_t k = 0; k < axes; ++k) {
    const int64_t windows = (out[k + 2].value - 1) * strides[k] + (kernel[k] - 1) * dilations[k] + 1;
    beyond.push_back(windows - in[k + 2].value);
  }
  return beyond;
}

// The pads [begin ..., end ...] with which the windows cover what they cover now, without ceil_mode:
// the end pads reach as far as the last window, and no further.
std::vector<int64_t> reachedPads(const Node& pool, const AttributeMap& map) {
  const std::vector<int64_t> beyond = overhangs(pool, map);
  const size_t axes = beyond.size();
  std::vector<int64_t> pads = integersOf(map, "pads", 2 * axes, 0);
  for (size_t k = 0; k < axes; ++k) pads[k + axes] = std::max<int64_t>(0, beyond[k] - pads[k]);
  return pads;
}

// The pads of auto_pad by ONNX's formula, and 0 where the kernel is less than the stride: ONNX
// Runtime's AveragePool fails there.
std::vector<int64_t> samePads(const Node& pool, const AttributeMap& map, bool is_upper) {
  const std::vector<int64_t> beyond = overhangs(pool, map);
  const size_t axes = beyond.size();
  std::vector<int64_t> pads(2 * axes);
  for (size_t k = 0; k < axes; ++k) {
    const int64_t total = std::max<int64_t>(0, beyond[k]);
    pads[k] = is_upper ? total / 2 : total - total / 2;
    pads[k + axes] = total - pads[k];
  }
  return pads;
}

Value* padded(Graph& graph, Node* pool, const std::vector<int64_t>& spatial) {
  const size_t axes = spatial.size() / 2;
  std::vector<int64_t> pads = {0, 0};
  pads.insert(pads.end(), spatial.begin(), spatial.begin() + static_cast<int64_t>(axes));
  pads.insert(pads.end(), {0, 0});
  pads.insert(pads.end(), spatial.begin() + static_cast<int64_t>(axes), spatial.end());
  const std::string name = pool->name() + "/pad";
  const auto count = static_cast<int64_t>(pads.size());
  Value* amounts = graph.addConstant(graph.uniqueName(name + "/pads"), Tensor::of({count}, pads));
  return graph.add("Pad", name, {pool->input(0), amounts}, nullptr, pool);
}

bool hasKnownExtents(const TensorType& type) {
  return type.shape && std::all_of(type.shape->begin() + 2, type.shape->end(),
                                   [](const Dim& dim) { return dim.known(); });
}

Node* replacePool(Graph& graph, Node* pool, Value* x, const AttributeMap& map) {
  std::unique_ptr<Attributes> attributes = pool->op().make_attributes();
  attributes->parse(map);
  Node* plain =
      graph.add(pool->opType(), pool->name(), {x}, std::move(attributes), pool)->producer();
  replaceNode(graph, pool, plain->output());
  return plain;
}

bool extentsAreKnown(const Node& pool) {
  return hasKnownExtents(pool.input(0)->type) && hasKnownExtents(pool.output()->type);
}

// An AveragePool that counts padding, as one without padding or with an explicit Pad. What ceil_mode
// adds to the padding at the end never counts.
Node* withoutCountedPads(Graph& graph, Node* pool, AttributeMap& map) {
  const auto found = map.find("pads");
  Value* x = pool->input(0);
  if (found != map.end()) {
    const auto pads = std::get<std::vector<int64_t>>(found->second);
    if (!std::all_of(pads.begin(), pads.end(), [](int64_t pad) { return pad == 0; })) {
      if (!extentsAreKnown(*pool)) return pool;
      std::vector<int64_t> counted = reachedPads(*pool, map);
      for (size_t i = 0; i < pads.size(); ++i) counted[i] = std::min(counted[i], pads[i]);
      x = padded(graph, pool, counted);
      map.erase(found);
    }
  }
  map["count_include_pad"] = int64_t{0};
  return replacePool(graph, pool, x, map);
}

// These pads in place of ceil_mode and auto_pad, except where a pad is not less than the kernel, as
// dilations can make it: ONNX Runtime refuses that.
void setPads(Graph& graph, Node* pool, AttributeMap& map, const std::vector<int64_t>& pads) {
  const size_t axes = pads.size() / 2;
  const std::vector<int64_t> kernel = integersOf(map, "kernel_shape", axes, 1);
  for (size_t i = 0; i < pads.size(); ++i) {
    if (pads[i] >= kernel[i % axes]) return;
  }
  map["pads"] = pads;
  map.erase("auto_pad");
  map.erase("ceil_mode");
  replacePool(graph, pool, pool->input(0), map);
}

void makePlain(Graph& graph, Node* pool) {
  AttributeMap map = pool->rawAttributes().toMap();
  const auto found = map.find("auto_pad");
  const std::string auto_pad = found == map.end() ? "NOTSET" : std::get<std::string>(found->second);
  if (pool->outputs().size() > 1) return;
  if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
    if (!extentsAreKnown(*pool)) return;
    setPads(graph, pool, map, samePads(*pool, map, auto_pad == "SAME_UPPER"));
    return;
  }
  if (integerOf(map, "ceil_mode") == 0) return;
  if (auto_pad == "VALID") map.erase("pads");
  if (integerOf(map, "count_include_pad") != 0) pool = withoutCountedPads(graph, pool, map);
  if (integerOf(map, "count_include_pad") == 0 && extentsAreKnown(*pool)) {
    setPads(graph, pool, map, reachedPads(*pool, map));
  }
}

}  // namespace

void plainPools(Graph& graph) {
  for (Node* node : graph.nodeSequence()) {
    const std::string& name = node->op().qualifiedName();
    if (name == "AveragePool" || name == "MaxPool") makePlain(graph, node);
  }
}

}  // namespace simaqat
