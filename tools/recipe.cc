#include "tools/recipe.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "qat/base/file.h"
#include "qat/base/hash.h"
#include "qat/base/json_message.h"
#include "qat/base/text.h"
#include "tools/recipe.pb.h"

namespace simaqat {
namespace {

struct Preset {
  const char* name;
  void (*apply)(ScaffoldOptions&);
};

void sima(ScaffoldOptions&) {}

void onnxRuntime(ScaffoldOptions& options) { options.only_integer_kernels = true; }

// Pairs of products of 8 bits saturate in the 16 bits that x86 without VNNI has for them.
void onnxRuntime7Bit(ScaffoldOptions& options) {
  onnxRuntime(options);
  options.weight.bits = 7;
}

void xnnpack(ScaffoldOptions& options) { options.activation.is_signed = true; }

void tensorrt(ScaffoldOptions& options) {
  options.activation.is_signed = true;
  options.activation.symmetric = true;
  options.integer_biases = false;
}

void weightsOnly(ScaffoldOptions& options) { options.activation.quantize = false; }

constexpr Preset kPresets[] = {{"sima", sima},
                               {"onnxruntime", onnxRuntime},
                               {"onnxruntime-7bit", onnxRuntime7Bit},
                               {"xnnpack", xnnpack},
                               {"tensorrt", tensorrt},
                               {"weights-only", weightsOnly}};

void applyPreset(const std::string& path, const std::string& name, ScaffoldOptions& options) {
  std::vector<std::string> names;
  for (const Preset& preset : kPresets) {
    if (name == preset.name) return preset.apply(options);
    names.push_back(preset.name);
  }
  throw inputError("{}: preset '{}' is not known (there are {})", path, name, joined(names));
}

// The recipe's word for an observer, and the graph's.
struct ObserverName {
  const char* recipe;
  const char* spec;
};
constexpr ObserverName kActivationObservers[] = {
    {"moving_average_min_max", "moving_average_min_max"},
    {"min_max", "min_max"},
    {"percentile", "percentile"},
    {"mse", "mse"},
    {"entropy", "entropy"},
    {"lsq", "lsq"},
    {"lsq_plus", "lsq_plus"}};
constexpr ObserverName kWeightObservers[] = {
    {"max", "channel_max"}, {"mse", "channel_mse"}, {"lsq", "lsq"}};

template <size_t N>
std::string observerOf(const std::string& where, const std::string& name,
                       const ObserverName (&known)[N]) {
  std::vector<std::string> names;
  for (const ObserverName& entry : known) {
    if (name == entry.recipe) return entry.spec;
    names.push_back(entry.recipe);
  }
  throw inputError("{}: observer '{}' is not known (there are {})", where, name, joined(names));
}

// What activations and weights share. `where` is the file and the key.
QuantizerChoice commonChoice(const std::string& where, const proto::QuantizerRecipe& recipe) {
  QuantizerChoice choice;
  if (recipe.has_quantize()) choice.quantize = recipe.quantize();
  if (recipe.has_bits()) choice.bits = recipe.bits();
  if (recipe.has_percentile()) {
    if (!(recipe.percentile() > 0 && recipe.percentile() <= 100)) {
      throw inputError("{}: percentile is {}, expected more than 0 and at most 100", where,
                       recipe.percentile());
    }
    choice.percentile = recipe.percentile();
  }
  if (recipe.has_averaging_constant()) {
    if (!(recipe.averaging_constant() > 0 && recipe.averaging_constant() <= 1)) {
      throw inputError("{}: averaging_constant is {}, expected more than 0 and at most 1", where,
                       recipe.averaging_constant());
    }
    choice.averaging_constant = recipe.averaging_constant();
  }
  return choice;
}

bool averages(const std::string& observer) {
  return observer == "moving_average_min_max" || observer == "percentile" || observer == "mse" ||
         observer == "entropy";
}

// What an observer has no use for would be ignored. `observers` are all that the recipe names:
// where an override names none, it may be about a node that has one of them.
void checkObserverKeys(const std::string& where, const QuantizerChoice& choice,
                       std::set<std::string> observers) {
  if (choice.observer) observers = {*choice.observer};
  if (choice.percentile && observers.count("percentile") == 0) {
    throw inputError("{}: percentile belongs to the observer percentile", where);
  }
  if (choice.averaging_constant && std::none_of(observers.begin(), observers.end(), averages)) {
    throw inputError("{}: averaging_constant is of no use to the observer {}", where,
                     *observers.begin());
  }
}

std::set<std::string> activationObservers(const proto::Recipe& recipe) {
  std::set<std::string> observers = {recipe.activation().has_observer()
                                         ? recipe.activation().observer()
                                         : activationQuantizer().observer};
  for (const proto::RecipeOverride& entry : recipe.overrides()) {
    if (entry.activation().has_observer()) observers.insert(entry.activation().observer());
  }
  return observers;
}

QuantizerChoice activationChoice(const std::string& where, const proto::QuantizerRecipe& recipe,
                                 const std::set<std::string>& observers) {
  QuantizerChoice choice = commonChoice(where, recipe);
  if (recipe.has_granularity()) {
    throw inputError("{}: granularity is a weight's; activations have one scale", where);
  }
  if (choice.bits && *choice.bits != 4 && *choice.bits != 8 && *choice.bits != 16) {
    throw inputError("{}: bits are {}, expected 4, 8 or 16", where, *choice.bits);
  }
  if (recipe.has_signed_()) choice.is_signed = recipe.signed_();
  if (recipe.has_symmetric()) choice.symmetric = recipe.symmetric();
  if (recipe.has_observer()) {
    choice.observer = observerOf(where, recipe.observer(), kActivationObservers);
  }
  checkObserverKeys(where, choice, observers);
  if (choice.observer == "lsq_plus" && choice.symmetric.value_or(false)) {
    throw inputError("{}: lsq_plus learns an offset, which a symmetric quantizer has not", where);
  }
  return choice;
}

QuantizerChoice weightChoice(const std::string& where, const proto::QuantizerRecipe& recipe) {
  QuantizerChoice choice = commonChoice(where, recipe);
  const bool is_signed = !recipe.has_signed_() || recipe.signed_();
  const bool is_symmetric = !recipe.has_symmetric() || recipe.symmetric();
  if (!is_signed || !is_symmetric) {
    throw inputError("{}: weights are signed and symmetric", where);
  }
  if (choice.percentile || choice.averaging_constant) {
    throw inputError("{}: percentile and averaging_constant are of activations", where);
  }
  if (choice.bits && (*choice.bits < 2 || *choice.bits > 8) && *choice.bits != 16) {
    throw inputError("{}: bits are {}, expected 2 to 8, or 16", where, *choice.bits);
  }
  if (recipe.has_granularity()) {
    if (recipe.granularity() != "channel" && recipe.granularity() != "tensor") {
      throw inputError("{}: granularity is '{}', expected channel or tensor", where,
                       recipe.granularity());
    }
    choice.per_channel = recipe.granularity() == "channel";
  }
  if (recipe.has_observer()) {
    choice.observer = observerOf(where, recipe.observer(), kWeightObservers);
  }
  return choice;
}

QuantizationOverride overrideOf(const std::string& path, const proto::RecipeOverride& entry,
                                const std::set<std::string>& observers) {
  if (entry.op_type().empty() && entry.node().empty()) {
    throw inputError("{}: an override needs op_type or node", path);
  }
  if (!entry.has_quantize() && !entry.has_activation() && !entry.has_weight()) {
    throw inputError("{}: an override needs quantize, activation or weight", path);
  }
  QuantizationOverride result{entry.op_type(), entry.node(), {}, {}};
  if (entry.has_quantize()) {
    result.activation.quantize = result.weight.quantize = entry.quantize();
  }
  result.activation.update(activationChoice(path + ": activation", entry.activation(), observers));
  result.weight.update(weightChoice(path + ": weight", entry.weight()));
  if (result.activation == QuantizerChoice{} && result.weight == QuantizerChoice{}) {
    throw inputError("{}: an override of{}{} changes nothing", path,
                     entry.op_type().empty() ? "" : " op_type '" + entry.op_type() + "'",
                     entry.node().empty() ? "" : " node '" + entry.node() + "'");
  }
  return result;
}

int64_t countOf(const std::string& where, const char* key, int64_t value, int64_t least) {
  constexpr int64_t kMost = 65536;
  if (value < least || value > kMost) {
    throw inputError("{}: {} is {}, expected {} to {}", where, key, value, least, kMost);
  }
  return value;
}

Approximation approximationOf(const std::string& where, const std::string& op_type,
                              const proto::ApproximationRecipe& recipe) {
  Approximation result;
  result.op_type = op_type;
  if (recipe.has_table() == recipe.has_segments()) {
    throw inputError("{}: expected table or segments", where);
  }
  if (recipe.has_table()) result.table = countOf(where, "table", recipe.table(), 2);
  if (recipe.has_segments()) result.segments = countOf(where, "segments", recipe.segments(), 1);
  if (recipe.range_size() > 0) {
    const bool is_range = recipe.range_size() == 2 && std::isfinite(recipe.range(0)) &&
                          std::isfinite(recipe.range(1)) && recipe.range(0) < recipe.range(1);
    if (!is_range) throw inputError("{}: range: expected two numbers, the lesser first", where);
    result.range = {recipe.range(0), recipe.range(1)};
  }
  if (recipe.has_export_()) {
    if (recipe.export_() != "operators" && recipe.export_() != "function") {
      throw inputError("{}: export is '{}', expected operators or function", where, recipe.export_());
    }
    result.ships_as_function = recipe.export_() == "function";
  }
  return result;
}

std::vector<Approximation> approximationsOf(const std::string& path, const proto::Recipe& recipe) {
  // In the order of names, which the map's own order is not.
  std::vector<Approximation> result;
  for (const auto& [op_type, entry] : recipe.approximate()) {
    result.push_back(approximationOf(path + ": approximate: " + op_type, op_type, entry));
  }
  std::sort(result.begin(), result.end(),
            [](const auto& a, const auto& b) { return a.op_type < b.op_type; });
  return result;
}

}  // namespace

ScaffoldOptions loadRecipe(const std::string& path, std::string* hash) {
  const std::string text = readFile(path);
  *hash = hashHex(text);
  proto::Recipe recipe;
  readJsonMessage(path, text, &recipe);
  ScaffoldOptions options;
  if (!recipe.preset().empty()) applyPreset(path, recipe.preset(), options);
  const std::set<std::string> observers = activationObservers(recipe);
  options.activation.update(
      activationChoice(path + ": activation", recipe.activation(), observers));
  options.weight.update(weightChoice(path + ": weight", recipe.weight()));
  for (const proto::RecipeOverride& entry : recipe.overrides()) {
    options.overrides.push_back(overrideOf(path, entry, observers));
  }
  options.approximations = approximationsOf(path, recipe);
  return options;
}

}  // namespace simaqat
