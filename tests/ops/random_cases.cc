#include "tests/ops/random_cases.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace simaqat {

using Ints = std::vector<int64_t>;

int64_t Dice::between(int64_t least, int64_t most) {
  return least + stream_.below(at_++, static_cast<uint32_t>(most - least + 1));
}

int64_t Dice::oneOf(const Ints& numbers) {
  return numbers[static_cast<size_t>(between(0, static_cast<int64_t>(numbers.size()) - 1))];
}

int64_t Dice::extent() { return chance(50) ? between(1, 12) : between(1, 40); }

int64_t Dice::channels() {
  return chance(60) ? oneOf({1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33}) : between(1, 40);
}

Tensor Dice::floats(Ints dims) {
  Tensor tensor(ElementType::kFloat, std::move(dims));
  float* to = tensor.mutableData<float>();
  for (int64_t i = 0; i < tensor.size(); ++i) to[i] = stream_.normal(at_++);
  return tensor;
}

Tensor Dice::codes(Ints dims) {
  Tensor tensor(ElementType::kUint8, std::move(dims));
  uint8_t* to = tensor.mutableData<uint8_t>();
  for (int64_t i = 0; i < tensor.size(); ++i) to[i] = static_cast<uint8_t>(between(0, 255));
  return tensor;
}

Tensor Dice::uniform(Ints dims, float lo, float hi) {
  Tensor tensor(ElementType::kFloat, std::move(dims));
  float* to = tensor.mutableData<float>();
  for (int64_t i = 0; i < tensor.size(); ++i) to[i] = lo + (hi - lo) * stream_.uniform(at_++);
  return tensor;
}

namespace {

// Products that a case may have: the definition takes a few nanoseconds for each.
constexpr int64_t kMostProducts = 100000;
constexpr double kRounding = 1.0 / (1 << 24);  // a float's, half a unit in the last place

OpExample exampleOf(const std::string& op, AttributeMap attributes, std::vector<Tensor> inputs,
                    size_t outputs) {
  OpExample example(op, std::move(attributes), std::move(inputs));
  example.output_count = outputs;
  return example;
}

// By the operator's definition.
std::vector<Tensor> evaluate(const std::string& op, const AttributeMap& attributes,
                             const std::vector<Tensor>& inputs, size_t outputs = 1) {
  Graph graph(opRegistry());
  const OpExample example = exampleOf(op, attributes, inputs, outputs);
  return runNode(*addExampleNode(graph, opRegistry().get(op), example, inputs), inputs, {});
}

// With f(x) in place of each floating-point number x, in double.
template <class F>
std::vector<Tensor> mapped(const std::vector<Tensor>& inputs, const F& f) {
  std::vector<Tensor> result;
  for (const Tensor& input : inputs) {
    if (!input.defined() || !isFloatingPoint(input.type())) {
      result.push_back(input);
      continue;
    }
    std::vector<double> numbers = input.toVector<double>();
    std::transform(numbers.begin(), numbers.end(), numbers.begin(), f);
    result.push_back(Tensor::of<double>(input.dims(), numbers));
  }
  return result;
}

std::vector<Tensor> inDouble(const std::vector<Tensor>& inputs) {
  return mapped(inputs, [](double x) { return x; });
}

template <class F>
Tensor combined(const Tensor& a, const Tensor& b, const F& f) {
  std::vector<double> left = a.toVector<double>();
  const std::vector<double> right = b.toVector<double>();
  std::transform(left.begin(), left.end(), right.begin(), left.begin(), f);
  return Tensor::of<double>(a.dims(), left);
}

double largestOf(const Tensor& tensor) {
  double largest = 0;
  for (const double x : tensor.toVector<double>()) {
    if (std::isfinite(x)) largest = std::max(largest, std::fabs(x));
  }
  return largest;
}

// Adds an output that is a sum of products (of `inputs`, by the definition of `op`). A chain of n
// additions of floats is off by n roundings of the sum of the terms' magnitudes at most.
void expectSums(RandomCase& c, const std::string& op, const AttributeMap& attributes,
                const std::vector<Tensor>& inputs) {
  const auto of = [&](const auto& f) { return evaluate(op, attributes, mapped(inputs, f))[0]; };
  const Tensor magnitude = of([](double x) { return std::fabs(x); });
  const Tensor terms = of([](double) { return 1.0; });
  c.expected.push_back(of([](double x) { return x; }));
  c.bounds.push_back(combined(magnitude, terms, [](double m, double n) {
    return (std::fabs(n) + 4) * kRounding * std::fabs(m);
  }));
}

// Where sums are taken in transformed tiles (Winograd), an element is off by what the largest
// element of its tile is. The transforms of 4x4 tiles multiply by 8 and divide by 24 at most.
void widenToTiles(RandomCase& c) {
  constexpr double kTransforms = 32;
  for (Tensor& bound : c.bounds) {
    const double all = kTransforms * largestOf(bound);
    bound = mapped({bound}, [&](double) { return all; })[0];
  }
}

// Adds outputs that are the definition's up to `tolerance` of their largest element.
void expectClose(RandomCase& c, double tolerance) {
  for (Tensor& output : evaluate(c.op, c.attributes, inDouble(c.inputs), c.output_count)) {
    const double bound = tolerance * (1 + largestOf(output));
    c.bounds.push_back(mapped({output}, [&](double) { return bound; })[0]);
    c.expected.push_back(std::move(output));
  }
}

// Adds outputs that are the definition's, exactly.
void expectSame(RandomCase& c) {
  c.expected = evaluate(c.op, c.attributes, c.inputs, c.output_count);
  c.bounds.resize(c.expected.size());
}

Tensor roundedToBfloat16(const Tensor& tensor) {
  return mapped({tensor}, [](double x) {
    int exponent = 0;
    const double mantissa = std::frexp(x, &exponent);
    return std::ldexp(std::nearbyint(std::ldexp(mantissa, 8)), exponent - 8);
  })[0];
}

// ---- Windows: convolution and pooling ---------------------------------------------------------

struct Window {
  Ints in, kernel, stride, dilation, begin, end;  // of each spatial axis

