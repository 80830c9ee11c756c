#include "qat/ops/shared/attention.h"

namespace simaqat::ops {
namespace {

AttentionRows rowsOf(const Node& node, size_t input, Span<const int64_t> dims,
                     std::optional<int64_t> heads) {
  if (dims.size() == 4) return {dims[1], dims[2], dims[3], false};
  if (!heads || *heads < 1) node.fail("input {}: rank 3 needs the number of heads", input);
  if (dims[2] % *heads != 0) {
    node.fail("input {}: {} elements do not divide into {} heads", input, dims[2], *heads);
  }
  return {*heads, dims[1], dims[2] / *heads, true};
}

}  // namespace

AttentionShape::AttentionShape(const Node& node, const AttentionAttributes& attributes,
                               Span<const int64_t> q_dims, Span<const int64_t> k_dims,
                               Span<const int64_t> v_dims)
    : batch(q_dims[0]),
      q(rowsOf(node, 0, q_dims, attributes.q_num_heads)),
      k(rowsOf(node, 1, k_dims, attributes.kv_num_heads)),
      v(rowsOf(node, 2, v_dims, attributes.kv_num_heads)),
      y(q),
      softcap(attributes.softcap),
      is_causal(attributes.is_causal) {
  if (k_dims[0] != batch || v_dims[0] != batch) {
    node.fail("inputs: expected one batch, got {}, {} and {}", batch, k_dims[0], v_dims[0]);
  }
  if (q.size != k.size || k.length != v.length || k.heads != v.heads || q.heads % k.heads != 0) {
    node.fail("inputs: queries {}, keys {} and values {} do not fit", dimsToString(q_dims),
              dimsToString(k_dims), dimsToString(v_dims));
  }
  y.size = v.size;
  shared = q.heads / k.heads;
  scale = attributes.scale ? *attributes.scale : 1 / std::sqrt(static_cast<double>(q.size));
}

int64_t attentionWorkspace(const Value* k, int lists, int threads) {
  const std::vector<int64_t> dims = k->type.dims();
  kernels::Workspace workspace(nullptr);
  attentionLists(dims[dims.size() == 4 ? 2 : 1], lists, threads, workspace);
  return static_cast<int64_t>(workspace.used());
}

}  // namespace simaqat::ops
