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

// The pads [begin ..., end ...] with which windows of the same extent cover what they cover now:
// what no window reaches is left out, so that none more begins there.
std::vector<int64_t> reachedPads(const Node& pool, const AttributeMap& map) {
  const Shape& in = *pool.input(0)->type.shape;
  const Shape& out = *pool.output()->type.shape;
  const size_t axes = in.size() - 2;
  const std::vector<int64_t> kernel = integersOf(map, "kernel_shape", axes, 1);
  const std::vector<int64_t> strides = integersOf(map, "strides", axes, 1);
  const std::vector<int64_t> dilations = integersOf(map, "dilations", axes, 1);
  std::vector<int64_t> pads = integersOf(map, "pads", 2 * axes, 0);
  for (size_t k = 0; k < axes; ++k) {
    const int64_t padded = in[k + 2].value + pads[k] + pads[k + axes];
    const int64_t reached =
        (out[k + 2].value - 1) * strides[k] + (kernel[k] - 1) * dilations[k] + 1;
    const int64_t beyond = std::max<int64_t>(0, padded - reached);
    pads[k + axes] = std::max<int64_t>(0, pads[k + axes] - beyond);
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

void makePlain(Graph& graph, Node* pool) {
  AttributeMap map = pool->rawAttributes().toMap();
  const auto auto_pad = map.find("auto_pad");
  const std::string mode =
      auto_pad == map.end() ? "NOTSET" : std::get<std::string>(auto_pad->second);
  if (integerOf(map, "ceil_mode") == 0 || integerOf(map, "count_include_pad") == 0) return;
  if (mode != "NOTSET" && mode != "VALID") return;
  std::vector<int64_t> pads;
  if (mode == "NOTSET" && map.count("pads") != 0) pads = std::get<std::vector<int64_t>>(map["pads"]);
  map["count_include_pad"] = int64_t{0};
  Value* x = pool->input(0);
  if (std::any_of(pads.begin(), pads.end(), [](int64_t pad) { return pad != 0; })) {
    if (!hasKnownExtents(x->type) || !hasKnownExtents(pool->output()->type)) return;
    x = padded(graph, pool, reachedPads(*pool, map));
    map.erase("pads");
  }
  std::unique_ptr<Attributes> attributes = pool->op().make_attributes();
  attributes->parse(map);
  replaceNode(graph, pool, graph.add("AveragePool", pool->name(), {x}, std::move(attributes), pool));
}

}  // namespace

void plainAveragePools(Graph& graph) {
  for (Node* node : graph.nodeSequence()) {
    if (node->op().qualifiedName() == "AveragePool") makePlain(graph, node);
  }
}

}  // namespace simaqat