  size_t rank() const { return in.size(); }
  int64_t reach(size_t i) const { return (kernel[i] - 1) * dilation[i] + 1; }
  int64_t out(size_t i) const { return (in[i] + begin[i] + end[i] - reach(i)) / stride[i] + 1; }
  Ints outs() const {
    Ints all;
    for (size_t i = 0; i < rank(); ++i) all.push_back(out(i));
    return all;
  }
  void makeFit() {
    for (size_t i = 0; i < rank(); ++i) {
      in[i] = std::max(in[i], std::max<int64_t>(1, reach(i) - begin[i] - end[i]));
    }
  }
  AttributeMap attributes() const {
    Ints pads = begin;
    pads.insert(pads.end(), end.begin(), end.end());
    return {{"strides", stride}, {"dilations", dilation}, {"pads", pads}};
  }
};

// The padding on a side, below `reach`.
int64_t drawPad(Dice& dice, int64_t reach) {
  return dice.chance(40) ? 0 : dice.between(0, std::min<int64_t>(reach - 1, 4));
}

Window drawWindow(Dice& dice) {
  Window w;
  const size_t rank = dice.chance(75) ? 2 : dice.chance(50) ? 1 : 3;
  // Often the same on all axes, as most networks have it.
  const bool is_square = dice.chance(60);
  for (size_t i = 0; i < rank; ++i) {
    w.in.push_back(rank == 3 ? dice.between(1, 8) : dice.extent());
    const bool again = is_square && i > 0;
    w.kernel.push_back(again             ? w.kernel[0]
                       : dice.chance(60) ? dice.oneOf({1, 3, 3, 5})
                                         : dice.between(1, 7));
    w.stride.push_back(again             ? w.stride[0]
                       : dice.chance(80) ? dice.between(1, 2)
                                         : dice.between(1, 4));
    w.dilation.push_back(again ? w.dilation[0] : dice.chance(80) ? 1 : dice.between(1, 3));
    const bool is_same = dice.chance(40);
    w.begin.push_back(is_same ? (w.reach(i) - 1) / 2 : drawPad(dice, w.reach(i)));
    w.end.push_back(is_same ? w.begin[i] : drawPad(dice, w.reach(i)));
  }
  w.makeFit();
  return w;
}

int64_t product(const Ints& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), int64_t{1}, std::multiplies<>());
}

