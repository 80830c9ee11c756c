#include "qat/optim/groups.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <regex>

#include "qat/base/error.h"
#include "qat/passes/parameter_kind.h"

namespace simaqat {
namespace {

// A number from 0 on, to the end of the text.
std::optional<float> parseNumber(const std::string& text) {
  float number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest != end || !(number >= 0)) return std::nullopt;
  return number;
}

[[noreturn]] void failGroup(const std::string& text) {
  throw usageError("--group {}: expected PATTERN:lr=NUMBER,weight_decay=NUMBER, or one of both",
                   text);
}

std::optional<int64_t> layerNumber(const std::string& name) {
  static const std::regex numbered(
      R"((?:^|[./_])(?:blocks?|layers?|h|encoder_layer|decoder_layer)[._](\d+)(?:[._/]|$))");
  std::smatch match;
  if (!std::regex_search(name, match, numbered) || match[1].length() > 9) return std::nullopt;
  return std::stoll(match[1].str());
}

// The place in the graph of the first node that uses each trained variable.
std::map<const Variable*, size_t> firstUses(const Graph& graph) {
  std::map<const Variable*, size_t> places;
  size_t place = 0;
  for (const auto& node : graph.nodes()) {
    for (const Value* input : node->inputs()) {
      if (input == nullptr || input->variable == nullptr) continue;
      if (input->variable->trainable) places.emplace(input->variable, place);
    }
    ++place;
  }
  return places;
}

}  // namespace

ParameterGroup ParameterGroup::parse(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) failGroup(text);
  ParameterGroup group;
  group.pattern = text.substr(0, colon);
  for (size_t begin = colon + 1; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string setting = text.substr(begin, end - begin);
    const size_t equals = std::min(setting.find('='), setting.size());
    const std::string key = setting.substr(0, equals);
    const std::optional<float> number =
        equals < setting.size() ? parseNumber(setting.substr(equals + 1)) : std::nullopt;
    if (!number || (key != "lr" && key != "weight_decay")) failGroup(text);
    (key == "lr" ? group.learning_rate : group.weight_decay) = number;
    begin = end + 1;
  }
  return group;
}

std::string ParameterGroup::toString() const {
  std::string text = pattern + ":";
  if (learning_rate) text += fmt::format("lr={}", *learning_rate);
  if (learning_rate && weight_decay) text += ",";
  if (weight_decay) text += fmt::format("weight_decay={}", *weight_decay);
  return text;
}

const ParameterGroup* groupOf(const Variable& parameter,
                              const std::vector<ParameterGroup>& groups) {
  const auto found = std::find_if(groups.begin(), groups.end(), [&](const ParameterGroup& group) {
    return matchesParameter(parameter, {group.pattern});
  });
  return found == groups.end() ? nullptr : &*found;
}

std::map<const Variable*, float> layerDecayFactors(const Graph& graph, float decay) {
  const std::map<const Variable*, size_t> places = firstUses(graph);
  int64_t layers = 0;
  size_t first_place = std::numeric_limits<size_t>::max();
  for (const auto& [variable, place] : places) {
    const std::optional<int64_t> number = layerNumber(variable->name);
    if (!number) continue;
    layers = std::max(layers, *number + 1);
    first_place = std::min(first_place, place);
  }
  if (layers == 0) {
    throw inputError(
        "--layer-decay: no parameter's name has a layer's number (blocks.N, layers.N, layer.N, "
        "h.N, "
        "encoder_layer_N)");
  }
  std::map<const Variable*, float> factors;
  for (const auto& [variable, place] : places) {
    const std::optional<int64_t> number = layerNumber(variable->name);
    // 0 is the embeddings, layers + 1 the head.
    const int64_t layer = number ? *number + 1 : place < first_place ? 0 : layers + 1;
    factors[variable] =
        static_cast<float>(std::pow(double{decay}, static_cast<double>(layers + 1 - layer)));
  }
  return factors;
}

}  // namespace simaqat
