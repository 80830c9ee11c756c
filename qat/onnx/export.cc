#include "qat/onnx/export.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <set>

#include "qat/base/file.h"
#include "qat/base/hash.h"
#include "qat/onnx/border_types.h"
#include "qat/onnx/convert.h"
#include "qat/onnx/functions.h"
#include "qat/onnx/opset.h"

namespace simaqat {
namespace {

using namespace onnx_format;  // NOLINT: this file is that format's writer

// The newest IR version that each opset came with, at least 8 where functions may be used.
constexpr int kIrVersion = 8;

class Exporter {
 public:
  Exporter(const Graph& graph, int opset) : graph_(graph), opset_(opset) {}

  onnx::ModelProto run() {
    model_.set_ir_version(opset_ >= 21 ? 10 : opset_ >= 19 ? 9 : kIrVersion);
    model_.set_producer_name("simaqat");
    proto_ = model_.mutable_graph();
    proto_->set_name(graph_.name.empty() ? "model" : graph_.name);
    for (const Value* input : graph_.inputs) {
      *proto_->add_input() = fromType(input->name(), input->type);
    }
    addInitializers();
    for (const auto& node : graph_.nodes()) addNode(*node);
    addOutputs();
    addDomains();
    for (const auto& [key, value] : graph_.metadata) {
      auto* entry = model_.add_metadata_props();
      entry->set_key(key);
      entry->set_value(value);
    }
    return std::move(model_);
  }

 private:
  void addInitializers() {
    for (const auto& value : graph_.values()) {
      if (value->variable != nullptr) {
        *proto_->add_initializer() = fromTensor(value->name(), value->variable->value);
      } else if (value->isConstant() && value->producer() == nullptr &&
                 graph_.useCount(value.get()) > 0) {
        *proto_->add_initializer() = fromTensor(value->name(), value->constant);
      }
    }
  }

  void addNode(const Node& node) {
    PortableNode portable = portableNode(graph_, node);
    portable.add_constant = [&](const std::string& suffix, Tensor tensor) {
      const std::string name = graph_.uniqueName(node.name() + "/" + suffix);
      *proto_->add_initializer() = fromTensor(name, tensor);
      return name;
    };
    if (node.op().downgrade != nullptr) node.op().downgrade(portable, opset_);
    if (node.op().domain.empty() && node.op().first_opset > opset_) {
      node.fail("is an operator of opset {}, and the target is {}", node.op().first_opset, opset_);
    }
    onnx::NodeProto* proto = proto_->add_node();
    proto->set_op_type(portable.op_type);
    proto->set_domain(portable.domain);
    proto->set_name(uniqueNodeName(portable.name));
    fromAttributes(portable.attributes, *proto);
    for (const std::string& input : portable.inputs) proto->add_input(input);
    for (const std::string& output : portable.outputs) proto->add_output(output);
    used_.insert(portable.inputs.begin(), portable.inputs.end());
    if (!portable.domain.empty()) own_operators_.insert(portable.op_type);
  }

  // ONNX Runtime refuses a file in which two nodes have one name.
  std::string uniqueNodeName(const std::string& name) {
    if (name.empty()) return name;
    std::string unique = name;
    for (int k = 1; !node_names_.insert(unique).second; ++k) unique = fmt::format("{}_{}", name, k);
    return unique;
  }

  // A graph output keeps its name: where its value has another, or leaves twice, an Identity gives
  // it that.
  void addOutputs() {
    for (const GraphOutput& output : graph_.outputs) {
      if (output.value->name() != output.name || output.value->producer() == nullptr) {
        onnx::NodeProto* proto = proto_->add_node();
        proto->set_op_type("Identity");
        proto->set_name(uniqueNodeName(output.name));
        proto->add_input(output.value->name());
        proto->add_output(output.name);
      }
      *proto_->add_output() = fromType(output.name, output.value->type);
    }
    // Downgrading may have turned a constant input into an attribute.
    auto* initializers = proto_->mutable_initializer();
    for (const onnx::NodeProto& node : proto_->node()) {
      used_.insert(node.input().begin(), node.input().end());
    }
    const auto unused = std::remove_if(
        initializers->begin(), initializers->end(),
        [&](const onnx::TensorProto& tensor) { return used_.count(tensor.name()) == 0; });
    initializers->erase(unused, initializers->end());
  }

