#include "qat/train/exportable.h"

#include "qat/onnx/check.h"
#include "qat/onnx/opset.h"
#include "qat/passes/float_form.h"

namespace simaqat {

void requireExportable(const Graph& graph) {
  Graph exported = graph.clone();
  floatForm(exported);
  const NeededOpset needed = neededOpset(exported, kLeastExportOpset);
  requireWritable(needed, kMostExportOpset);
  checkStandardModel(exported, needed.opset);
}

}  // namespace simaqat
