#include "qat/ops/shared/recurrent.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "qat/ir/dim_limit.h"
#include "qat/ops/shared/broadcast.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/integers.h"

namespace simaqat::ops {
namespace {

// ---- Activations ---------------------------------------------------------------------------

struct KnownActivation {
  bool has_alpha, has_beta;
  float alpha, beta;  // where the attributes do not say
  double (*function)(double x, double alpha, double beta);
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

const std::map<std::string, KnownActivation>& knownActivations() {
  static const std::map<std::string, KnownActivation> kActivations = {
      {"Relu", {false, false, 0, 0, [](double x, double, double) { return std::max(x, 0.0); }}},
      {"Tanh", {false, false, 0, 0, [](double x, double, double) { return std::tanh(x); }}},
      {"Sigmoid", {false, false, 0, 0, [](double x, double, double) { return sigmoid(x); }}},
      {"Affine", {true, true, 1, 0, [](double x, double a, double b) { return a * x + b; }}},
      {"LeakyRelu",
       {true, false, 0.01f, 0, [](double x, double a, double) { return x < 0 ? a * x : x; }}},
      {"ThresholdedRelu",
       {true, false, 1, 0, [](double x, double a, double) { return x > a ? x : 0; }}},
      {"ScaledTanh",
       {true, true, 1, 1, [](double x, double a, double b) { return a * std::tanh(b * x); }}},
      {"HardSigmoid",
       {true, true, 0.2f, 0.5f,
        [](double x, double a, double b) { return std::min(std::max(a * x + b, 0.0), 1.0); }}},
      {"Elu",
       {true, false, 1, 0,
        [](double x, double a, double) { return x < 0 ? a * std::expm1(x) : x; }}},
      {"Softsign",
       {false, false, 0, 0, [](double x, double, double) { return x / (1 + std::fabs(x)); }}},
      {"Softplus",
       {false, false, 0, 0,
        [](double x, double, double) {
          return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
        }}},
  };
  return kActivations;
}

std::vector<std::string> defaultActivations(const Node& node) {
  if (node.opType() == "LSTM") return {"Sigmoid", "Tanh", "Tanh"};
  if (node.opType() == "GRU") return {"Sigmoid", "Tanh"};
  return {"Tanh"};
}

// ---- Types ---------------------------------------------------------------------------------

void expectShape(const InferContext& c, size_t input, const Shape& expected) {
  if (!c.hasInput(input) || c.shape(input) == nullptr) return;
  const Shape& shape = *c.shape(input);
  bool fits = shape.size() == expected.size();
  for (size_t i = 0; fits && i < shape.size(); ++i) {
    fits = !shape[i].known() || !expected[i].known() || shape[i].value == expected[i].value;
  }
  if (fits) return;
  c.node.fail("input {}: expected the shape {}, got {}", input, shapeToString(expected),
              shapeToString(shape));
}

Dim times(int64_t factor, const Dim& dim) { return dim.known() ? Dim(factor * dim.value) : Dim(); }

Dim hiddenSize(const InferContext& c) {
  const auto& attributes = c.node.attributes<RecurrentAttributes>();
  if (attributes.hidden_size) {
    if (!isPossibleExtent(*attributes.hidden_size, 1)) {
      c.node.fail("attribute 'hidden_size': {} is not valid", *attributes.hidden_size);
    }
    return *attributes.hidden_size;
  }
  const Shape* r = c.shape(kRecurrentR);
  return r != nullptr && r->size() == 3 ? (*r)[2] : Dim();
}

void infer(InferContext& c) {
  const auto& attributes = c.node.attributes<RecurrentAttributes>();
  const std::string& direction = attributes.direction;
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional") {
    c.node.fail("attribute 'direction': '{}' is none", direction);
  }
  if (attributes.layout != 0 && attributes.layout != 1) {
    c.node.fail("attribute 'layout': expected 0 or 1, got {}", attributes.layout);
  }
  recurrentActivations(c.node, 0);
  c.expectRank(kRecurrentX, 3);
  const bool batch_first = attributes.layout == 1;
  const Dim directions = attributes.directions();
  const int64_t gates = recurrentGates(c.node);
  const Dim hidden = hiddenSize(c);
  Dim steps, batch, features;
  if (const Shape* x = c.shape(kRecurrentX)) {
    steps = (*x)[batch_first ? 1 : 0];
    batch = (*x)[batch_first ? 0 : 1];
    features = (*x)[2];
  }
  const Shape state =
      batch_first ? Shape{batch, directions, hidden} : Shape{directions, batch, hidden};
  expectShape(c, kRecurrentW, {directions, times(gates, hidden), features});
  expectShape(c, kRecurrentR, {directions, times(gates, hidden), hidden});
  expectShape(c, kRecurrentB, {directions, times(2 * gates, hidden)});
  expectShape(c, kRecurrentLengths, {batch});
  expectShape(c, kRecurrentInitialH, state);
  expectShape(c, kRecurrentInitialC, state);
  expectShape(c, kRecurrentPeepholes, {directions, times(3, hidden)});
  if (c.hasInput(kRecurrentLengths)) c.expectElement(kRecurrentLengths, ElementType::kInt32);
  const Shape all = batch_first ? Shape{batch, steps, directions, hidden}
                                : Shape{steps, directions, batch, hidden};
  for (size_t i = 0; i < c.node.outputCount(); ++i) {
    c.setOutput(i, c.input(0).element, i == 0 ? all : state);
  }
}

// ---- Evaluation ----------------------------------------------------------------------------

// One sequence of one direction, in double.
class Sequence {
 public:
  Sequence(const EvalContext& c, int64_t direction, int64_t batch)
      : c_(c),
        attributes_(c.node.attributes<RecurrentAttributes>()),
        direction_(direction),
        batch_(batch),
        batch_first_(attributes_.layout == 1),
        steps_(c.in(kRecurrentX).dim(batch_first_ ? 1 : 0)),
        features_(c.in(kRecurrentX).dim(2)),
        hidden_(c.in(kRecurrentR).dim(2)),
        activations_(recurrentActivations(c.node, direction)) {}

