#include "tests/reference/random_network.h"

#include <cmath>

#include "qat/base/random.h"
#include "qat/ops/registry.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

// A feature map under construction.
struct Map {
  std::string name;
  int64_t channels, height, width;
};

class Writer {
 public:
  Writer(uint64_t seed, const NetworkKind& kind)
      : kind_(kind), random_(seed, randomPurpose("network"), 0) {}

  RandomNetwork write() {
    batch_ = from(1, 4);
    const Map input{"x", from(1, 6), from(5, 14), from(5, 14)};
    line("input %x : float[{}, {}, {}, {}]", batch_, input.channels, input.height, input.width);
    Map map = convolution(input, channels(), {});
    for (int64_t blocks = from(2, 4); blocks > 0; --blocks) map = block(map);
    const int64_t classes = from(2, 11);
    const std::string pooled = add("GlobalAveragePool(%{})", map.name);
    const std::string flat = add("Flatten(%{})", pooled);
    const std::string w = weight({classes, map.channels}), b = weight({classes});
    line("%y = Gemm(%{}, %{}, %{}) {{transB = 1}}", flat, w, b);
    line("output y = %y");
    Graph model = parse(text_);
    fillWeights(model);
    return {std::move(model), text_, {batch_, input.channels, input.height, input.width}, classes};
  }

 private:
  struct Window {
    bool depthwise = false;
    int64_t kernel = 0;  // 0: drawn
    int64_t stride = 0;
    bool activates = true;
  };