Ints joined(Ints a, const Ints& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

struct Convolution {
  Window window;
  int64_t batch, group, in_of_group, out_of_group;

  Ints x() const { return joined({batch, group * in_of_group}, window.in); }
  Ints w() const { return joined({group * out_of_group, in_of_group}, window.kernel); }
  Ints y() const { return joined({batch, group * out_of_group}, window.outs()); }
  int64_t products() const { return product(y()) * in_of_group * product(window.kernel); }
  AttributeMap attributes() const {
    AttributeMap all = window.attributes();
    all["group"] = group;
    return all;
  }
  AttributeMap gradientAttributes(const Ints& shape) const {
    AttributeMap all = attributes();
    all["shape"] = shape;
    return all;
  }
};

void halve(int64_t& number) { number = (number + 1) / 2; }

// Makes it smaller until there is not too much to do.
void fitBudget(Dice& dice, Convolution& c) {
  while (c.products() > kMostProducts) {
    switch (dice.between(0, 4)) {
      case 0:
        halve(c.batch);
        break;
      case 1:
        halve(c.group);
        break;
      case 2:
        halve(c.in_of_group);
        break;
      case 3:
        halve(c.out_of_group);
        break;
      default:
        for (int64_t& in : c.window.in) halve(in);
        c.window.makeFit();
    }
  }
}

Convolution drawConvolution(Dice& dice) {
  Convolution c{drawWindow(dice), dice.between(1, 5), 1, 1, 1};
  const int64_t form = dice.between(0, 99);
  if (form < 40) {  // depthwise, with a multiplier at times
    c.group = dice.channels();
    c.out_of_group = dice.chance(80) ? 1 : dice.between(2, 3);
  } else {
    c.group = form < 60 ? dice.between(2, 4) : 1;
    c.in_of_group = dice.channels();
    c.out_of_group = dice.channels();
  }
  fitBudget(dice, c);
  return c;
}

// One that Winograd's transforms are worth: 3x3, of many channels.
Convolution drawWinograd(Dice& dice) {
  Convolution c{
      {}, dice.between(1, 2), dice.chance(80) ? 1 : 2, dice.between(16, 34), dice.between(16, 34)};
  for (size_t i = 0; i < 2; ++i) {
    c.window.in.push_back(dice.between(1, 11));
    c.window.kernel.push_back(3);
    c.window.stride.push_back(1);
    c.window.dilation.push_back(1);
    c.window.begin.push_back(dice.between(0, 2));
    c.window.end.push_back(dice.between(0, 2));
  }
  c.window.makeFit();
  while (c.products() > 3 * kMostProducts) {
    for (int64_t& in : c.window.in) halve(in);
    c.batch = 1;
    c.group = 1;
    c.window.makeFit();
    if (c.window.in[0] <= 3) break;
  }
  return c;
}

Convolution drawPointwise(Dice& dice) {
  Convolution c{{{dice.extent(), dice.extent()}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
                dice.between(1, 5),
                1,
                dice.channels(),
                dice.channels()};
  if (dice.chance(40)) c.out_of_group *= dice.between(2, 6);
  fitBudget(dice, c);
  return c;
}

// One of all forms that there are kernels for.
Convolution drawAny(Dice& dice) {
  const int64_t form = dice.between(0, 99);
  return form < 70 ? drawConvolution(dice) : form < 85 ? drawPointwise(dice) : drawWinograd(dice);
}

bool isDepthwise(const Convolution& c) { return c.in_of_group == 1 && c.out_of_group == 1; }

Tensor scalar(float number) { return Tensor::of<float>({}, {number}); }

// A scale for each output channel, and weights that are whole multiples of it.
struct QuantizedWeights {
  QuantizedWeights(Dice& dice, const Ints& dims, size_t axis)
      : scale(dice.uniform({dims[axis]}, 0.001f, 0.05f)), w(ElementType::kFloat, dims) {
    const int64_t inner =
        product(Ints(dims.begin() + static_cast<ptrdiff_t>(axis) + 1, dims.end()));
    for (int64_t i = 0; i < w.size(); ++i) {
      w.mutableData<float>()[i] =
          static_cast<float>(dice.between(-127, 127)) * scale.data<float>()[i / inner % dims[axis]];
    }
  }
  Tensor scale, w;
};

struct QuantizedValues {
  QuantizedValues(Dice& dice, Ints dims)
      : codes(dice.codes(std::move(dims))),
        scale(scalar(0.001f * static_cast<float>(dice.between(1, 50)))),
        zero_point(scalar(static_cast<float>(dice.chance(30) ? 0 : dice.between(0, 255)))) {}
  // What they stand for, in double.
  Tensor values() const {
    std::vector<double> numbers = codes.toVector<double>();
    for (double& x : numbers) x = (x - *zero_point.data<float>()) * *scale.data<float>();
    return Tensor::of<double>(codes.dims(), numbers);
  }
  Tensor codes, scale, zero_point;
};

RandomCase drawConv(Dice& dice) {
  const Convolution s = drawAny(dice);
  RandomCase c{"Conv", s.attributes(), {dice.floats(s.x()), dice.floats(s.w())}};
  if (dice.chance(50)) c.inputs.push_back(dice.floats({s.y()[1]}));
  expectSums(c, c.op, c.attributes, c.inputs);
  return c;
}

// The operands of a gradient: as they are, or rounded to bfloat16 where that is drawn.
std::vector<Tensor> operands(Dice& dice, RandomCase& c, const Convolution& s,
                             std::vector<Tensor> inputs) {
  if (!dice.chance(40)) return inputs;
  c.attributes["bfloat16"] = int64_t{1};
  if (isDepthwise(s)) return inputs;
  for (Tensor& input : inputs) input = roundedToBfloat16(input);
  return inputs;
}

RandomCase drawConvInputGradient(Dice& dice) {
  const Convolution s = drawAny(dice);
  RandomCase c{"simaqat::ConvInputGradient",
               s.gradientAttributes(s.x()),
               {dice.floats(s.y()), dice.floats(s.w())}};
  expectSums(c, c.op, c.attributes, operands(dice, c, s, c.inputs));
  return c;
}

RandomCase drawConvInputGradientOfQuantized(Dice& dice) {
  const Convolution s = drawAny(dice);
  const QuantizedWeights weights(dice, s.w(), 0);
  RandomCase c{"simaqat::ConvInputGradient",
               s.gradientAttributes(s.x()),
               {dice.floats(s.y()), weights.w, weights.scale}};
  expectSums(c, c.op, c.attributes, {c.inputs[0], c.inputs[1]});
  widenToTiles(c);
  return c;
}

RandomCase drawConvWeightGradient(Dice& dice) {
  const Convolution s = drawAny(dice);
  RandomCase c{"simaqat::ConvWeightGradient",
               s.gradientAttributes(s.w()),
               {dice.floats(s.x()), dice.floats(s.y())}};
  expectSums(c, c.op, c.attributes, operands(dice, c, s, c.inputs));
  return c;
}

RandomCase drawConvWeightGradientOfCodes(Dice& dice) {
  const Convolution s = drawAny(dice);
  const QuantizedValues x(dice, s.x());
  RandomCase c{"simaqat::ConvWeightGradient",
               s.gradientAttributes(s.w()),
               {x.codes, dice.floats(s.y()), x.scale, x.zero_point}};
  Tensor dy = c.inputs[1];
  if (dice.chance(40)) {
    c.attributes["bfloat16"] = int64_t{1};
    if (!isDepthwise(s)) dy = roundedToBfloat16(dy);
  }
  expectSums(c, c.op, s.gradientAttributes(s.w()), {x.values(), dy});
  widenToTiles(c);
  return c;
}

RandomCase drawConvGradients(Dice& dice) {
  const Convolution s = dice.chance(60) ? drawPointwise(dice) : drawAny(dice);
  RandomCase c{"simaqat::ConvGradients",
               s.attributes(),
               {dice.floats(s.y()), dice.floats(s.w()), dice.floats(s.x())},
               2};
  const std::vector<Tensor> in = operands(dice, c, s, c.inputs);
  expectSums(c, "simaqat::ConvInputGradient", s.gradientAttributes(s.x()), {in[0], in[1]});
  expectSums(c, "simaqat::ConvWeightGradient", s.gradientAttributes(s.w()), {in[2], in[0]});
  return c;
}

std::vector<Tensor> quantizedConvInputs(Dice& dice, const Convolution& s) {
  const QuantizedValues x(dice, s.x());
  const QuantizedWeights weights(dice, s.w(), 0);
  return {x.codes, weights.w,    dice.chance(50) ? dice.floats({s.y()[1]}) : Tensor(),
          x.scale, x.zero_point, weights.scale};
}

RandomCase drawQuantizedConv(Dice& dice) {
  const Convolution s = drawAny(dice);
  RandomCase c{"simaqat::QuantizedConv", s.attributes(), quantizedConvInputs(dice, s)};
  c.output_count = dice.chance(50) ? 2 : 1;
  expectSame(c);
  // The sums for BatchNormalization are of doubles, in another order.
  if (c.output_count == 2) {
    const double bound = 1e-9 * (1 + largestOf(c.expected[1]));
    c.bounds[1] = mapped({c.expected[1]}, [&](double) { return bound; })[0];
  }
  return c;
}

RandomCase drawQuantizingConv(Dice& dice) {
  const Convolution s = drawAny(dice);
  RandomCase c{"simaqat::QuantizingConv", s.attributes(), quantizedConvInputs(dice, s), 2};
  Tensor y = evaluate("simaqat::QuantizedConv", c.attributes, c.inputs)[0];
  const Tensor scale = scalar(static_cast<float>(1 + largestOf(y)) / 100);
  const Tensor zero = scalar(static_cast<float>(dice.between(0, 255)));
  const Tensor lo = dice.chance(50) ? scalar(0) : Tensor();
  for (const Tensor& more : {scale, zero, lo}) c.inputs.push_back(more);
  const AttributeMap range{{"qmin", int64_t{0}}, {"qmax", int64_t{255}}};
  for (const auto& [name, value] : range) c.attributes[name] = value;
  if (lo.defined()) {
    for (int64_t i = 0; i < y.size(); ++i) {
      float& v = y.mutableData<float>()[i];
      v = std::max(v, 0.0f);
    }
  }
  c.expected = evaluate("simaqat::Quantize", range, {y, scale, zero}, 2);
  c.bounds.resize(2);
  return c;
}

// ConvTranspose is the input gradient of a convolution, whose x is its y.
struct Transposed {
  Convolution s;
  AttributeMap attributes;
  Ints x, w, y;
};

Transposed drawTransposed(Dice& dice) {
  Transposed t{drawConvolution(dice), {}, {}, {}, {}};
  const Window& window = t.s.window;
  Ints padding;
  for (size_t i = 0; i < window.rank(); ++i) {
    padding.push_back((window.in[i] + window.begin[i] + window.end[i] - window.reach(i)) %
                      window.stride[i]);
  }
  t.attributes = t.s.attributes();
  t.attributes["output_padding"] = padding;
  t.x = t.s.y();
  t.w = t.s.w();
  t.y = t.s.x();
  return t;
}

RandomCase drawConvTranspose(Dice& dice) {
  const Transposed t = drawTransposed(dice);
  RandomCase c{"ConvTranspose", t.attributes, {dice.floats(t.x), dice.floats(t.w)}};
  if (dice.chance(50)) c.inputs.push_back(dice.floats({t.y[1]}));
  expectSums(c, c.op, c.attributes, c.inputs);
  return c;
}

RandomCase drawConvTransposeInputGradient(Dice& dice) {
  const Transposed t = drawTransposed(dice);
  RandomCase c{
      "simaqat::ConvTransposeInputGradient", t.attributes, {dice.floats(t.y), dice.floats(t.w)}};
  c.attributes["shape"] = t.x;
  expectSums(c, c.op, c.attributes, c.inputs);
  return c;
}

RandomCase drawConvTransposeWeightGradient(Dice& dice) {
  const Transposed t = drawTransposed(dice);
  RandomCase c{
      "simaqat::ConvTransposeWeightGradient", t.attributes, {dice.floats(t.x), dice.floats(t.y)}};
  c.attributes["shape"] = t.w;
  expectSums(c, c.op, c.attributes, c.inputs);
  return c;
}

struct Pooling {
  AttributeMap attributes;
  Ints x;
};

Pooling drawPooling(Dice& dice) {
  const Window w = drawWindow(dice);
  Pooling p{w.attributes(), joined({dice.between(1, 3), dice.channels()}, w.in)};
  while (product(p.x) * product(w.kernel) > kMostProducts && p.x[1] > 1) halve(p.x[1]);
  p.attributes["kernel_shape"] = w.kernel;
  p.attributes["ceil_mode"] = dice.between(0, 1);
  return p;
}

Ints outputDims(const std::string& op, const AttributeMap& attributes, const Tensor& x) {
  return evaluate(op, attributes, {x})[0].dims();
}

RandomCase drawMaxPool(Dice& dice) {
  const Pooling p = drawPooling(dice);
  RandomCase c{"MaxPool", p.attributes, {dice.chance(70) ? dice.floats(p.x) : dice.codes(p.x)}};
  expectSame(c);
  return c;
}

RandomCase drawMaxPoolGradient(Dice& dice) {
  const Pooling p = drawPooling(dice);
  const Tensor x = dice.floats(p.x);
  RandomCase c{"simaqat::MaxPoolGradient",
               p.attributes,
               {dice.floats(outputDims("MaxPool", p.attributes, x)), x}};
  expectClose(c, 1e-6);
  return c;
}

RandomCase drawAveragePool(Dice& dice) {
  const Pooling p = drawPooling(dice);
  RandomCase c{"AveragePool", p.attributes, {dice.floats(p.x)}};
  c.attributes["count_include_pad"] = dice.between(0, 1);
  expectClose(c, 1e-6);
  return c;
}

RandomCase drawAveragePoolGradient(Dice& dice) {
  const Pooling p = drawPooling(dice);
  AttributeMap attributes = p.attributes;
  attributes["count_include_pad"] = dice.between(0, 1);
  const Ints y = outputDims("AveragePool", attributes, dice.floats(p.x));
  attributes["shape"] = p.x;
  RandomCase c{"simaqat::AveragePoolGradient", attributes, {dice.floats(y)}};
  expectClose(c, 1e-6);
  return c;
}

// ---- Matrices -----------------------------------------------------------------------------------

struct Matrices {
  int64_t m, n, k;
};

Matrices drawMatrices(Dice& dice) {
  Matrices s{dice.between(1, 70), dice.between(1, 70), dice.between(1, 70)};
  if (dice.chance(20)) s.k = dice.between(70, 600);
  while (s.m * s.n * s.k > kMostProducts) halve(dice.chance(50) ? s.m : s.n);
  return s;
}

RandomCase drawGemmOf(Dice& dice, const std::string& op) {
  const Matrices s = drawMatrices(dice);
  const bool trans_a = dice.chance(50), trans_b = dice.chance(50);
  RandomCase c{op, {{"transA", int64_t{trans_a}}, {"transB", int64_t{trans_b}}}};
  if (dice.chance(30)) c.attributes["alpha"] = 0.5f;
  c.inputs = {dice.floats(trans_a ? Ints{s.k, s.m} : Ints{s.m, s.k}),
              dice.floats(trans_b ? Ints{s.n, s.k} : Ints{s.k, s.n})};
  std::vector<Tensor> exact = c.inputs;
  if (op != "Gemm") {
    for (Tensor& input : exact) input = roundedToBfloat16(input);
  } else if (dice.chance(60)) {
    c.inputs.push_back(dice.floats(dice.chance(50) ? Ints{s.n} : Ints{s.m, 1}));
    exact = c.inputs;
  }
  expectSums(c, "Gemm", c.attributes, exact);
  return c;
}

RandomCase drawMatMulOf(Dice& dice, const std::string& op) {
  Matrices s = drawMatrices(dice);
  const Ints batch = dice.chance(40) ? Ints{} : Ints{dice.between(1, 3), dice.between(1, 4)};
  while (product(batch) * s.m * s.n * s.k > kMostProducts) halve(s.k);
  const bool shares = dice.chance(30);
  RandomCase c{op,
               {},
               {dice.floats(joined(batch, {s.m, s.k})),
                dice.floats(shares ? Ints{s.k, s.n} : joined(batch, {s.k, s.n}))}};
  std::vector<Tensor> exact = c.inputs;
  if (op != "MatMul") {
    for (Tensor& input : exact) input = roundedToBfloat16(input);
  }
  expectSums(c, "MatMul", {}, exact);
  return c;
}

RandomCase drawQuantizedGemm(Dice& dice) {
  const Matrices s = drawMatrices(dice);
  const bool trans = dice.chance(50);
  const QuantizedValues x(dice, {s.m, s.k});
  const QuantizedWeights weights(dice, trans ? Ints{s.n, s.k} : Ints{s.k, s.n}, trans ? 0 : 1);
  RandomCase c{"simaqat::QuantizedGemm",
               {{"transB", int64_t{trans}}},
               {x.codes, weights.w, dice.chance(50) ? dice.floats({s.n}) : Tensor(), x.scale,
                x.zero_point, weights.scale}};
  expectSame(c);
  return c;
}

// ---- Channels and rows --------------------------------------------------------------------------

Ints drawPlanes(Dice& dice) {
  Ints dims{dice.between(1, 6), dice.channels()};
  const int64_t rank = dice.between(0, 2);
  for (int64_t i = 0; i < rank; ++i) dims.push_back(dice.extent());
  while (product(dims) > kMostProducts) halve(dims[1]);
  return dims;
}

std::vector<Tensor> batchNormParameters(Dice& dice, int64_t channels) {
  return {dice.uniform({channels}, 0.5f, 2), dice.floats({channels}), dice.floats({channels}),
          dice.uniform({channels}, 0.5f, 2)};
}

RandomCase drawBatchNorm(Dice& dice, const std::string& op, size_t outputs) {
  const Ints dims = drawPlanes(dice);
  RandomCase c{op, {{"epsilon", 1e-3f}}, {dice.floats(dims)}, outputs};
  for (Tensor& parameter : batchNormParameters(dice, dims[1])) c.inputs.push_back(parameter);
  expectClose(c, 1e-5);
  return c;
}

RandomCase drawBatchNormGradient(Dice& dice, const std::string& op) {
  const Ints dims = drawPlanes(dice);
  RandomCase c{op, {}, {dice.floats(dims), dice.floats(dims)}, 3};
  const std::vector<Tensor> p = batchNormParameters(dice, dims[1]);
  for (size_t i : {0, 2, 3}) c.inputs.push_back(p[i]);
  expectClose(c, 1e-5);
  return c;
}

RandomCase drawGlobalPool(Dice& dice, const std::string& op) {
  Ints dims = drawPlanes(dice);
  if (dims.size() == 2) dims.push_back(dice.extent());
  RandomCase c{op, {}, {dice.floats(dims)}};
  expectClose(c, 1e-6);
  return c;
}

RandomCase drawGlobalAveragePoolGradient(Dice& dice) {
  Ints dims = drawPlanes(dice);
  if (dims.size() == 2) dims.push_back(dice.extent());
  Ints y = dims;
  std::fill(y.begin() + 2, y.end(), 1);
  RandomCase c{"simaqat::GlobalAveragePoolGradient", {{"shape", dims}}, {dice.floats(y)}};
  expectClose(c, 1e-6);
  return c;
}

RandomCase drawReduction(Dice& dice, const std::string& op) {
  const Ints dims = drawPlanes(dice);
  RandomCase c{op, {{"keepdims", dice.between(0, 1)}}, {dice.floats(dims)}};
  Ints axes;
  for (int64_t i = 0; i < static_cast<int64_t>(dims.size()); ++i) {
    if (dice.chance(50)) axes.push_back(i);
  }
  if (!axes.empty()) {
    c.inputs.push_back(Tensor::of<int64_t>({static_cast<int64_t>(axes.size())}, axes));
  }
  expectClose(c, 2e-5);
  return c;
}

RandomCase drawChannelSum(Dice& dice) {
  RandomCase c{"simaqat::ChannelSum", {}, {dice.floats(drawPlanes(dice))}};
  expectClose(c, 1e-6);
  return c;
}

RandomCase drawSoftmax(Dice& dice, const std::string& op) {
  const Ints dims = drawPlanes(dice);
  RandomCase c{
      op, {{"axis", dice.between(0, static_cast<int64_t>(dims.size()) - 1)}}, {dice.floats(dims)}};
  expectClose(c, 1e-5);
  return c;
}

// Scores, labels and perhaps weights, and a reduction.
RandomCase drawLoss(Dice& dice) {
  const Ints dims = drawPlanes(dice);
  Ints at = dims;
  at.erase(at.begin() + 1);
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < product(at); ++i) labels.push_back(dice.between(0, dims[1] - 1));
  RandomCase c{"SoftmaxCrossEntropyLoss",
               {{"reduction", std::string(dice.chance(50) ? "mean" : "sum")}},
               {dice.floats(dims), Tensor::of<int64_t>(at, labels)}};
  if (dice.chance(30)) c.inputs.push_back(dice.uniform({dims[1]}, 0.5f, 2));
  return c;
}

RandomCase drawCrossEntropy(Dice& dice) {
  RandomCase c = drawLoss(dice);
  expectClose(c, 1e-5);
  return c;
}

RandomCase drawCrossEntropyGradient(Dice& dice) {
  RandomCase c = drawLoss(dice);
  c.op = "simaqat::SoftmaxCrossEntropyGradient";
  c.inputs.insert(c.inputs.begin(), scalar(0.75f));
  expectClose(c, 1e-5);
  return c;
}

// ---- Element by element -------------------------------------------------------------------------

RandomCase drawUnary(Dice& dice, const std::string& op) {
  const Ints dims = drawPlanes(dice);
  RandomCase c{op, {}, {op == "Log" ? dice.uniform(dims, 1e-3f, 9) : dice.floats(dims)}};
  expectClose(c, 1e-6);
  return c;
}

// Scales, and zero points of uint8, of a tensor or of axis 1's channels.
struct Grid {
  Grid(Dice& dice, const Ints& dims, bool is_per_channel)
      : parameters(is_per_channel ? Ints{dims[1]} : Ints{}),
        scale(dice.uniform(parameters, 0.002f, 0.02f)),
        zero_point(dice.codes(parameters)) {}
  Ints parameters;
  Tensor scale, zero_point;
};

RandomCase drawFakeQuantize(Dice& dice, bool is_gradient) {
  const Ints dims = drawPlanes(dice);
  const bool is_per_channel = dice.chance(50);
  const Grid grid(dice, dims, is_per_channel);
  RandomCase c{is_gradient ? "simaqat::FakeQuantizeGradient" : "simaqat::FakeQuantize",
               {{"qmin", int64_t{0}}, {"qmax", int64_t{255}}, {"observer", std::string("fixed")}}};
  if (is_per_channel) c.attributes["axis"] = int64_t{1};
  if (is_gradient) c.inputs.push_back(dice.floats(dims));
  c.inputs.push_back(dice.floats(dims));
  c.inputs.push_back(grid.scale);
  c.inputs.push_back(grid.zero_point.converted(ElementType::kFloat));
  expectSame(c);
  return c;
}

RandomCase drawQuantizeLinear(Dice& dice, bool back) {
  const Ints dims = drawPlanes(dice);
  const Grid grid(dice, dims, dice.chance(50));
  RandomCase c{back ? "DequantizeLinear" : "QuantizeLinear",
               {},
               {back ? dice.codes(dims) : dice.floats(dims), grid.scale, grid.zero_point}};
  expectSame(c);
  return c;
}

}  // namespace