  template <class T>
  void run() {
    h_ = state<T>(kRecurrentInitialH);
    c_state_ = state<T>(kRecurrentInitialC);
    const int64_t length = c_.hasIn(kRecurrentLengths)
                               ? std::min(steps_, integerAt(c_.in(kRecurrentLengths), batch_))
                               : steps_;
    for (int64_t t = 0; t < steps_; ++t)
      store<T>(0, sequenceOffset(t), std::vector<double>(size()));
    for (int64_t k = 0; k < length; ++k) {
      const int64_t t = attributes_.isReverse(direction_) ? length - 1 - k : k;
      step<T>(t);
      store<T>(0, sequenceOffset(t), h_);
    }
    store<T>(1, stateOffset(), h_);
    store<T>(2, stateOffset(), c_state_);
  }

 private:
  size_t size() const { return static_cast<size_t>(hidden_); }
  int64_t directions() const { return attributes_.directions(); }
  int64_t batches() const { return c_.in(kRecurrentX).dim(batch_first_ ? 0 : 1); }
  int64_t stateOffset() const {
    return (batch_first_ ? batch_ * directions() + direction_ : direction_ * batches() + batch_) *
           hidden_;
  }
  int64_t sequenceOffset(int64_t t) const {
    return (batch_first_ ? (batch_ * steps_ + t) * directions() + direction_
                         : (t * directions() + direction_) * batches() + batch_) *
           hidden_;
  }

  template <class T>
  std::vector<double> state(size_t input) const {
    std::vector<double> values(size(), 0.0);
    if (!c_.hasIn(input)) return values;
    const T* from = c_.in(input).data<T>() + stateOffset();
    std::copy(from, from + hidden_, values.begin());
    return values;
  }
  template <class T>
  void store(size_t output, int64_t offset, const std::vector<double>& values) const {
    if (output >= c_.outputs.size()) return;
    T* to = c_.out(output).data<T>() + offset;
    for (const double value : values) *to++ = static_cast<T>(value);
  }

