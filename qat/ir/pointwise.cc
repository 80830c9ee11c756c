#include "qat/ir/pointwise.h"

#include <algorithm>

#include "qat/base/text.h"
#include "qat/ir/op.h"

namespace simaqat {
namespace {

// Elements from one index of each axis of `shape` to the next; 0 where the operand is broadcast.
std::vector<int64_t> broadcastStrides(const std::vector<int64_t>& operand,
                                      const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size(), 0);
  int64_t step = 1;
  for (size_t k = 0; k < operand.size(); ++k) {
    const int64_t dim = operand[operand.size() - 1 - k];
    if (dim != 1) strides[shape.size() - 1 - k] = step;
    step *= dim;
  }
  return strides;
}

std::string text(const Value* value, const Graph& body) {
  for (size_t i = 0; i < body.inputs.size(); ++i) {
    if (body.inputs[i] == value) return std::to_string(i);
  }
  std::vector<std::string> inputs;
  for (const Value* input : value->producer()->inputs()) {
    inputs.push_back(input == nullptr ? "_" : text(input, body));
  }
  return fmt::format("{}({})", value->producer()->op().name, joined(inputs));
}

}  // namespace

bool isPointwise(const Node& node) {
  const PointwiseTraits& traits = node.op().pointwise;
  if (traits.block == nullptr || node.outputCount() != 1) return false;
  const TensorType& type = node.output()->type;
  if (type.element != ElementType::kFloat || !type.isStatic()) return false;
  return traits.applies == nullptr || traits.applies(node);
}

PointwiseProgram::PointwiseProgram(Graph body) : body_(std::move(body)) {
  schedule();
  layOut();
}

// A value's slot is free again behind its last use; the result's step may write where it reads.
void PointwiseProgram::schedule() {
  std::unordered_map<const Value*, int> slot_of;
  std::unordered_map<const Value*, const Node*> last_use;
  for (const Value* input : body_.inputs) slot_of[input] = slots_++;
  for (const auto& node : body_.nodes()) {
    for (const Value* input : node->inputs()) last_use[input] = node.get();
  }
  std::vector<int> free;
  for (const auto& node : body_.nodes()) {
    Step step{node.get(), {}, 0};
    for (const Value* input : node->inputs()) {
      step.in.push_back(input == nullptr ? -1 : slot_of.at(input));
    }
    for (const Value* input : node->inputs()) {
      if (input == nullptr || input->producer() == nullptr || last_use.at(input) != node.get()) continue;
      const int slot = slot_of.at(input);
      if (std::find(free.begin(), free.end(), slot) == free.end()) free.push_back(slot);
    }
    if (free.empty()) free.push_back(slots_++);
    step.out = free.back();
    free.pop_back();
    slot_of[node->output()] = step.out;
    steps_.push_back(std::move(step));
  }
}

void PointwiseProgram::layOut() {
  const std::vector<int64_t> shape = body_.outputs[0].value->type.dims();
  size_ = body_.outputs[0].value->type.size();
  std::vector<std::vector<int64_t>> strides;
  for (const Value* input : body_.inputs) {
    strides.push_back(broadcastStrides(input->type.dims(), shape));
  }
  // Axes from the last to the first, each merged with the one behind it where every operand goes on
  // from there as it would within an axis.
  std::vector<int64_t> dims;
  std::vector<std::vector<int64_t>> merged(strides.size());
  for (size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] == 1) continue;
    bool continues = !dims.empty();
    for (size_t k = 0; k < strides.size() && continues; ++k) {
      continues = strides[k][axis] == merged[k].back() * dims.back();
    }
    if (continues) {
      dims.back() *= shape[axis];
      continue;
    }
    dims.push_back(shape[axis]);
    for (size_t k = 0; k < strides.size(); ++k) merged[k].push_back(strides[k][axis]);
  }
  inner_ = dims.empty() ? 1 : dims[0];
  for (size_t axis = dims.size(); axis-- > 1;) row_dims_.push_back(dims[axis]);
  for (const std::vector<int64_t>& own : merged) {
    Operand operand{{}, !own.empty() && own[0] == 1, true};
    int64_t elements = 1;
    for (size_t axis = 0; axis < dims.size(); ++axis) {
      operand.is_whole = operand.is_whole && own[axis] == elements;
      elements *= dims[axis];
    }
    for (size_t axis = dims.size(); axis-- > 1;) operand.row_strides.push_back(own[axis]);
    operands_.push_back(std::move(operand));
  }
}

std::string PointwiseProgram::toString() const { return text(body_.outputs[0].value, body_); }

}  // namespace simaqat