std::string describe(const RandomCase& drawn) {
  std::string text = drawn.op + "(";
  for (const Tensor& input : drawn.inputs) {
    text += input.defined() ? elementTypeName(input.type()) + dimsToString(input.dims()) : "-";
    text += " ";
  }
  text += ") {";
  for (const auto& [name, value] : drawn.attributes) {
    text += fmt::format(" {}={}", name, attributeToString(value));
  }
  return text + " }";
}

const std::map<std::string, std::function<RandomCase(Dice&)>>& randomCases() {
  const auto with = [](auto draw, auto... more) {
    return [=](Dice& dice) { return draw(dice, more...); };
  };
  static const std::map<std::string, std::function<RandomCase(Dice&)>> all = {
      {"Conv", drawConv},
      {"simaqat::ConvInputGradient", drawConvInputGradient},
      {"simaqat::ConvInputGradient, quantized", drawConvInputGradientOfQuantized},
      {"simaqat::ConvWeightGradient", drawConvWeightGradient},
      {"simaqat::ConvWeightGradient, codes", drawConvWeightGradientOfCodes},
      {"simaqat::ConvGradients", drawConvGradients},
      {"simaqat::QuantizedConv", drawQuantizedConv},
      {"simaqat::QuantizingConv", drawQuantizingConv},
      {"ConvTranspose", drawConvTranspose},
      {"simaqat::ConvTransposeInputGradient", drawConvTransposeInputGradient},
      {"simaqat::ConvTransposeWeightGradient", drawConvTransposeWeightGradient},
      {"MaxPool", drawMaxPool},
      {"simaqat::MaxPoolGradient", drawMaxPoolGradient},
      {"AveragePool", drawAveragePool},
      {"simaqat::AveragePoolGradient", drawAveragePoolGradient},
      {"Gemm", with(drawGemmOf, "Gemm")},
      {"simaqat::Bfloat16Gemm", with(drawGemmOf, "simaqat::Bfloat16Gemm")},
      {"MatMul", with(drawMatMulOf, "MatMul")},
      {"simaqat::Bfloat16MatMul", with(drawMatMulOf, "simaqat::Bfloat16MatMul")},
      {"simaqat::QuantizedGemm", drawQuantizedGemm},
      {"BatchNormalization", with(drawBatchNorm, "BatchNormalization", 1)},
      {"simaqat::BatchNormTraining", with(drawBatchNorm, "simaqat::BatchNormTraining", 5)},
      {"simaqat::BatchNormTrainingGradient",
       with(drawBatchNormGradient, "simaqat::BatchNormTrainingGradient")},
      {"simaqat::BatchNormFrozenGradient",
       with(drawBatchNormGradient, "simaqat::BatchNormFrozenGradient")},
      {"GlobalAveragePool", with(drawGlobalPool, "GlobalAveragePool")},
      {"GlobalMaxPool", with(drawGlobalPool, "GlobalMaxPool")},
      {"simaqat::GlobalAveragePoolGradient", drawGlobalAveragePoolGradient},
      {"ReduceSum", with(drawReduction, "ReduceSum")},
      {"ReduceMean", with(drawReduction, "ReduceMean")},
      {"simaqat::ChannelSum", drawChannelSum},
      {"Softmax", with(drawSoftmax, "Softmax")},
      {"LogSoftmax", with(drawSoftmax, "LogSoftmax")},
      {"SoftmaxCrossEntropyLoss", drawCrossEntropy},
      {"simaqat::SoftmaxCrossEntropyGradient", drawCrossEntropyGradient},
      {"Erf", with(drawUnary, "Erf")},
      {"Exp", with(drawUnary, "Exp")},
      {"Log", with(drawUnary, "Log")},
      {"Sigmoid", with(drawUnary, "Sigmoid")},
      {"Tanh", with(drawUnary, "Tanh")},
      {"simaqat::FakeQuantize", with(drawFakeQuantize, false)},
      {"simaqat::FakeQuantizeGradient", with(drawFakeQuantize, true)},
      {"QuantizeLinear", with(drawQuantizeLinear, false)},
      {"DequantizeLinear", with(drawQuantizeLinear, true)},
  };
  return all;
}

}  // namespace simaqat