  // Rows of gate `gate` in W or R times a vector.
  template <class T>
  double product(size_t input, int64_t row, const std::vector<double>& vector) const {
    const auto columns = static_cast<int64_t>(vector.size());
    const T* weights =
        c_.in(input).data<T>() + (direction_ * recurrentGates(c_.node) * hidden_ + row) * columns;
    double sum = 0;
    for (int64_t k = 0; k < columns; ++k) sum += weights[k] * vector[static_cast<size_t>(k)];
    return sum;
  }
  // Of W's or, behind them, of R's biases.
  template <class T>
  double bias(int64_t row, bool recurrent) const {
    if (!c_.hasIn(kRecurrentB)) return 0;
    const int64_t rows = recurrentGates(c_.node) * hidden_;
    return c_.in(kRecurrentB).data<T>()[(2 * direction_ + (recurrent ? 1 : 0)) * rows + row];
  }
  template <class T>
  double peephole(int64_t gate, size_t i, const std::vector<double>& cell) const {
    if (!c_.hasIn(kRecurrentPeepholes)) return 0;
    const T* p = c_.in(kRecurrentPeepholes).data<T>() + (3 * direction_ + gate) * hidden_;
    return p[i] * cell[i];
  }

  double activate(size_t which, double x) const {
    const RecurrentActivation& a = activations_[which];
    return knownActivations().at(a.name).function(x, a.alpha, a.beta);
  }
  double gate(size_t which, double x) const {
    if (attributes_.clip) {
      const double bound = *attributes_.clip;
      x = std::min(std::max(x, -bound), bound);
    }
    return activate(which, x);
  }

  template <class T>
  void step(int64_t t) {
    std::vector<double> x(static_cast<size_t>(features_));
    const T* from = c_.in(kRecurrentX).data<T>() +
                    (batch_first_ ? batch_ * steps_ + t : t * batches() + batch_) * features_;
    std::copy(from, from + features_, x.begin());
    const std::vector<double> h = h_;
    const auto input = [&](int64_t number, size_t i) {
      const int64_t row = number * hidden_ + static_cast<int64_t>(i);
      return product<T>(kRecurrentW, row, x) + bias<T>(row, false);
    };
    const auto recurrent = [&](int64_t number, size_t i, const std::vector<double>& state) {
      const int64_t row = number * hidden_ + static_cast<int64_t>(i);
      return product<T>(kRecurrentR, row, state) + bias<T>(row, true);
    };
    const auto both = [&](int64_t number, size_t i) {
      return input(number, i) + recurrent(number, i, h);
    };
    if (c_.node.opType() == "RNN") {
      for (size_t i = 0; i < size(); ++i) h_[i] = gate(0, both(0, i));
    } else if (c_.node.opType() == "GRU") {
      std::vector<double> z(size()), r(size()), reset(size());
      for (size_t i = 0; i < size(); ++i) {
        z[i] = gate(0, both(0, i));
        r[i] = gate(0, both(1, i));
        reset[i] = r[i] * h[i];
      }
      for (size_t i = 0; i < size(); ++i) {
        const double from_state =
            attributes_.linear_before_reset ? r[i] * recurrent(2, i, h) : recurrent(2, i, reset);
        h_[i] = (1 - z[i]) * gate(1, input(2, i) + from_state) + z[i] * h[i];
      }
    } else {
      const std::vector<double> cell = c_state_;
      for (size_t i = 0; i < size(); ++i) {
        const double in = gate(0, both(0, i) + peephole<T>(0, i, cell));
        const double forget =
            attributes_.input_forget ? 1 - in : gate(0, both(2, i) + peephole<T>(2, i, cell));
        c_state_[i] = forget * cell[i] + in * gate(1, both(3, i));
        const double out = gate(0, both(1, i) + peephole<T>(1, i, c_state_));
        h_[i] = out * activate(2, c_state_[i]);
      }
    }
  }

  const EvalContext& c_;
  const RecurrentAttributes& attributes_;
  const int64_t direction_, batch_;
  const bool batch_first_;
  const int64_t steps_, features_, hidden_;
  const std::vector<RecurrentActivation> activations_;
  std::vector<double> h_, c_state_;
};

void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<RecurrentAttributes>();
  visitFloat(c, c.in(0).type, [&](auto tag) {
    using T = decltype(tag);
    const int64_t batches = c.in(0).dim(attributes.layout == 1 ? 0 : 1);
    for (int64_t direction = 0; direction < attributes.directions(); ++direction) {
      for (int64_t batch = 0; batch < batches; ++batch) {
        Sequence(c, direction, batch).run<T>();
      }
    }
  });
}

// What is differentiated is the expansion (passes/expand_recurrent.h).
void gradient(GradientContext& c) {
  c.node.fail("cannot be differentiated where its number of steps is not known");
}

void downgrade(PortableNode& node, int opset) {
  if (opset < 14 && node.attributes.count("layout") != 0) {
    node.fail("attribute 'layout' needs opset 14");
  }
}

}  // namespace

