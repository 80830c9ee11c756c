#include "qat/onnx/check.h"

#include <onnx/checker.h>
#include <onnx/defs/schema.h>

#include "qat/ir/op.h"
#include "qat/onnx/export.h"

namespace simaqat {
namespace {

int64_t tensorBytes(const Graph& graph) {
  size_t bytes = 0;
  for (const auto& value : graph.values()) {
    bytes += (value->variable != nullptr ? value->variable->value : value->constant).bytes();
  }
  return static_cast<int64_t>(bytes);
}

}  // namespace

void checkStandardModel(const Graph& graph, int opset) {
  for (const auto& node : graph.nodes()) {
    if (!node->op().domain.empty()) node->fail("is not a standard ONNX operator");
  }
  const auto known = onnx::OpSchemaRegistry::DomainToVersionRange::Instance().Map().at("");
  if (opset > known.second) return;
  // Beyond what protobuf holds in one message there is nothing to check it with.
  if (tensorBytes(graph) >= ExportOptions{opset}.external_data_bytes) return;
  onnx::ModelProto model;
  SIMAQAT_CHECK(model.ParseFromString(serializeModel(graph, opset)));
  // The checker wants a shape where ONNX itself and runtimes know inputs of any rank.
  for (auto& input : *model.mutable_graph()->mutable_input()) {
    input.mutable_type()->mutable_tensor_type()->mutable_shape();
  }
  try {
    onnx::checker::check_model(model);
  } catch (const std::exception& error) {
    throw inputError("ONNX's checker refuses what would be exported at opset {}: {}", opset,
                     error.what());
  }
}

}  // namespace simaqat
