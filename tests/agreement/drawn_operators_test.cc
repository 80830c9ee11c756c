// Operators with integer kernels, with drawn attributes and shapes: ONNX Runtime, with its
// optimizations and without, gives what `eval` gives, within a step of the output's quantizer.
// Weights have 7 bits on processors without VNNI, where ONNX Runtime's sums of 8-bit products saturate.
// SIMAQAT_GRAPHS=COUNT draws as many graphs, SIMAQAT_SEED=N begins there.
#include <fmt/ranges.h>

#include <cmath>
#include <cstdlib>
#include <iostream>
#include <random>

#include "kernels/isa.h"
#include "qat/onnx/export.h"
#include "qat/onnx/opset.h"
#include "qat/passes/finalize.h"
#include "qat/train/step_graph.h"
#include "tests/agreement/onnx_runtime.h"
#include "tests/catch.h"
#include "tests/cli/run.h"
#include "tests/passes/graphs.h"

namespace simaqat {
namespace {

uint64_t fromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// A graph of one input whose outputs are an operator each.
class Drawing {
 public:
  explicit Drawing(uint64_t seed) : random_(seed) {
    dims_ = {2, 2 * draw(1, 6), draw(4, 14), draw(4, 14)};
    lines_ = fmt::format("input %x : float[{}]\n", fmt::join(dims_, ", "));
  }

  const std::vector<int64_t>& dims() const { return dims_; }

  std::string text() {
    for (const char* kind :
         {"AveragePool", "AveragePool", "AveragePool", "MaxPool", "MaxPool", "Conv", "Conv",
          "depthwise", "Gemm", "MatMul", "binary", "unary", "Concat", "Softmax", "Resize", "Pad",
          "moves", "ReduceMean", "Where"}) {
      add(kind);
    }
    return lines_ + outputs_;
  }

 private:
  int64_t draw(int64_t least, int64_t most) {
    return std::uniform_int_distribution<int64_t>(least, most)(random_);
  }
  bool chance() { return draw(0, 1) == 1; }
  template <class T>
  T one(const std::vector<T>& of) {
    return of[static_cast<size_t>(draw(0, static_cast<int64_t>(of.size()) - 1))];
  }

  std::string weight(const std::vector<int64_t>& dims) {
    const std::string name = fmt::format("%w{}", count_++);
    lines_ += fmt::format("weight {} : float[{}] = [...]\n", name, fmt::join(dims, ", "));
    return name;
  }
  std::string integers(const std::vector<int64_t>& values) {
    const std::string name = fmt::format("%c{}", count_++);
    lines_ += fmt::format("constant {} : int64[{}] = [{}]\n", name, values.size(),
                          fmt::join(values, ", "));
    return name;
  }
  std::string node(const std::string& what) {
    const std::string name = fmt::format("%v{}", count_++);
    lines_ += name + " = " + what + "\n";
    return name;
  }
  void output(const std::string& what) {
    outputs_ += fmt::format("output {0} = %{0}\n", node(what).substr(1));
  }

  // Kernel, strides, dilations and pads that fit; pads are less than the kernel.
  std::string window(bool dilates, std::vector<int64_t>* kernel_shape = nullptr) {
    std::vector<int64_t> kernel, strides, dilations, pads(4);
    for (size_t axis = 0; axis < 2; ++axis) {
      kernel.push_back(draw(1, 4));
      strides.push_back(draw(1, 3));
      dilations.push_back(dilates && kernel.back() < 3 ? draw(1, 2) : 1);
      for (size_t side = 0; side < 2; ++side) {
        pads[axis + 2 * side] = chance() ? 0 : draw(0, kernel.back() - 1);
      }
    }
    if (kernel_shape != nullptr) *kernel_shape = kernel;
    const bool is_same = draw(0, 5) == 0;
    std::string text = fmt::format("kernel_shape = [{}], strides = [{}]", fmt::join(kernel, ", "),
                                   fmt::join(strides, ", "));
    if (is_same) return text + ", auto_pad = \"" + one<std::string>({"SAME_UPPER", "SAME_LOWER"}) + "\"";
    if (dilates) text += fmt::format(", dilations = [{}]", fmt::join(dilations, ", "));
    return text + fmt::format(", pads = [{}]", fmt::join(pads, ", "));
  }

