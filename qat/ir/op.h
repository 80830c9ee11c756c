// What the compiler knows of an operator. All of it stands in one file, qat/ops/NAME.cc.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "qat/base/random.h"
#include "qat/base/tensor.h"
#include "qat/base/thread_pool.h"
#include "qat/ir/graph.h"

namespace simaqat {

// ---- Types ---------------------------------------------------------------------------------

// What a shape rule sees and sets.
class InferContext {
 public:
  InferContext(const Node& node, std::vector<TensorType>& outputs)
      : node(node), outputs_(outputs) {}

  const Node& node;
  bool hasInput(size_t i) const { return node.input(i) != nullptr; }
  const TensorType& input(size_t i) const { return node.input(i)->type; }
  // The input's shape; null where its rank is not known.
  const Shape* shape(size_t i) const;
  // The input's value where it is known when compiling, else null.
  const Tensor* constant(size_t i) const;
  void setOutput(size_t i, ElementType element, std::optional<Shape> shape);
  // Errors that name the node unless the rank or the element type is as expected. An unknown rank
  // passes.
  void expectRank(size_t i, size_t rank) const;
  void expectElement(size_t i, ElementType element) const;

 private:
  std::vector<TensorType>& outputs_;
};

// ---- Evaluation ----------------------------------------------------------------------------

// A dense row-major tensor somewhere in memory.
struct TensorView {
  ElementType type = ElementType::kUndefined;
  Span<const int64_t> dims;
  int64_t size = 0;
  std::byte* bytes = nullptr;

  bool present() const { return bytes != nullptr; }
  uint8_t* mask() const {
    SIMAQAT_CHECK(type == ElementType::kBit, "view holds {}", elementTypeName(type));
    return reinterpret_cast<uint8_t*>(bytes);
  }
  template <class T>
  T* data() const {
    SIMAQAT_CHECK(ElementTypeOf<T>::value == storageType(type), "view holds {}", elementTypeName(type));
    return reinterpret_cast<T*>(bytes);
  }
  // The dimension `axis`, which may count from the end.
  int64_t dim(int64_t axis) const {
    return dims[static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(dims.size()) : axis)];
  }
  int64_t rank() const { return static_cast<int64_t>(dims.size()); }
  size_t byteCount() const { return static_cast<size_t>(size) * elementSize(type); }
};

// What evaluation of one node gets: inputs to read, outputs to fill, scratch memory, threads.
struct EvalContext {
  const Node& node;
  Span<const TensorView> inputs;  // an absent input has a null pointer
  Span<const TensorView> outputs;
  std::byte* workspace;  // as many bytes as the definition's `workspace` said
  ThreadPool& pool;
  uint64_t seed = 0;
  int64_t step = 0;

  const TensorView& in(size_t i) const { return inputs[i]; }
  bool hasIn(size_t i) const { return i < inputs.size() && inputs[i].present(); }
  const TensorView& out(size_t i = 0) const { return outputs[i]; }
  // For operators that draw random numbers: keyed by seed, node and step.
  RandomStream random() const { return {seed, randomPurpose(node.name()), static_cast<uint64_t>(step)}; }
};

using EvalFunction = void (*)(const EvalContext&);

// ---- Gradient ------------------------------------------------------------------------------

// What a gradient rule sees, and how it adds the nodes of its gradient. All types are static.
class GradientContext {
 public:
  // `behind_where`: from the node to the loss all ways lead through what a Where may leave out.
  GradientContext(Graph& graph, const Node& node, std::vector<Value*> output_gradients,
                  std::vector<bool> wanted, bool behind_where = false);

  Graph& graph;
  const Node& node;
  Value* input(size_t i) const { return node.input(i); }
  Value* output(size_t i = 0) const { return node.output(i); }
  // Null where no gradient reaches that output.
  Value* outputGradient(size_t i = 0) const { return output_gradients_[i]; }
  bool wants(size_t i) const { return i < wanted_.size() && wanted_[i]; }
  // An input or output of the node, for sums of its products with the gradient. What is not finite
  // there would make NaN of a gradient of 0, which a branch that Where left out has; so behind a
  // Where it is taken as 0. Nothing is hidden: had Where chosen it, the loss would not be finite.
  Value* factor(Value* value);
  void setInputGradient(size_t i, Value* gradient) { input_gradients_[i] = gradient; }
  const std::vector<Value*>& inputGradients() const { return input_gradients_; }

  // Adds a node named after the node that is differentiated.
  Value* add(const std::string& op_type, const std::vector<Value*>& inputs,
             std::unique_ptr<Attributes> attributes = nullptr);
  template <class S>
  Value* add(const std::string& op_type, const std::vector<Value*>& inputs, S attributes) {
    return add(op_type, inputs, wrapAttributes(std::move(attributes)));
  }
  std::vector<Value*> addMany(const std::string& op_type, const std::vector<Value*>& inputs,
                              size_t output_count,
                              std::unique_ptr<Attributes> attributes = nullptr);
  Value* constant(Tensor tensor);
  // A scalar of the same element type as `like`.
  Value* scalar(double number, const Value* like);
  // Sums a gradient of the broadcast shape down to the shape of `like`.
  Value* sumTo(Value* gradient, const Value* like);
  // Reshape to the dimensions of `like`.
  Value* reshapeLike(Value* value, const Value* like);

