#include "qat/passes/equalize.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "qat/ir/op.h"
#include "qat/ops/shared/batch_norm_attributes.h"
#include "qat/ops/shared/convolution_attributes.h"
#include "qat/ops/shared/gemm_attributes.h"
#include "qat/passes/folded_weights.h"

namespace simaqat {
namespace {

// A channel of one layer is one of its neighbours on both sides: until that no more moves.
constexpr int kMostRounds = 20;
constexpr double kSettled = 1e-3;

// A variable that one node alone reads, once, or null.
Variable* ownVariable(const Graph& graph, const Value* value) {
  const bool is_own = value != nullptr && value->variable != nullptr && graph.useCount(value) == 1;
  return is_own ? value->variable : nullptr;
}

// One with a number for each of so many channels, whatever dimensions of 1 it has in front.
Variable* ownVector(const Graph& graph, const Value* value, int64_t channels) {
  Variable* variable = ownVariable(graph, value);
  if (variable == nullptr) return nullptr;
  const std::vector<int64_t>& dims = variable->value.dims();
  const bool fits = !dims.empty() && dims.back() == channels && variable->value.size() == channels;
  return fits ? variable : nullptr;
}

const Node* soleUser(const Graph& graph, const Value* value) {
  const bool has_one = graph.useCount(value) == 1 && value->uses().size() == 1;
  return has_one ? value->uses()[0].node : nullptr;
}

// A weight with one of its axes counting the channels in question.
struct Side {
  Variable* weight = nullptr;
  size_t axis = 0;
};

std::optional<Side> outputSide(const Graph& graph, const Node& node) {
  const QuantizationTraits& traits = node.op().quantization;
  const std::string type = node.op().qualifiedName();
  if (type != "Conv" && type != "Gemm") return std::nullopt;
  Variable* weight = ownVariable(graph, node.input(static_cast<size_t>(traits.weight_input)));
  if (weight == nullptr) return std::nullopt;
  return Side{weight, static_cast<size_t>(traits.weight_axis(node))};
}

// Of a depthwise Conv the axis of its outputs counts its inputs too.
std::optional<Side> inputSide(const Graph& graph, const Node& node) {
  std::optional<Side> side = outputSide(graph, node);
  if (!side) return side;
  if (node.op().qualifiedName() == "Gemm") {
    if (node.attributes<ops::GemmAttributes>().transA) return std::nullopt;
    side->axis = 1 - side->axis;
    return side;
  }
  const int64_t groups = node.attributes<ops::ConvAttributes>().group;
  const auto& dims = side->weight->value.dims();
  if (groups == 1) {
    side->axis = 1;
  } else if (groups != dims[0] || dims[1] != 1) {
    return std::nullopt;
  }
  return side;
}

// f(channel, element) over the weight.
template <class F>
void forEach(const Side& side, F f) {
  const auto& dims = side.weight->value.dims();
  int64_t inner = 1;
  for (size_t k = side.axis + 1; k < dims.size(); ++k) inner *= dims[k];
  for (int64_t i = 0; i < side.weight->value.size(); ++i) {
    f(static_cast<size_t>(i / inner % dims[side.axis]), i);
  }
}

std::vector<double> ranges(const Side& side) {
  std::vector<double> most(static_cast<size_t>(side.weight->value.dims()[side.axis]), 0);
  const float* w = side.weight->value.data<float>();
  forEach(side, [&](size_t c, int64_t i) { most[c] = std::max<double>(most[c], std::fabs(w[i])); });
  return most;
}

void scale(const Side& side, const std::vector<double>& factors) {
  float* w = side.weight->value.mutableData<float>();
  forEach(side, [&](size_t c, int64_t i) { w[i] = static_cast<float>(w[i] * factors[c]); });
}

// A vector's last axis counts the channels.
void scale(Variable* vector, const std::vector<double>& factors) {
  if (vector != nullptr) scale(Side{vector, vector->value.dims().size() - 1}, factors);
}

class Pair {
 public:
  // Nothing where the layer and what follows are none.
  static std::optional<Pair> find(const Graph& graph, const Node& first) {
    Pair pair;
    const auto front = outputSide(graph, first);
    if (!front) return std::nullopt;
    const auto channels = [](const Side& side) { return side.weight->value.dims()[side.axis]; };
    pair.front_ = *front;
    const Value* value = first.output();
    if (const Node* norm = batchNormBehind(graph, first)) {
      pair.gamma_ = ownVector(graph, norm->input(1), channels(*front));
      pair.beta_ = ownVector(graph, norm->input(2), channels(*front));
      pair.variance_ = norm->input(4)->variable;
      pair.epsilon_ = norm->attributes<ops::BatchNormAttributes>().epsilon;
      if (pair.gamma_ == nullptr || pair.beta_ == nullptr || pair.variance_ == nullptr) {
        return std::nullopt;
      }
      value = norm->output();
    } else if (const Value* bias = first.input(2)) {
      pair.bias_ = ownVector(graph, bias, channels(*front));
      if (pair.bias_ == nullptr) return std::nullopt;
    }
    const Node* next = soleUser(graph, value);
    if (next != nullptr && next->op().qualifiedName() == "Relu") {
      value = next->output();
      next = soleUser(graph, value);
    }
    // As what it multiplies by its weight, and not as its bias.
    if (next == nullptr || next == &first || next->input(0) != value) return std::nullopt;
    const auto back = inputSide(graph, *next);
    if (!back || channels(*back) != channels(*front)) return std::nullopt;
    pair.back_ = *back;
    return pair;
  }

  // Returns how far from 1 the largest factor was.
  double equalize() {
    std::vector<double> front = ranges(front_);
    const std::vector<double> back = ranges(back_);
    std::vector<double> down(front.size(), 1);
    std::vector<double> up(front.size(), 1);
    double moved = 0;
    for (size_t c = 0; c < front.size(); ++c) {
      if (gamma_ != nullptr) {
        front[c] *= std::fabs(gamma_->value.data<float>()[c]) /
                    std::sqrt(variance_->value.data<float>()[c] + epsilon_);
      }
      if (front[c] == 0 || back[c] == 0) continue;
      up[c] = std::sqrt(front[c] / back[c]);
      down[c] = 1 / up[c];
      moved = std::max(moved, std::fabs(std::log(up[c])));
    }
    if (gamma_ != nullptr) {
      scale(gamma_, down);
      scale(beta_, down);
    } else {
      scale(front_, down);
      scale(bias_, down);
    }
    scale(back_, up);
    return moved;
  }

 private:
  Side front_;
  Side back_;
  Variable* gamma_ = nullptr;
  Variable* beta_ = nullptr;
  Variable* variance_ = nullptr;
  Variable* bias_ = nullptr;
  double epsilon_ = 0;
};

}  // namespace

int equalizeLayers(Graph& graph) {
  std::vector<Pair> pairs;
  for (const auto& node : graph.nodes()) {
    if (auto pair = Pair::find(graph, *node)) pairs.push_back(*pair);
  }
  for (int round = 0; round < kMostRounds; ++round) {
    double moved = 0;
    for (Pair& pair : pairs) moved = std::max(moved, pair.equalize());
    if (moved < kSettled) break;
  }
  return static_cast<int>(pairs.size());
}

}  // namespace simaqat