  int64_t from(int64_t least, int64_t most) {
    return least + random_.below(drawn_++, static_cast<uint32_t>(most - least + 1));
  }
  bool chance(int64_t one_in) { return from(1, one_in) == 1; }

  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    text_ += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }
  template <class... Args>
  std::string add(fmt::format_string<Args...> format, Args&&... args) {
    const std::string name = fmt::format("v{}", named_++);
    line("%{} = {}", name, fmt::format(format, std::forward<Args>(args)...));
    return name;
  }
  std::string weight(const std::vector<int64_t>& dims, const char* role = "weight") {
    const std::string name = fmt::format("{}{}", role, named_++);
    line("{} %{} : float{} = [1, ...]",
         role[0] == 'v' || role[0] == 'm' ? "batch_norm_statistic" : "weight", name,
         dimsToString(dims));
    return name;
  }

  std::string activation(const std::string& x) {
    switch (from(0, kind_.arithmetic_only ? 3 : 6)) {
      case 0:
        return x;
      case 1:
      case 2:
        return add("Relu(%{})", x);
      case 3: {
        const std::string lo = constant(0), hi = constant(6);
        return add("Clip(%{}, %{}, %{})", x, lo, hi);
      }
      case 4:
        return add("HardSwish(%{})", x);
      case 5: {
        const std::string s = add("Sigmoid(%{})", x);
        return add("Mul(%{}, %{})", x, s);
      }
      default:
        return add("LeakyRelu(%{}) {{alpha = 0.1}}", x);
    }
  }
  std::string constant(float value) {
    const std::string name = fmt::format("k{}", named_++);
    line("constant %{} : float[] = [{}]", name, value);
    return name;
  }

  Map convolution(const Map& x, int64_t channels, Window window) {
    const int64_t smaller = std::min(x.height, x.width);
    int64_t kernel = window.kernel > 0 ? window.kernel : from(1, 4);
    int64_t stride = window.stride > 0 ? window.stride : (chance(3) ? 2 : 1);
    if (smaller < 4) stride = 1;
    kernel = std::min(kernel, smaller);
    // Padding of each side apart, unless the extents have to stay.
    const bool keeps = window.stride == 1;
    std::vector<int64_t> pads(4);
    for (size_t i = 0; i < 4; ++i) {
      const bool end = i >= 2;
      pads[i] = keeps ? (end ? kernel / 2 : (kernel - 1) / 2) : from(0, kernel / 2);
    }
    const int64_t group = window.depthwise ? x.channels : 1;
    const std::string w = weight({channels, x.channels / group, kernel, kernel});
    const bool normalizes = !chance(4);
    const std::string bias = normalizes ? "" : ", %" + weight({channels});
    std::string y = add("Conv(%{}, %{}{}) {{group = {}, pads = {}, strides = [{}, {}]}}", x.name, w,
                        bias, group, dimsToString(pads), stride, stride);
    if (normalizes) {
      const std::string g = weight({channels}, "gamma"), b = weight({channels}, "beta");
      const std::string m = weight({channels}, "mean"), v = weight({channels}, "var");
      y = add("BatchNormalization(%{}, %{}, %{}, %{}, %{}) {{training_mode = 1}}", y, g, b, m, v);
    }
    if (window.activates) y = activation(y);
    const auto extent = [&](int64_t in, int64_t padding) {
      return (in + padding - kernel) / stride + 1;
    };
    return {y, channels, extent(x.height, pads[0] + pads[2]), extent(x.width, pads[1] + pads[3])};
  }

  // Around the widths of vectors, odd and even; now and then as many as tiles are made for.
  int64_t channels() { return chance(6) ? from(30, 70) : from(1, 20); }

  Map block(const Map& x) {
    switch (from(0, kind_.arithmetic_only ? 4 : 6)) {
      case 0:
        return residual(x);
      case 1:
        return separable(x);
      case 2:
        return branches(x);
      case 3:
        return pooled(x);
      case 4:
        return convolution(x, channels(), {});
      case 5:
        return squeezeExcite(x);
      default:
        return attention(x);
    }
  }

  Map residual(const Map& x) {
    const Map inner = convolution(x, channels(), {false, 0, 1, true});
    const Map outer = convolution(inner, x.channels, {false, 0, 1, false});
    const std::string sum = add("Add(%{}, %{})", outer.name, x.name);
    return {activation(sum), x.channels, x.height, x.width};
  }

  Map separable(const Map& x) {
    const Map wide = convolution(x, channels(), {false, 1, 1, true});
    const Map deep = convolution(wide, wide.channels, {true, 0, 0, true});
    return convolution(deep, channels(), {false, 1, 1, chance(2)});
  }

  Map branches(const Map& x) {
    const Map a = convolution(x, from(1, 9), {false, 1, 1, true});
    const Map b = convolution(x, from(1, 9), {false, 3, 1, true});
    return {add("Concat(%{}, %{}) {{axis = 1}}", a.name, b.name), a.channels + b.channels, x.height,
            x.width};
  }

  Map pooled(const Map& x) {
    if (std::min(x.height, x.width) < 3) return x;
    const int64_t kernel = from(2, 3);
    const int64_t stride = from(1, 2);
    const int64_t pad = from(0, 1);
    const std::string y = add(
        "{}(%{}) {{kernel_shape = [{}, {}], pads = [{}, {}, 0, 0], strides = [{}, {}]}}",
        chance(2) ? "MaxPool" : "AveragePool", x.name, kernel, kernel, pad, pad, stride, stride);
    const auto extent = [&](int64_t in) { return (in + pad - kernel) / stride + 1; };
    return {y, x.channels, extent(x.height), extent(x.width)};
  }

  Map squeezeExcite(const Map& x) {
    const int64_t squeezed = from(1, 8);
    const std::string mean = add("GlobalAveragePool(%{})", x.name);
    const std::string w1 = weight({squeezed, x.channels, 1, 1}), b1 = weight({squeezed});
    const std::string down = add("Conv(%{}, %{}, %{})", mean, w1, b1);
    const std::string relu = add("Relu(%{})", down);
    const std::string w2 = weight({x.channels, squeezed, 1, 1}), b2 = weight({x.channels});
    const std::string up = add("Conv(%{}, %{}, %{})", relu, w2, b2);
    const std::string gate = add("{}(%{})", chance(2) ? "Sigmoid" : "HardSigmoid", up);
    return {add("Mul(%{}, %{})", x.name, gate), x.channels, x.height, x.width};
  }

  // Positions attend to positions.
  Map attention(const Map& x) {
    const int64_t positions = x.height * x.width;
    const std::string flat = reshape(x.name, {batch_, x.channels, positions});
    const std::string tokens = add("Transpose(%{}) {{perm = [0, 2, 1]}}", flat);
    const int64_t width = from(1, 12);
    const auto projection = [&](const std::string& of, int64_t in, int64_t out) {
      const std::string w = weight({in, out}), b = weight({out});
      const std::string product = add("MatMul(%{}, %{})", of, w);
      return add("Add(%{}, %{})", product, b);
    };
    const std::string q = projection(tokens, x.channels, width);
    const std::string k = projection(tokens, x.channels, width);
    const std::string v = projection(tokens, x.channels, width);
    const std::string turned = add("Transpose(%{}) {{perm = [0, 2, 1]}}", k);
    const std::string scores = add("MatMul(%{}, %{})", q, turned);
    const std::string factor = constant(1 / std::sqrt(static_cast<float>(width)));
    const std::string scaled = add("Mul(%{}, %{})", scores, factor);
    const std::string shares = add("Softmax(%{}) {{axis = -1}}", scaled);
    const std::string mixed = add("MatMul(%{}, %{})", shares, v);
    const std::string out = projection(mixed, width, x.channels);
    const std::string sum = add("Add(%{}, %{})", out, tokens);
    const std::string back = add("Transpose(%{}) {{perm = [0, 2, 1]}}", sum);
    return {reshape(back, {batch_, x.channels, x.height, x.width}), x.channels, x.height, x.width};
  }

  std::string reshape(const std::string& x, const std::vector<int64_t>& dims) {
    const std::string name = fmt::format("s{}", named_++);
    line("constant %{} : int64[{}] = {}", name, dims.size(), dimsToString(dims));
    return add("Reshape(%{}, %{})", x, name);
  }

  // As large as keeps activations near 1.
  void fillWeights(Graph& model) {
    for (const auto& variable : model.variables()) {
      variable->trainable = variable->role == VariableRole::kWeight;
      const std::vector<int64_t>& dims = variable->value.dims();
      const double fan_in =
          static_cast<double>(variable->value.size()) / static_cast<double>(dims[0]);
      const RandomStream random(random_.bits(drawn_++), randomPurpose(variable->name), 0);
      float* data = variable->value.mutableData<float>();
      for (int64_t i = 0; i < variable->value.size(); ++i) {
        const float x = random.normal(static_cast<uint64_t>(i));
        const bool is_positive = variable->name[0] == 'v' || variable->name[0] == 'g';
        data[i] = is_positive        ? 0.5f + std::fabs(x)
                  : dims.size() == 1 ? 0.2f * x
                                     : x * static_cast<float>(std::sqrt(2 / fan_in));
      }
    }
  }

  const NetworkKind kind_;
  const RandomStream random_;
  uint64_t drawn_ = 0;
  int64_t named_ = 0;
  int64_t batch_ = 1;
  std::string text_;
};

}  // namespace

RandomNetwork drawNetwork(uint64_t seed, const NetworkKind& kind) {
  return Writer(seed, kind).write();
}

}  // namespace simaqat