 private:
  std::string gradientName() const;
  std::vector<Value*> output_gradients_;
  std::vector<bool> wanted_;
  bool behind_where_;
  std::vector<Value*> input_gradients_;
};

using GradientRule = void (*)(GradientContext&);

// ---- Modes ---------------------------------------------------------------------------------

enum class Mode { kTrain, kCalibrate, kEvaluate };

// What the one stored graph is turned into. The flags belong to training.
struct Specialization {
  Mode mode = Mode::kEvaluate;
  bool freeze_batch_norm = false;   // running statistics, not updated; gamma and beta still train
  bool freeze_observers = false;    // ranges stay as they are
  bool unbiased_running_var = false;  // PyTorch's n / (n - 1) in the running variance
};

// ---- Quantization --------------------------------------------------------------------------

// What stands at an operator's output; the placement pass decides by this alone.
enum class OutputQuantization {
  kNever,      // integer, boolean or shape arithmetic, and what stays float
  kComputes,   // a quantizer of its own
  kShares,     // the quantizer of input 0: the operator only moves values
  kConcat,     // one quantizer behind it where every input has that sole consumer
  kTransparent // no quantizer: the consumer takes what it gives (Dropout)
};

struct QuantizationTraits {
  OutputQuantization output = OutputQuantization::kNever;
  // For kShares: whether this node does (Pad with a value on every grid); it computes where not.
  bool (*shares)(const Node&) = nullptr;
  // Where all outputs are known to lie in [0, fixed_range], such as Sigmoid's: no observer needed.
  float fixed_range = 0;
  // A node that may follow a computing one with no quantizer between (Relu, Clip from 0).
  bool (*is_activation)(const Node&) = nullptr;
  // The upper bound a node puts on its output, infinity for none.
  float (*upper_bound)(const Node&) = nullptr;
  // For kShares: takes and gives 8-bit codes as it does their values.
  bool moves_codes = false;
  // Which activations and BatchNormalizations may follow with no quantizer between.
  bool fuses_batch_norm = false;
  bool fuses_activation = false;
  // Where the weight is and which of its axes counts output channels (-1: none).
  int weight_input = -1;
  int bias_input = -1;
  int64_t (*weight_axis)(const Node&) = nullptr;
  // Where that axis counts the channels of each of several groups of axis 0: how many.
  int64_t (*weight_groups)(const Node&) = nullptr;
};

// ---- Elementwise operators -----------------------------------------------------------------

// The floats from lo to hi; none where one is NaN.
struct FloatRange {
  float lo, hi;
};

// An operator whose output's element i needs the inputs' element i alone, once those are broadcast
// as NumPy does. Neighbours of that kind run as one, block by block (qat/passes/fuse_pointwise.h).
struct PointwiseTraits {
  // out[i] = f(in[0][i], in[1][i], ...) for i in [0, n), in float32. Integer operands come
  // as floats; an absent input is null. n is a multiple of 8; out may be one of the inputs.
  void (*block)(const Node&, const float* const* in, float* out, int64_t n) = nullptr;
  // For which nodes that holds; null: for all.
  bool (*applies)(const Node&) = nullptr;
  // Nowhere decreasing, or nowhere increasing, in input 0 while the others stay: ranges go to ranges.
  bool is_monotone = false;
  // Of an operator whose result is its input 0 where its input 1 lies in a range, and else 0: that
  // range, where its further inputs are the numbers in[2][0], in[3][0], ...
  FloatRange (*passes)(const Node&, const float* const* in) = nullptr;
  // An operator that needs its input 0 once, element by element: its form that computes that input
  // by a program (qat/ir/pointwise.h). Else "".
  const char* fused_form = "";
};

// ---- Definition ----------------------------------------------------------------------------

// A node as a file has it, at the file's opset: what `upgrade` and `downgrade` rewrite.
struct PortableNode {
  std::string op_type;
  std::string domain;
  std::string name;
  AttributeMap attributes;
  // Names; "" for an absent input.
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  // Constants among the inputs, and new ones that the rewriting adds (by name).
  std::function<const Tensor*(const std::string&)> constant;
  std::function<std::string(const std::string& suffix, Tensor)> add_constant;
  // Of `upgrade` alone: adds a node that stands before this one, in canonical form, and gives its
  // output's name.
  std::function<std::string(const std::string& op_type, const AttributeMap& attributes,
                            const std::vector<std::string>& inputs)>
      add_node;

  // Moves attribute `name`, a list of integers, to input `index`, and back.
  void attributeToInput(const std::string& attribute, size_t index);
  void inputToAttribute(size_t index, const std::string& attribute);
  [[noreturn]] void fail(const std::string& message) const;
};