  void add(const std::string& kind) {
    const int64_t channels = dims_[1];
    if (kind == "AveragePool") {
      output(fmt::format("AveragePool(%x) {{{}, ceil_mode = {}, count_include_pad = {}}}",
                         window(false), draw(0, 1), draw(0, 1)));
    } else if (kind == "MaxPool") {
      output(fmt::format("MaxPool(%x) {{{}, ceil_mode = {}}}", window(true), draw(0, 1)));
    } else if (kind == "Conv" || kind == "depthwise") {
      const int64_t groups = kind == "depthwise" ? channels : one<int64_t>({1, 2});
      std::vector<int64_t> kernel;
      const std::string attributes = window(true, &kernel);
      const int64_t out = groups * draw(1, 3);
      const std::string w = weight({out, channels / groups, kernel[0], kernel[1]});
      const std::string b = chance() ? ", " + weight({out}) : "";
      const std::string y =
          fmt::format("Conv(%x, {}{}) {{{}, group = {}}}", w, b, attributes, groups);
      output(chance() ? "Relu(" + node(y) + ")" : y);
    } else if (kind == "Gemm") {
      const std::string flat = node("Flatten(%x)");
      const int64_t depth = channels * dims_[2] * dims_[3], columns = draw(1, 20);
      const bool transposes = chance();
      const std::string w =
          weight(transposes ? std::vector{columns, depth} : std::vector{depth, columns});
      output(fmt::format("Gemm({}, {}, {}) {{transB = {}, alpha = {}, beta = {}}}", flat, w,
                         weight({columns}), transposes ? 1 : 0, one<std::string>({"1.0", "0.5"}),
                         one<std::string>({"1.0", "2.0"})));
    } else if (kind == "MatMul") {
      output(fmt::format("MatMul(%x, {})", weight({dims_[3], draw(1, 9)})));
      output(fmt::format("MatMul(%x, {})", node("Transpose(%x) {perm = [0, 1, 3, 2]}")));
    } else if (kind == "binary") {
      const std::string other =
          one<std::string>({"%x", weight({channels, 1, 1}), weight({1}), weight({dims_[3]})});
      for (const char* op : {"Add", "Mul"}) output(fmt::format("{}(%x, {})", op, other));
    } else if (kind == "unary") {
      for (const char* op : {"Sigmoid", "Relu", "GlobalAveragePool"}) output(std::string(op) + "(%x)");
      output(fmt::format("LeakyRelu(%x) {{alpha = {}}}", one<std::string>({"0.01", "0.3"})));
    } else if (kind == "Concat") {
      output(fmt::format("Concat(%x, {}, %x) {{axis = {}}}", node("Sigmoid(%x)"), draw(1, 3)));
      output("Relu(" + node(fmt::format("Concat(%x, {}) {{axis = 1}}", node("Sigmoid(%x)"))) + ")");
    } else if (kind == "Softmax") {
      output(fmt::format("Softmax(%x) {{axis = {}}}", draw(1, 3)));
    } else if (kind == "Resize") {
      const std::string sizes = integers({dims_[0], channels, draw(2, 20), draw(2, 20)});
      output(fmt::format("Resize(%x, _, _, {}) {{mode = \"{}\", "
                         "coordinate_transformation_mode = \"{}\", nearest_mode = \"{}\"}}",
                         sizes, one<std::string>({"nearest", "linear"}),
                         one<std::string>({"asymmetric", "half_pixel", "align_corners"}),
                         one<std::string>({"floor", "round_prefer_floor"})));
    } else if (kind == "Pad") {
      const std::string pads = integers({0, 0, draw(0, 2), draw(0, 2), 0, 0, draw(0, 2), draw(0, 2)});
      output(fmt::format("Pad(%x, {}) {{mode = \"{}\"}}", pads,
                         one<std::string>({"constant", "edge", "reflect"})));
    } else if (kind == "moves") {
      output("Transpose(%x) {perm = [0, 2, 3, 1]}");
      output(fmt::format("Slice(%x, {}, {}, {})", integers({draw(0, 2)}), integers({4}),
                         integers({2})));
      output(fmt::format("ReduceMax(%x, {})", integers({draw(1, 3)})));
      output(fmt::format("Tile(%x, {})", integers({1, draw(1, 2), draw(1, 2), 1})));
    } else if (kind == "ReduceMean") {
      output(fmt::format("ReduceMean(%x, {}) {{keepdims = {}}}", integers({2, 3}), draw(0, 1)));
    } else {
      output(fmt::format("Where({}, %x, {})", node(fmt::format("Greater(%x, {})", weight({1}))),
                         weight({channels, 1, 1})));
    }
  }

  std::mt19937_64 random_;
  std::vector<int64_t> dims_;
  std::string lines_, outputs_;
  int count_ = 0;
};

// The scale of the output's DequantizeLinear; 0 for a float output.
double stepOf(const Value* output) {
  const Node* node = output->producer();
  return node->opType() == "DequantizeLinear" ? node->input(1)->constant.toVector<double>()[0] : 0;
}

double largest(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::fabs(a[i] - b[i]));
  return most;
}

void check(uint64_t seed) {
  Drawing drawing(seed);
  const std::string text = drawing.text();
  INFO("SIMAQAT_SEED=" << seed << "\n" << text);
  Graph graph = parse(text);
  randomizeVariables(graph, seed);
  ScaffoldOptions scaffolding;
  if (kernels::detectedIsa() < kernels::Isa::kAvx512Vnni) scaffolding.weight.bits = 7;
  scaffold(graph, scaffolding);
  const Tensor x = randomTensor(drawing.dims(), seed + 1);
  calibrate(graph, {x});
  finalize(graph);
  const std::string path = cli::scratch("drawn.onnx");
  exportModel(graph, path, {leastOpset(graph, kOwnOpset)});
  const std::vector<Tensor> expected =
      run(buildInference(graph.clone(), Mode::kEvaluate, drawing.dims()[0], {}), {x});
  for (const bool optimize : {false, true}) {
    onnx_runtime::Options options;
    options.optimize = optimize;
    const auto got = onnx_runtime::run(path, "x", x, options);
    for (size_t i = 0; i < expected.size(); ++i) {
      const GraphOutput& output = graph.outputs[i];
      INFO(output.name << (optimize ? ", optimized" : ""));
      const double step = stepOf(output.value);
      const double off = largest(got.at(output.name).toVector<double>(), expected[i].toVector<double>());
      CHECK(off <= 1.001 * step + 1e-4);
    }
  }
}

TEST_CASE("ONNX Runtime computes what eval computes, on drawn operators") {
  const std::string missing = onnx_runtime::missing();
  if (!missing.empty()) QAT_SKIP(missing);
  const uint64_t first = fromEnvironment("SIMAQAT_SEED", 1);
  const uint64_t count = fromEnvironment("SIMAQAT_GRAPHS", 4);
  std::cout << "SIMAQAT_SEED=" << first << " SIMAQAT_GRAPHS=" << count << "\n";
  for (uint64_t seed = first; seed < first + count; ++seed) check(seed);
}

}  // namespace
}  // namespace simaqat
