// From a Graph to an ONNX file.
#pragma once

#include <map>
#include <string>

#include "qat/ir/graph.h"

namespace simaqat {

using Metadata = std::map<std::string, std::string>;

// Metadata that an input or output has, once its name follows: its type in the source's file, where
// that is float16, bfloat16 or double.
constexpr char kInputTypeKey[] = "simaqat.input_type.";
constexpr char kOutputTypeKey[] = "simaqat.output_type.";

struct ExportOptions {
  // The target opset; operators are written as it has them. 17 for simaqat's own files.
  int opset = 17;
  // Inputs and outputs have the types of the source's file, by a Cast at the border.
  bool keep_border_types = false;
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
