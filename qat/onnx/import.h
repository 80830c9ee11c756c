// From an ONNX file to a Graph in canonical form.
#pragma once

#include <string>
#include <string_view>

#include "qat/ir/graph.h"

namespace simaqat {

// Whether models may have the operator: the registry has it, or import resolves it (Constant, the
// operators of control flow and of sequences).
bool isSupported(const std::string& qualified_name, const OpRegistry& registry);

// Reads a model of any opset from 7 on. Floating-point initializers of more than one element become
// variables (weights, or what BatchNormalization and FakeQuantize make of them), all others and
// Constant nodes constants. Numbers of 16 bits become float. Model-local functions, the taken
// branch of an If with a known condition and the iterations of a Loop or Scan of a known count are
// put in place of their nodes; a sequence of known structure is the tensors that it holds. External
// data is read from the model's folder alone.
// Input Errors: not an ONNX file, operators that are not supported (all of them, by node), a value
// nobody defines, external data that leaves the folder or is too short, and whatever the shape
// rules find. Each begins with the file's path.
Graph importModel(const std::string& path, const OpRegistry& registry);

// The same from bytes in memory; `origin` stands in
// messages, `folder` holds external data.
Graph importModelBytes(std::string_view bytes, const std::string& origin, const std::string& folder,
                       const OpRegistry& registry);

}  // namespace simaqat
