#include "qat/onnx/functions.h"

#include <vector>

#include "qat/base/error.h"
#include "qat/ir/quantizer.h"

namespace simaqat::onnx_format {
namespace {

void addNode(onnx::FunctionProto& function, const std::string& op_type,
             const std::vector<std::string>& inputs, const std::string& output) {
  onnx::NodeProto* node = function.add_node();
  node->set_op_type(op_type);
  for (const std::string& input : inputs) node->add_input(input);
  node->add_output(output);
}

// A float constant from an integer attribute of the call.
void addLimit(onnx::FunctionProto& function, const std::string& attribute) {
  addNode(function, "Constant", {}, attribute + "_code");
  onnx::AttributeProto* value = function.mutable_node(function.node_size() - 1)->add_attribute();
  value->set_name("value_int");
  value->set_type(onnx::AttributeProto::INT);
  value->set_ref_attr_name(attribute);
  addNode(function, "Cast", {attribute + "_code"}, attribute + "_float");
  onnx::AttributeProto* to = function.mutable_node(function.node_size() - 1)->add_attribute();
  to->set_name("to");
  to->set_type(onnx::AttributeProto::INT);
  to->set_i(onnx::TensorProto::FLOAT);
}

// The names of the quantizer's attributes, from its one list of fields.
struct NameCollector {
  onnx::FunctionProto& function;
  template <class T>
  void operator()(const char* name, T&) {
    function.add_attribute(name);
  }
  template <class T>
  void required(const char* name, T&) {
    function.add_attribute(name);
  }
};

void defineFakeQuantize(onnx::FunctionProto& function) {
  for (const char* input : {"x", "scale", "zero_point", "range_min", "range_max", "histogram",
                            "histogram_limit", "offset"}) {
    function.add_input(input);
  }
  QuantizerSpec spec;
  NameCollector collector{function};
  QuantizerSpec::fields(spec, collector);
  addLimit(function, "qmin");
  addLimit(function, "qmax");
  addNode(function, "Div", {"x", "scale"}, "scaled");
  addNode(function, "Round", {"scaled"}, "rounded");
  addNode(function, "Add", {"rounded", "zero_point"}, "shifted");
  addNode(function, "Clip", {"shifted", "qmin_float", "qmax_float"}, "code");
  addNode(function, "Sub", {"code", "zero_point"}, "centered");
  addNode(function, "Mul", {"centered", "scale"}, "y");
}

void defineStopGradient(onnx::FunctionProto& function) {
  function.add_input("x");
  addNode(function, "Identity", {"x"}, "y");
}

// Its second output, the factors, is for backward alone.
void defineDropPath(onnx::FunctionProto& function) {
  for (const char* input : {"x", "like", "keep"}) function.add_input(input);
  function.add_output("factor");
  addNode(function, "RandomUniformLike", {"like"}, "number");
  addNode(function, "Less", {"number", "keep"}, "is_kept");
  addNode(function, "CastLike", {"is_kept", "x"}, "kept");
  addNode(function, "Div", {"kept", "keep"}, "factor");
  addNode(function, "Mul", {"x", "factor"}, "y");
}

}  // namespace

onnx::FunctionProto functionDefinition(const std::string& name, int opset) {
  onnx::FunctionProto function;
  function.set_name(name);
  function.set_domain(kOwnDomain);
  function.add_output("y");
  auto* import = function.add_opset_import();
  import->set_domain("");
  import->set_version(opset);
  if (name == "FakeQuantize") {
    defineFakeQuantize(function);
  } else if (name == "StopGradient") {
    defineStopGradient(function);
  } else if (name == "DropPath") {
    defineDropPath(function);
  } else {
    SIMAQAT_CHECK(false, "operator {} has no function for files", name);
  }
  return function;
}

}  // namespace simaqat::onnx_format
