#include "tests/ops/operators_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "qat/ops/registry.h"
#include "tests/ops/onnx_suite.h"

namespace simaqat {
namespace {

constexpr int kFirstOpset = 6;

const char kIntroduction[] =
    R"(# Operators
Written from the registry and from runs of ONNX's own tests, as Debian 12 has them, by

    bazel run //tests/ops:write_operators_document > docs/OPERATORS.md

and `//tests/ops:operators_document_test` fails where this file is out of date.

- **Opsets**: at which the operator is written; older forms that ONNX has are read from opset 6 on.
- **Forward**: a `kernel` for float32 beside the definition, or the definition alone, which holds for
  all element types and folds constants. `random` ones draw from the run's seed, the node, the step
  and the element.
- **Gradient**: whether there is a rule; otherwise the gradient ends there.
- **Quantizer**: where one stands (docs/NUMERICS.md, "Where quantizers stand").
- **Tests**: how many of ONNX's node tests of that operator alone pass. Those that do not are below.

LSTM, GRU and RNN are expanded into the operators of their steps where the number of steps is known:
when the shapes of a step are bound, and at `prepare`, where quantizers stand inside.

Resolved when a model is read: Constant; model-local functions; If, Loop and Scan where the condition
or the number of iterations follows from constants and shapes; sequences (SequenceConstruct,
SequenceEmpty, SequenceInsert, SequenceErase, SequenceAt, SequenceLength, SplitToSequence,
ConcatFromSequence) where positions and lengths do.

| Operator | Opsets | Forward | Gradient | Quantizer | Tests |
|---|---|---|---|---|---|
)";

// An operator of ONNX's, or one that a user may write into a model.
bool isPublic(const OpDefinition& op) {
  return op.domain.empty() || op.qualifiedName() == "simaqat::StopGradient";
}

std::string opsets(const OpDefinition& op) {
  if (!op.domain.empty()) return "any";
  return fmt::format("{} to {}", std::max(op.first_opset, kFirstOpset), op.last_opset);
}

std::string forward(const OpDefinition& op) {
  std::string text = op.kernel != nullptr ? "kernel" : "definition";
  if (op.random) text += ", random";
  return text;
}

std::string gradient(const OpDefinition& op) {
  if (op.gradient != nullptr) return "yes";
  return op.gradient_is_error ? "an error" : "ends";
}

std::string outputQuantizer(const QuantizationTraits& traits) {
  switch (traits.output) {
    case OutputQuantization::kNever:
      return "none";
    case OutputQuantization::kComputes:
      return traits.fixed_range > 0 ? fmt::format("behind it, range 0 to {}", traits.fixed_range)
                                    : "behind it";
    case OutputQuantization::kShares:
      return traits.shares == nullptr ? "its input's" : "its input's, or behind it";
    case OutputQuantization::kConcat:
      return "one for all inputs";
    case OutputQuantization::kTransparent:
      return "its consumers'";
  }
  return "";
}

std::string quantizer(const OpDefinition& op) {
  std::string text = outputQuantizer(op.quantization);
  if (op.quantization.weight_input >= 0) {
    text += fmt::format("; weight: input {}", op.quantization.weight_input);
  }
  if (op.quantization.bias_input >= 0) {
    text += fmt::format("; bias: input {}", op.quantization.bias_input);
  }
  return text;
}

// The operator whose own test a case is; empty for models of several.
std::string subject(const OnnxCase& one) {
  return one.operators.size() == 1 ? *one.operators.begin() : "";
}

struct Count {
  int passed = 0;
  int all = 0;

  void add(const OnnxCase& one) {
    passed += one.outcome == OnnxOutcome::kPassed;
    ++all;
  }
  std::string text() const { return all == 0 ? "" : fmt::format("{} of {}", passed, all); }
};

Count countAll(const std::vector<OnnxCase>& cases) {
  Count count;
  for (const OnnxCase& one : cases) count.add(one);
  return count;
}

std::string operatorTable(const std::vector<OnnxCase>& cases) {
  std::map<std::string, Count> counts;
  for (const OnnxCase& one : cases) counts[subject(one)].add(one);
  std::string text;
  for (const auto& [name, op] : opRegistry().all()) {
    if (!isPublic(*op)) continue;
    text +=
        fmt::format("| {} | {} | {} | {} | {} | {} |\n", name, opsets(*op), forward(*op),
                    gradient(*op), quantizer(*op), op->domain.empty() ? counts[name].text() : "");
  }
  return text;
}

// Of operators that are supported.
std::string casesNotPassed(const std::vector<OnnxCase>& cases) {
  std::string text;
  for (const OnnxCase& one : cases) {
    if (one.outcome == OnnxOutcome::kPassed || one.outcome == OnnxOutcome::kForeign) continue;
    text +=
        fmt::format("| {} | `{}` | {} |\n", fmt::join(one.operators, ", "), one.name, one.message);
  }
  return text;
}

std::string foreignOperators(const std::vector<OnnxCase>& cases) {
  std::set<std::string> names;
  for (const OnnxCase& one : cases) {
    if (one.outcome == OnnxOutcome::kForeign) names.insert(one.message);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::string operatorsDocument() {
  const std::vector<OnnxCase> cases = runOnnxSuite("node");
  const auto foreign = std::count_if(cases.begin(), cases.end(), [](const OnnxCase& one) {
    return one.outcome == OnnxOutcome::kForeign;
  });
  std::string text = kIntroduction + operatorTable(cases);
  text += fmt::format("\n## ONNX's tests\n{} of the node tests pass.", countAll(cases).text());
  for (const char* set : {"pytorch-converted", "pytorch-operator"}) {
    text += fmt::format(" Of PyTorch's modules ({}) {}.", set, countAll(runOnnxSuite(set)).text());
  }
  text += fmt::format("\n\n{} node tests are of operators that are not supported: {}.\n", foreign,
                      foreignOperators(cases));
  text += "\nNot passed, of those that are:\n\n| Operator | Case | Reason |\n|---|---|---|\n";
  return text + casesNotPassed(cases);
}

}  // namespace simaqat
