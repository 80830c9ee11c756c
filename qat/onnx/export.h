// From a Graph to an ONNX file.
#pragma once

#include <string>

#include "qat/ir/graph.h"

namespace simaqat {

struct ExportOptions {
  // The target opset; operators are written as it has them. 17 for simaqat's own files.
  int opset = 17;
  // Tensors go to a file of their own beside the model from this size of the whole on: a protobuf
  // file cannot pass 2 GiB.
  int64_t external_data_bytes = int64_t{1800} << 20;
};

// Writes the file under a temporary name, flushes it and renames it. The same graph gives the same
// bytes. An Error names the operator that the opset cannot express.
void exportModel(const Graph& graph, const std::string& path, const ExportOptions& options = {});

// The bytes of the same file, all data inside.
std::string serializeModel(const Graph& graph, int opset);

}  // namespace simaqat
