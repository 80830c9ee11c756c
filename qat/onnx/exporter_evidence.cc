#include "qat/onnx/exporter_evidence.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <unordered_map>

#include "qat/onnx/inline.h"
#include "qat/onnx/newer_fields.h"

namespace simaqat::onnx_format {
namespace {

// Of the fields metadata_props.
constexpr int kValueInfoMetadata = 4;
constexpr int kNodeMetadata = 9;

constexpr char kKind[] = "pkg.torch.export.graph_signature.InputSpec.kind";
constexpr char kOriginalName[] = "pkg.torch.onnx.original_node_name";
constexpr char kTorchNode[] = "pkg.torch.onnx.fx_node";
constexpr char kScopes[] = "pkg.torch.onnx.name_scopes";

std::string valueOf(const std::map<std::string, std::string>& metadata, const char* key) {
  const auto entry = metadata.find(key);
  return entry == metadata.end() ? "" : entry->second;
}

size_t widthOf(int data_type) {
  switch (data_type) {
    case onnx::TensorProto::DOUBLE:
      return 8;
    case onnx::TensorProto::FLOAT:
      return 4;
    case onnx::TensorProto::FLOAT16:
    case onnx::TensorProto::BFLOAT16:
      return 2;
    default:
      return 0;
  }
}

// Floats with one value throughout.
bool isUniform(const onnx::TensorProto& tensor) {
  const auto same = [](const auto& values) {
    return !values.empty() &&
           std::all_of(values.begin(), values.end(), [&](auto v) { return v == values[0]; });
  };
  const size_t width = widthOf(tensor.data_type());
  if (width == 0) return false;
  if (tensor.has_raw_data()) {
    const std::string& bytes = tensor.raw_data();
    // Each element is the one before it.
    return bytes.size() >= width && std::equal(bytes.begin() + static_cast<std::ptrdiff_t>(width),
                                               bytes.end(), bytes.begin());
  }
  return same(tensor.float_data()) || same(tensor.double_data()) || same(tensor.int32_data());
}

class Separation {
 public:
  explicit Separation(onnx::GraphProto& graph) : graph_(graph) {
    for (int i = 0; i < graph.initializer_size(); ++i) {
      if (isUniform(graph.initializer(i))) merged_[graph.initializer(i).name()] = i;
    }
  }

  std::map<std::string, std::string> run() {
    separateIdentities();
    separateByTorchNodes();
    return std::move(separated_);
  }

 private:
  void addCopy(const std::string& of, const std::string& name) {
    onnx::TensorProto copy = graph_.initializer(merged_.at(of));
    copy.set_name(name);
    merged_[name] = graph_.initializer_size();
    *graph_.add_initializer() = std::move(copy);
    const auto source = separated_.find(of);
    separated_[name] = source == separated_.end() ? of : source->second;
  }

  // An Identity of an initializer is an initializer of its own.
  void separateIdentities() {
    onnx::GraphProto rest;
    for (onnx::NodeProto& node : *graph_.mutable_node()) {
      const bool is_merged = node.op_type() == "Identity" && isStandardDomain(node.domain()) &&
                             node.input_size() == 1 && node.output_size() == 1 &&
                             merged_.count(node.input(0)) != 0;
      if (is_merged) {
        addCopy(node.input(0), node.output(0));
      } else {
        rest.add_node()->Swap(&node);
      }
    }
    graph_.mutable_node()->Swap(rest.mutable_node());
  }