// An example from which the test suites derive theirs: shapes, gradients, round trips.
struct OpExample {
  OpExample(std::string name, AttributeMap attributes, std::vector<Tensor> inputs);
  OpExample(const OpExample&);
  OpExample(OpExample&&) noexcept;
  OpExample& operator=(const OpExample&);
  OpExample& operator=(OpExample&&) noexcept;
  ~OpExample();

  std::string name;
  AttributeMap attributes;
  // An undefined tensor stands for an absent input. Float inputs are given in double.
  std::vector<Tensor> inputs;
  size_t output_count = 1;
  // Inputs to differentiate; empty: all floating-point ones.
  std::vector<size_t> differentiate;
};

struct OpDefinition {
  OpDefinition();
  OpDefinition(OpDefinition&&) noexcept;
  OpDefinition& operator=(OpDefinition&&) noexcept;
  ~OpDefinition();

  std::string name;
  std::string domain;  // "" is ONNX's own
  int first_opset = 1;
  int last_opset = 24;
  size_t min_inputs = 1;
  size_t max_inputs = 1;
  size_t min_outputs = 1;
  size_t max_outputs = 1;
  std::unique_ptr<Attributes> (*make_attributes)() = &makeNoAttributes;

  // Required: the shape rule.
  void (*infer)(InferContext&) = nullptr;
  // Required: evaluation on any element type the operator has; the reference for fast kernels.
  EvalFunction evaluate = nullptr;
  // A fast kernel for float32, or null.
  EvalFunction kernel = nullptr;
  // Bytes of scratch memory that `kernel` (or `evaluate`) needs with so many threads.
  int64_t (*workspace)(const Node&, int threads) = nullptr;
  // See operationsOf; null: one for each element of the outputs.
  double (*operations)(const Node&) = nullptr;
  PointwiseTraits pointwise = {};
  // The rule; null where the operator ends the gradient (comparisons, shapes, rounding).
  GradientRule gradient = nullptr;
  // Each element of the output is one of the others' as input 0 says: Where. What it leaves out may
  // be anything; see GradientContext::factor.
  bool selects = false;
  // Inputs that are no data but set what the operator does, such as Resize's scales and Clip's
  // bounds: an initializer there is a constant.
  std::vector<int> setting_inputs = {};
  // Set where a gradient that arrives is an error: nobody can differentiate it.
  bool gradient_is_error = false;
  // Output i may take the memory of input j, when that is its last use: pairs (j, i).
  std::vector<std::pair<int, int>> in_place = {};
  // Draws random numbers, so that it is neither folded nor merged.
  bool random = false;
  // Runs only once the whole step is known to be finite: updates of variables in place.
  bool commits = false;
  // How the node changes between modes, or null: BatchNormalization, Dropout, FakeQuantize.
  // May remove the node.
  void (*specialize)(Graph&, Node&, const Specialization&) = nullptr;
  QuantizationTraits quantization = {};
  // From a file's opset to the canonical form, and back to a target opset. May throw.
  void (*upgrade)(PortableNode&, int opset) = nullptr;
  void (*downgrade)(PortableNode&, int opset) = nullptr;
  std::vector<OpExample> (*examples)() = nullptr;

  bool isSetting(size_t input) const {
    return std::find(setting_inputs.begin(), setting_inputs.end(), static_cast<int>(input)) !=
           setting_inputs.end();
  }
  // "simaqat::FakeQuantize", or the name alone in ONNX's domain.
  std::string qualifiedName() const { return domain.empty() ? name : domain + "::" + name; }
};

// Whether the node's outputs lie on the grid of its input 0.
bool sharesQuantizer(const Node& node);

// How many groups of a quantized weight count their output channels each by itself.
int64_t weightGroups(const Node& node);

// Arithmetic operations of a node with static types, a multiply-add counted as two.
double operationsOf(const Node& node);

class OpRegistry {
 public:
  void add(OpDefinition definition);
  // By qualified name; null where there is none.
  const OpDefinition* find(const std::string& qualified_name) const;
  const OpDefinition& get(const std::string& qualified_name) const;
  const std::map<std::string, std::unique_ptr<OpDefinition>>& all() const { return definitions_; }

 private:
  std::map<std::string, std::unique_ptr<OpDefinition>> definitions_;
};

// ---- Helpers for definitions ---------------------------------------------------------------

// NumPy's broadcast of two shapes; absent where either rank is unknown. Fails naming the node.
std::optional<Shape> broadcastShapes(const Node& node, const Shape* a, const Shape* b);
// The axis as a non-negative number; fails naming the node where it is out of range.
int64_t normalizeAxis(const Node& node, int64_t axis, int64_t rank);

// Evaluates a node on host tensors (an undefined tensor is an absent input): infers the outputs'
// types and calls the definition's `evaluate`. For constant folding and for tests.
std::vector<Tensor> evaluateOnHost(const Graph& graph, const Node& node,
                                   const std::vector<Tensor>& inputs, ThreadPool& pool);

}  // namespace simaqat
