#include <algorithm>
#include <numeric>

#include "kernels/workspace.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gather.h"
#include "qat/ops/shared/order.h"

namespace simaqat::ops {
namespace {

struct TopKAttributes {
  int64_t axis = -1;
  bool largest = true;
  // Results are in order in any case.
  bool sorted = true;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("axis", self.axis);
    visit("largest", self.largest);
    visit("sorted", self.sorted);
  }
};

void infer(InferContext& c) {
  const auto k = constantIntegers(c, 1);
  if (k && k->size() != 1) c.node.fail("input 1: expected one number, got {}", k->size());
  std::optional<Shape> y;
  if (const Shape* x = c.shape(0)) {
    y = *x;
    Dim& dim = (*y)[static_cast<size_t>(normalizeAxis(
        c.node, c.node.attributes<TopKAttributes>().axis, static_cast<int64_t>(x->size())))];
    if (k && ((*k)[0] < 0 || (dim.known() && (*k)[0] > dim.value))) {
      c.node.fail("input 1: {} of {} elements are asked for", (*k)[0], dim.value);
    }
    dim = k ? Dim((*k)[0]) : Dim();
  }
  c.setOutput(0, c.input(0).element, y);
  c.setOutput(1, ElementType::kInt64, y);
}

// Puts the places of the first k elements in front; of equal ones the earlier goes first.
template <class T>
void selectTop(const T* x, int64_t stride, bool largest, int64_t* order, int64_t size, int64_t k) {
  std::iota(order, order + size, int64_t{0});
  std::partial_sort(order, order + k, order + size, [&](int64_t a, int64_t b) {
    const T left = x[a * stride];
    const T right = x[b * stride];
    const bool before = largest ? isLess(right, left) : isLess(left, right);
    const bool behind = largest ? isLess(left, right) : isLess(right, left);
    return before || (!behind && a < b);
  });
}

// Each thread's places of one line.
kernels::ThreadArrays<int64_t> placesOfLine(int64_t line, int threads,
                                            kernels::Workspace& workspace) {
  return workspace.takeForThreads<int64_t>(threads, line);
}

int64_t workspace(const Node& node, int threads) {
  const std::vector<int64_t> dims = node.input(0)->type.dims();
  const AxisSplit split(node, node.attributes<TopKAttributes>().axis, dims);
  kernels::Workspace workspace(nullptr);
  placesOfLine(split.size, threads, workspace);
  return static_cast<int64_t>(workspace.used());
}

void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<TopKAttributes>();
  const AxisSplit split(c.node, attributes.axis, c.in(0).dims);
  const int64_t k = c.out().dim(attributes.axis);
  const bool wants_indices = c.outputs.size() > 1;
  const int64_t lines = split.outer * split.inner;
  const int64_t grain = kElementwiseGrain / (split.size + 1) + 1;
  kernels::Workspace workspace(c.workspace);
  const auto places = placesOfLine(split.size, c.pool.threads(), workspace);
  visitNumber(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.in(0).data<T>();
    T* y = c.out().data<T>();
    int64_t* indices = wants_indices ? c.out(1).data<int64_t>() : nullptr;
    c.pool.run((lines + grain - 1) / grain, [&](int64_t tile, int worker) {
      int64_t* order = places.of(worker);
      for (int64_t line = tile * grain; line < std::min(lines, (tile + 1) * grain); ++line) {
        const int64_t outer = line / split.inner;
        const int64_t inner = line % split.inner;
        const T* from = x + outer * split.size * split.inner + inner;
        selectTop(from, split.inner, attributes.largest, order, split.size, k);
        for (int64_t i = 0; i < k; ++i) {
          const int64_t to = (outer * k + i) * split.inner + inner;
          y[to] = from[order[i] * split.inner];
          if (wants_indices) indices[to] = order[i];
        }
      }
    });
  });
}

void gradient(GradientContext& c) {
  Value* dy = c.outputGradient(0);
  if (!c.wants(0) || dy == nullptr) return;
  GatherGradientAttributes attributes;
  attributes.axis = c.node.attributes<TopKAttributes>().axis;
  attributes.shape = c.input(0)->type.dims();
  Value* indices = c.output(1);
  if (indices == nullptr) {
    indices = c.addMany("TopK", {c.input(0), c.input(1)}, 2, c.node.rawAttributes().clone())[1];
  }
  c.setInputGradient(0, c.add("simaqat::GatherElementsGradient", {dy, indices}, attributes));
}

void upgrade(PortableNode& node, int opset) {
  if (opset >= 10) return;
  const auto k = node.attributes.find("k");
  if (k == node.attributes.end() || !std::holds_alternative<int64_t>(k->second)) {
    node.fail("attribute 'k': expected an integer");
  }
  node.inputs.push_back(
      node.add_constant("k", Tensor::of<int64_t>({1}, {std::get<int64_t>(k->second)})));
  node.attributes.erase(k);
}

void downgrade(PortableNode& node, int opset) {
  // ONNX wants both outputs named, used or not.
  node.outputs.resize(2);
  if (node.outputs[1].empty()) node.outputs[1] = node.outputs[0] + "/indices";
  if (opset >= 11) return;
  const auto largest = node.attributes.find("largest");
  if (largest != node.attributes.end() && attributesEqual(largest->second, int64_t{0})) {
    node.fail("attribute 'largest' needs opset 11");
  }
  node.attributes.erase("largest");
  node.attributes.erase("sorted");
}

std::vector<OpExample> examples() {
  const Tensor two = Tensor::of<int64_t>({1}, {2});
  std::vector<OpExample> list = {
      {"last axis", {}, {exampleTensor({3, 5}), two}},
      {"least of an axis",
       {{"axis", int64_t{1}}, {"largest", int64_t{0}}},
       {exampleTensor({2, 4, 3}), two}},
      {"all of an axis", {{"axis", int64_t{-2}}}, {exampleTensor({2, 3}), two}},
      {"integers that tie", {}, {exampleIntegers({9}, 0, 3), Tensor::of<int64_t>({1}, {6})}},
  };
  for (OpExample& example : list) example.output_count = 2;
  list.emplace_back("values alone", AttributeMap{},
                    std::vector<Tensor>{exampleTensor({3, 4}), two});
  return list;
}

}  // namespace

OpDefinition defineTopK() {
  OpDefinition op;
  op.name = "TopK";
  op.min_inputs = op.max_inputs = 2;
  op.max_outputs = 2;
  op.make_attributes = &makeAttributes<TopKAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.workspace = workspace;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kShares;
  op.upgrade = upgrade;
  op.downgrade = downgrade;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