  void separateByTorchNodes() {
    // The placeholder of PyTorch's graph that each initializer was, such as p_3_weight.
    std::unordered_map<std::string, std::string> placeholders;
    std::set<std::string> known;
    for (const onnx::ValueInfoProto& info : graph_.value_info()) {
      const auto metadata = newerMetadata(info, kValueInfoMetadata);
      if (valueOf(metadata, kKind) != "PARAMETER") continue;
      known.insert(placeholders[info.name()] = valueOf(metadata, kOriginalName));
    }
    if (placeholders.empty()) return;
    std::map<std::string, std::string> copies;  // by placeholder
    for (onnx::NodeProto& node : *graph_.mutable_node()) {
      const auto metadata = newerMetadata(node, kNodeMetadata);
      const std::vector<std::string> arguments = parametersOf(valueOf(metadata, kTorchNode));
      std::vector<std::string> lost;
      for (const std::string& argument : arguments) {
        if (known.count(argument) == 0) lost.push_back(argument);
      }
      for (std::string& input : *node.mutable_input()) {
        const auto own = placeholders.find(input);
        const bool is_foreign =
            own != placeholders.end() && merged_.count(input) != 0 && !lost.empty() &&
            std::find(arguments.begin(), arguments.end(), own->second) == arguments.end();
        if (!is_foreign) continue;
        const auto placeholder = matching(lost, own->second);
        const auto [copy, is_new] = copies.emplace(*placeholder, "");
        if (is_new) {
          copy->second = nameOf(*placeholder, valueOf(metadata, kScopes));
          addCopy(input, copy->second);
        }
        lost.erase(placeholder);
        input = copy->second;
      }
    }
  }

  // %p_2_weight, %p_2_bias of "%linear : ... = call_function[...](args = (%view, %p_2_weight,
  // %p_2_bias), kwargs = {})".
  static std::vector<std::string> parametersOf(const std::string& torch_node) {
    std::vector<std::string> names;
    const size_t arguments = torch_node.find("(args = ");
    if (arguments == std::string::npos) return names;
    for (size_t at = torch_node.find("%p_", arguments); at != std::string::npos;
         at = torch_node.find("%p_", at + 1)) {
      size_t end = at + 1;
      while (end < torch_node.size() &&
             (std::isalnum(static_cast<unsigned char>(torch_node[end])) != 0 ||
              torch_node[end] == '_')) {
        ++end;
      }
      names.push_back(torch_node.substr(at + 1, end - at - 1));
    }
    return names;
  }

  // Of the names that are lost, the one that ends as `placeholder` does (weight, bias), or the
  // first.
  static std::vector<std::string>::iterator matching(std::vector<std::string>& lost,
                                                     const std::string& placeholder) {
    const std::string ending = placeholder.substr(placeholder.rfind('_') + 1);
    const auto it = std::find_if(lost.begin(), lost.end(), [&](const std::string& name) {
      return name.substr(name.rfind('_') + 1) == ending;
    });
    return it != lost.end() ? it : lost.begin();
  }

  // p_6_weight in the scopes ['', '6', 'layer_norm_1'] is 6.weight.
  static std::string nameOf(const std::string& placeholder, const std::string& scopes) {
    for (size_t end = scopes.rfind('\''); end != std::string::npos && end > 0;) {
      const size_t begin = scopes.rfind('\'', end - 1);
      if (begin == std::string::npos) break;
      const std::string path = scopes.substr(begin + 1, end - begin - 1);
      std::string mangled = "p_" + path + "_";
      std::replace(mangled.begin(), mangled.end(), '.', '_');
      if (!path.empty() && placeholder.rfind(mangled, 0) == 0) {
        return path + "." + placeholder.substr(mangled.size());
      }
      end = begin == 0 ? std::string::npos : scopes.rfind('\'', begin - 1);
    }
    return placeholder.substr(2);
  }

  onnx::GraphProto& graph_;
  std::unordered_map<std::string, int> merged_;  // initializers of one value: their places
  std::map<std::string, std::string> separated_;
};

}  // namespace

std::map<std::string, bool> statedParameters(const onnx::ModelProto& model) {
  std::set<std::string> initializers;
  for (const auto& tensor : model.graph().initializer()) initializers.insert(tensor.name());
  std::map<std::string, bool> stated;
  for (const onnx::ValueInfoProto& info : model.graph().value_info()) {
    if (initializers.count(info.name()) == 0) continue;
    const std::string kind = valueOf(newerMetadata(info, kValueInfoMetadata), kKind);
    if (!kind.empty()) stated[info.name()] = kind == "PARAMETER";
  }
  return stated;
}

std::map<std::string, std::string> separateMergedParameters(onnx::ModelProto& model) {
  return Separation(*model.mutable_graph()).run();
}

}  // namespace simaqat::onnx_format