  void addDomains() {
    auto* standard = model_.add_opset_import();
    standard->set_domain("");
    standard->set_version(opset_);
    if (own_operators_.empty()) return;
    auto* own = model_.add_opset_import();
    own->set_domain(kOwnDomain);
    own->set_version(1);
    for (const std::string& name : own_operators_) {
      *model_.add_functions() = functionDefinition(name, opset_);
    }
  }

  const Graph& graph_;
  const int opset_;
  onnx::ModelProto model_;
  onnx::GraphProto* proto_ = nullptr;
  std::set<std::string> used_;
  std::set<std::string> node_names_;
  std::set<std::string> own_operators_;
};

// Protobuf's maps aside, serialization is a function of the message alone.
bool serialize(const onnx::ModelProto& model, google::protobuf::io::ZeroCopyOutputStream& stream) {
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  const bool written = model.SerializeToCodedStream(&coded);
  coded.Trim();
  return written && !coded.HadError();
}

// Protobuf's way to a file: a large model is not held a second time, as bytes. Protobuf's classes
// know no exceptions, so an error waits until they are done.
class FileStream : public google::protobuf::io::CopyingOutputStream {
 public:
  explicit FileStream(AtomicFile& file) : file_(file) {}
  bool Write(const void* data, int size) override {
    try {
      file_.write({static_cast<const char*>(data), static_cast<size_t>(size)});
      return true;
    } catch (...) {
      error_ = std::current_exception();
      return false;
    }
  }
  void rethrow() const {
    if (error_ != nullptr) std::rethrow_exception(error_);
  }

 private:
  AtomicFile& file_;
  std::exception_ptr error_;
};

constexpr char kTooLarge[] = "the model is too large to write";

void write(const onnx::ModelProto& model, const std::string& path) {
  AtomicFile file(path);
  FileStream to_file(file);
  google::protobuf::io::CopyingOutputStreamAdaptor stream(&to_file);
  const bool written = serialize(model, stream) && stream.Flush();
  to_file.rethrow();
  if (!written) throw runtimeError(kTooLarge);
  file.commit();
}

// Moves the tensors' data to a file named after its content, written before the model.
void externalize(onnx::ModelProto& model, const std::string& path) {
  Hasher hasher;
  for (const auto& tensor : model.graph().initializer()) hasher.update(tensor.raw_data());
  const std::filesystem::path target(path);
  const std::string name = fmt::format("{}.{}.data", target.filename().string(), hasher.hex());
  AtomicFile file((target.parent_path() / name).string());
  uint64_t offset = 0;
  for (auto& tensor : *model.mutable_graph()->mutable_initializer()) {
    const auto entry = [&](const char* key, const std::string& value) {
      auto* e = tensor.add_external_data();
      e->set_key(key);
      e->set_value(value);
    };
    file.write(tensor.raw_data());
    entry("location", name);
    entry("offset", std::to_string(offset));
    entry("length", std::to_string(tensor.raw_data().size()));
    offset += tensor.raw_data().size();
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
    tensor.clear_raw_data();
  }
  file.commit();
}

}  // namespace

std::string serializeModel(const Graph& graph, int opset) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  if (!serialize(Exporter(graph, opset).run(), stream)) throw runtimeError(kTooLarge);
  return bytes;
}

void exportModel(const Graph& graph, const std::string& path, const ExportOptions& options) {
  onnx::ModelProto model = Exporter(graph, options.opset).run();
  if (options.keep_border_types) castBorders(model);
  int64_t bytes = 0;
  for (const auto& tensor : model.graph().initializer()) {
    bytes += static_cast<int64_t>(tensor.raw_data().size());
  }
  if (bytes >= options.external_data_bytes) externalize(model, path);
  write(model, path);
}

}  // namespace simaqat
