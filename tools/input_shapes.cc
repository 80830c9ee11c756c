#include "tools/input_shapes.h"

#include <algorithm>
#include <stdexcept>

#include "qat/base/error.h"

namespace simaqat {
namespace {

std::vector<int64_t> parseDims(const std::string& option, const std::string& text) {
  std::vector<int64_t> dims;
  try {
    for (size_t at = 0; at < text.size();) {
      size_t used = 0;
      dims.push_back(std::stoll(text.substr(at), &used));
      at += used;
      if (at < text.size() && text[at] != 'x') throw std::invalid_argument(text);
      ++at;
    }
  } catch (const std::logic_error&) {
    dims.clear();
  }
  const bool valid =
      !dims.empty() && std::all_of(dims.begin(), dims.end(), [](int64_t dim) { return dim > 0; });
  if (!valid) throw usageError("{}: expected NAME:3x224x224, without the batch", option);
  return dims;
}

// Whether a sample of the input may have these dimensions.
bool fits(const TensorType& type, const std::vector<int64_t>& dims) {
  if (!type.shape) return true;
  if (type.rank() != dims.size() + 1) return false;
  for (size_t k = 0; k < dims.size(); ++k) {
    const Dim& dim = (*type.shape)[k + 1];
    if (dim.known() && dim.value != dims[k]) return false;
  }
  return true;
}

}  // namespace

std::map<std::string, std::vector<int64_t>> parseInputShapes(const std::vector<std::string>& texts,
                                                             const Graph& model) {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const std::string& text : texts) {
    const std::string option = "--input-shape " + text;
    const size_t colon = text.rfind(':');
    if (colon == std::string::npos) {
      throw usageError("{}: expected NAME:3x224x224, without the batch", option);
    }
    const std::string name = text.substr(0, colon);
    const std::vector<int64_t> dims = parseDims(option, text.substr(colon + 1));
    const auto input = std::find_if(model.inputs.begin(), model.inputs.end(),
                                    [&](const Value* value) { return value->name() == name; });
    if (input == model.inputs.end()) {
      throw inputError("{}: the model has no input '{}'", option, name);
    }
    if (!fits((*input)->type, dims)) {
      throw inputError("{}: the input is {}", option, typeToString((*input)->type));
    }
    if (!shapes.emplace(name, dims).second) throw usageError("{}: is given twice", option);
  }
  return shapes;
}

}  // namespace simaqat
