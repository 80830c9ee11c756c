#include "qat/passes/onnxruntime_kernels.h"

#include <algorithm>
#include <set>

#include "qat/ir/op.h"

namespace simaqat {

bool hasIntegerKernel(const Node& node) {
  // BatchNormalization, Relu and Clip end in the node or the quantizer beside them.
  static const std::set<std::string> kOperators = {
      "Add",     "AveragePool", "BatchNormalization", "Clip", "Concat", "Conv",    "Gemm",
      "GlobalAveragePool", "LeakyRelu", "MatMul", "Mul", "Relu", "Sigmoid", "Softmax", "Where"};
  return kOperators.count(node.op().qualifiedName()) != 0;
}

bool wantsQuantizedOperands(const Node& node) {
  static const std::set<std::string> kOperators = {"Add", "Concat", "Mul", "Where"};
  return kOperators.count(node.op().qualifiedName()) != 0;
}

bool feedsIntegerKernel(const Value* value) {
  return std::any_of(value->uses().begin(), value->uses().end(), [](const Use& use) {
    if (hasIntegerKernel(*use.node)) return true;
    const auto& outputs = use.node->outputs();
    return sharesQuantizer(*use.node) && use.index == 0 &&
           std::any_of(outputs.begin(), outputs.end(), feedsIntegerKernel);
  });
}

}  // namespace simaqat