std::vector<RecurrentActivation> recurrentActivations(const Node& node, int64_t index) {
  const auto& attributes = node.attributes<RecurrentAttributes>();
  const std::vector<std::string> defaults = defaultActivations(node);
  std::vector<std::string> names = attributes.activations;
  const size_t count = defaults.size() * static_cast<size_t>(attributes.directions());
  if (names.empty()) {
    while (names.size() < count) names.insert(names.end(), defaults.begin(), defaults.end());
  }
  if (names.size() != count) {
    node.fail("attribute 'activations': expected {}, got {}", count, names.size());
  }
  std::vector<RecurrentActivation> activations;
  // The lists hold numbers for those activations alone that have some.
  size_t alphas = 0, betas = 0;
  for (const std::string& name : names) {
    const auto known = knownActivations().find(name);
    if (known == knownActivations().end()) {
      node.fail("attribute 'activations': '{}' is not supported", name);
    }
    const auto next = [](bool has, const std::vector<float>& list, size_t& used, float otherwise) {
      return has && used < list.size() ? list[used++] : otherwise;
    };
    const KnownActivation& a = known->second;
    activations.push_back({name, next(a.has_alpha, attributes.activation_alpha, alphas, a.alpha),
                           next(a.has_beta, attributes.activation_beta, betas, a.beta)});
  }
  const auto first = activations.begin() + static_cast<std::ptrdiff_t>(defaults.size()) * index;
  return {first, first + static_cast<std::ptrdiff_t>(defaults.size())};
}

std::vector<Tensor> recurrentInputs(int64_t gates, int64_t directions, bool batch_first) {
  const int64_t hidden = 2;
  return {
      exampleTensor(batch_first ? std::vector<int64_t>{2, 4, 3} : std::vector<int64_t>{4, 2, 3}),
      exampleTensor({directions, gates * hidden, 3}, 2),
      exampleTensor({directions, gates * hidden, hidden}, 3),
      exampleTensor({directions, 2 * gates * hidden}, 4),
      Tensor::of<int32_t>({2}, {4, 2}),
      exampleTensor(batch_first ? std::vector<int64_t>{2, directions, hidden}
                                : std::vector<int64_t>{directions, 2, hidden},
                    5)};
}

std::vector<OpExample> recurrentExamples(int64_t gates) {
  const auto inputs = recurrentInputs(gates);
  std::vector<Tensor> plain(inputs.begin(), inputs.begin() + 3);
  std::vector<Tensor> biased(inputs.begin(), inputs.begin() + 4);
  std::vector<Tensor> without_lengths = inputs;
  without_lengths[kRecurrentLengths] = Tensor();
  const auto direction = [](const std::string& name) { return AttributeMap{{"direction", name}}; };
  std::vector<OpExample> list = {
      {"no biases", {{"hidden_size", int64_t{2}}}, plain},
      {"biases", {}, biased},
      {"reverse, initial state", direction("reverse"), without_lengths},
      {"lengths", direction("reverse"), inputs},
      {"two directions", direction("bidirectional"), recurrentInputs(gates, 2)},
      {"batch first, two directions",
       {{"direction", "bidirectional"}, {"layout", int64_t{1}}},
       recurrentInputs(gates, 2, true)},
      {"clip", {{"clip", 0.3f}}, biased},
  };
  for (OpExample& example : list) example.output_count = gates == 4 ? 3 : 2;
  return list;
}

OpDefinition recurrentDefinition(const char* name) {
  OpDefinition op;
  op.name = name;
  op.first_opset = 7;
  op.min_inputs = 3;
  op.max_inputs = 6;
  op.max_outputs = 2;
  op.make_attributes = &makeAttributes<RecurrentAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kComputes;
  op.downgrade = downgrade;
  return op;
}

}  // namespace simaqat::ops
