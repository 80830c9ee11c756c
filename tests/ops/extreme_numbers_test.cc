// Shape rules with the largest and smallest integers, which damaged or hostile files hold: each
// ends in an Error or gives dimensions that exist. The sanitizers see what overflows on the way.
#include <limits>

#include "qat/base/error.h"
#include "tests/catch.h"
#include "tests/ops/run_node.h"

namespace simaqat {
namespace {

constexpr int64_t kLimit = std::numeric_limits<int64_t>::max();
constexpr int64_t kNumbers[] = {kLimit,           kLimit - 1,       -kLimit - 1, -kLimit,
                                int64_t{1} << 62, int64_t{1} << 32, -1,          0};

bool exist(const TensorType& type) {
  if (!type.shape) return true;
  return std::all_of(type.shape->begin(), type.shape->end(),
                     [](const Dim& dim) { return !dim.known() || dim.value >= 0; });
}

// Inputs that are no float are constants, as the shapes that a rule reads are.
void checkInference(const OpDefinition& op, const OpExample& example,
                    const std::vector<Tensor>& inputs) {
  Graph graph(opRegistry());
  const auto is_float = [&](size_t i) { return isFloatingPoint(inputs[i].type()); };
  try {
    const Node* node = addExampleNode(graph, op, example, inputs, is_float);
    for (const Value* output : node->outputs()) {
      INFO(typeToString(output->type));
      CHECK(exist(output->type));
    }
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kInput);
  }
}

void changeAttributes(const OpDefinition& op, const OpExample& example,
                      const std::vector<Tensor>& inputs) {
  for (const auto& [name, value] : example.attributes) {
    const auto* list = std::get_if<std::vector<int64_t>>(&value);
    const size_t count = list != nullptr ? list->size() : std::holds_alternative<int64_t>(value);
    for (size_t i = 0; i < count; ++i) {
      for (const int64_t number : kNumbers) {
        INFO("attribute '" << name << "', number " << i << ": " << number);
        OpExample changed = example;
        AttributeValue& other = changed.attributes[name];
        (list != nullptr ? std::get<std::vector<int64_t>>(other)[i] : std::get<int64_t>(other)) =
            number;
        checkInference(op, changed, inputs);
      }
    }
  }
}

void changeInputs(const OpDefinition& op, const OpExample& example,
                  const std::vector<Tensor>& inputs) {
  for (size_t k = 0; k < inputs.size(); ++k) {
    if (!inputs[k].defined() || inputs[k].type() != ElementType::kInt64) continue;
    for (int64_t i = 0; i < std::min<int64_t>(inputs[k].size(), 8); ++i) {
      for (const int64_t number : kNumbers) {
        INFO("input " << k << ", element " << i << ": " << number);
        std::vector<Tensor> changed = inputs;
        changed[k].mutableData<int64_t>()[i] = number;
        checkInference(op, example, changed);
      }
    }
  }
}

}  // namespace

TEST_CASE("shape rules bear any integer") {
  forEachExample([](const OpDefinition& op, const OpExample& example) {
    INFO(describe(op, example));
    const std::vector<Tensor> inputs = exampleInputs(example, ElementType::kFloat);
    changeAttributes(op, example, inputs);
    changeInputs(op, example, inputs);
  });
}

}  // namespace simaqat
