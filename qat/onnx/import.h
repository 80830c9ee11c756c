// From an ONNX file to a Graph in canonical form.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "qat/ir/graph.h"

namespace simaqat {

// Whether models may have the operator: the registry has it, or import resolves it (Constant, the
// operators of control flow and of sequences).
bool isSupported(const std::string& qualified_name, const OpRegistry& registry);

// metadata_props of a source file, or of simaqat's own: the names of its parameters, one a line.
// Nothing else in the file is a parameter then.
constexpr char kParametersKey[] = "simaqat.parameters";
std::optional<std::set<std::string>> listedParameters(const Graph& graph);

// What import finds out about a file beside its graph.
struct ImportReport {
  // By initializer: whether the exporter calls it a parameter (true), or a buffer or a constant.
  std::map<std::string, bool> stated_parameters;
  // Parameters that the exporter had merged because their values were equal, apart again.
  std::vector<std::string> separated;
};

// Reads a model of any opset from 6 on. Floating-point initializers that a gradient could reach
// become variables of role kWeight (or what BatchNormalization and FakeQuantize make of them), all
// others and Constant nodes constants; decideParameters then leaves what trains. Numbers of 16 bits
// become float. Model-local functions, the taken branch of an If with a known condition and the
// iterations of a Loop or Scan of a known count are put in place of their nodes; a sequence of known
// structure is the tensors that it holds. External data is read from the model's folder alone.
// Input Errors: not an ONNX file, operators that are not supported (all of them, by node), a value
// nobody defines, external data that leaves the folder or is too short, and whatever the shape
// rules find. Each begins with the file's path.
Graph importModel(const std::string& path, const OpRegistry& registry);

// The same from bytes in memory; `origin` stands in
// messages, `folder` holds external data.
Graph importModelBytes(std::string_view bytes, const std::string& origin, const std::string& folder,
                       const OpRegistry& registry, ImportReport* report = nullptr);

struct OperatorUse {
  int64_t nodes = 0;
  bool is_supported = false;
};

// The operators of a file by qualified name, those in bodies of control flow too, whether they are
// supported or not.
std::map<std::string, OperatorUse> operatorsOf(const std::string& path, const OpRegistry& registry);

}  // namespace simaqat
