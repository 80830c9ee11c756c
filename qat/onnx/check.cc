#include "qat/onnx/check.h"

#include <onnx/checker.h>
#include <onnx/defs/schema.h>

#include "qat/ir/op.h"
#include "qat/onnx/export.h"

namespace simaqat {

void checkStandardModel(const Graph& graph, int opset) {
  for (const auto& node : graph.nodes()) {
    if (!node->op().domain.empty()) node->fail("is not a standard ONNX operator");
  }
  const auto known = onnx::OpSchemaRegistry::DomainToVersionRange::Instance().Map().at("");
  if (opset > known.second) return;
  onnx::ModelProto model;
  // Beyond what protobuf holds in one message there is nothing to check it with.
  if (!model.ParseFromString(serializeModel(graph, opset))) return;
  try {
    onnx::checker::check_model(model);
  } catch (const std::exception& error) {
    throw InternalError(fmt::format("the ONNX checker refuses the export: {}", error.what()));
  }
}

}  // namespace simaqat
