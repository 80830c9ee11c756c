#include "qat/onnx/functions.h"

#include <vector>

#include "qat/base/error.h"
#include "qat/ir/quantizer.h"
#include "qat/ops/shared/approximation_attributes.h"

namespace simaqat::onnx_format {
namespace {

void addNode(onnx::FunctionProto& function, const std::string& op_type,
             const std::vector<std::string>& inputs, const std::string& output) {
  onnx::NodeProto* node = function.add_node();
  node->set_op_type(op_type);
  for (const std::string& input : inputs) node->add_input(input);
  node->add_output(output);
}

// To the last node.
onnx::AttributeProto* addAttribute(onnx::FunctionProto& function, const char* name,
                                   onnx::AttributeProto::AttributeType type) {
  onnx::AttributeProto* attribute = function.mutable_node(function.node_size() - 1)->add_attribute();
  attribute->set_name(name);
  attribute->set_type(type);
  return attribute;
}

void addCast(onnx::FunctionProto& function, const std::string& input, const std::string& output,
             onnx::TensorProto::DataType type) {
  addNode(function, "Cast", {input}, output);
  addAttribute(function, "to", onnx::AttributeProto::INT)->set_i(type);
}

// A float constant from an integer attribute of the call.
void addLimit(onnx::FunctionProto& function, const std::string& attribute) {
  addNode(function, "Constant", {}, attribute + "_code");
  addAttribute(function, "value_int", onnx::AttributeProto::INT)->set_ref_attr_name(attribute);
  addCast(function, attribute + "_code", attribute + "_float", onnx::TensorProto::FLOAT);
}

void addFloatAttribute(onnx::FunctionProto& function, const std::string& attribute) {
  addNode(function, "Constant", {}, attribute + "_float");
  addAttribute(function, "value_float", onnx::AttributeProto::FLOAT)->set_ref_attr_name(attribute);
}

void addInteger(onnx::FunctionProto& function, const std::string& name, int64_t number) {
  addNode(function, "Constant", {}, name);
  addAttribute(function, "value_int", onnx::AttributeProto::INT)->set_i(number);
}

void addFloat(onnx::FunctionProto& function, const std::string& name, float number) {
  addNode(function, "Constant", {}, name);
  addAttribute(function, "value_float", onnx::AttributeProto::FLOAT)->set_f(number);
}

// The names of an operator's attributes, from their one list of fields.
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

template <class S>
void declareAttributes(onnx::FunctionProto& function) {
  S attributes;
  NameCollector collector{function};
  S::fields(attributes, collector);
}

void defineFakeQuantize(onnx::FunctionProto& function) {
  for (const char* input : {"x", "scale", "zero_point", "range_min", "range_max", "histogram",
                            "histogram_limit", "offset", "folded_scale"}) {
    function.add_input(input);
  }
  declareAttributes<QuantizerSpec>(function);
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

void defineSamplePoints(onnx::FunctionProto& function) {
  for (const char* input : {"scale", "zero_point"}) function.add_input(input);
  declareAttributes<ops::SamplePointsAttributes>(function);
  addLimit(function, "count");
  addFloatAttribute(function, "first");
  addFloatAttribute(function, "last");
  addFloat(function, "zero", 0);
  addFloat(function, "one", 1);
  addNode(function, "Range", {"zero", "count_float", "one"}, "numbers");
  addNode(function, "Sub", {"last_float", "first_float"}, "way");
  addNode(function, "Sub", {"count_float", "one"}, "steps");
  addNode(function, "Div", {"way", "steps"}, "step");
  addNode(function, "Mul", {"numbers", "step"}, "ways");
  addNode(function, "Add", {"first_float", "ways"}, "codes");
  addNode(function, "Sub", {"codes", "zero_point"}, "centered");
  addNode(function, "Mul", {"centered", "scale"}, "y");
}

// The index of the point next to x, or below it, from 0 to the last but `but`.
void addIndex(onnx::FunctionProto& function, const char* rounding, float but) {
  for (const char* input : {"x", "points", "values"}) function.add_input(input);
  declareAttributes<ops::ApproximationAttributes>(function);
  addInteger(function, "first_index", 0);
  addInteger(function, "last_index", -1);
  addNode(function, "Gather", {"points", "first_index"}, "first");
  addNode(function, "Gather", {"points", "last_index"}, "last");
  addNode(function, "Size", {"points"}, "count");
  addCast(function, "count", "count_float", onnx::TensorProto::FLOAT);
  addFloat(function, "zero", 0);
  addFloat(function, "one", 1);
  addNode(function, "Sub", {"count_float", "one"}, "steps");
  addNode(function, "Sub", {"last", "first"}, "span");
  addNode(function, "Div", {"span", "steps"}, "step");
  addNode(function, "Sub", {"x", "first"}, "way");
  addNode(function, "Div", {"way", "step"}, "position");
  addNode(function, rounding, {"position"}, "rounded");
  addFloat(function, "but", but);
  addNode(function, "Sub", {"steps", "but"}, "most");
  addNode(function, "Clip", {"rounded", "zero", "most"}, "clipped");
  addCast(function, "clipped", "index", onnx::TensorProto::INT64);
}

void defineTableLookup(onnx::FunctionProto& function) {
  addIndex(function, "Round", 0);
  addNode(function, "Gather", {"values", "index"}, "y");
}

void definePiecewiseLinear(onnx::FunctionProto& function) {
  addIndex(function, "Floor", 1);
  addInteger(function, "one_index", 1);
  addNode(function, "Add", {"index", "one_index"}, "next");
  for (const std::string name : {"points", "values"}) {
    addNode(function, "Gather", {name, "index"}, name + "_here");
    addNode(function, "Gather", {name, "next"}, name + "_next");
    addNode(function, "Sub", {name + "_next", name + "_here"}, name + "_way");
  }
  addNode(function, "Div", {"values_way", "points_way"}, "slope");
  addNode(function, "Sub", {"x", "points_here"}, "from_here");
  addNode(function, "Mul", {"slope", "from_here"}, "rise");
  addNode(function, "Add", {"values_here", "rise"}, "y");
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
  } else if (name == "SamplePoints") {
    defineSamplePoints(function);
  } else if (name == "TableLookup") {
    defineTableLookup(function);
  } else if (name == "PiecewiseLinear") {
    definePiecewiseLinear(function);
  } else {
    SIMAQAT_CHECK(false, "operator {} has no function for files", name);
  }
  return function;
}

}  // namespace simaqat::onnx_format
