#include <algorithm>
#include <limits>
#include <numeric>

#include "qat/ir/dim_limit.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gather.h"
#include "qat/ops/shared/integers.h"

namespace simaqat::ops {
namespace {

struct SplitAttributes : AxisAttributes {
  std::optional<int64_t> num_outputs;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    AxisAttributes::fields(self, visit);
    visit("num_outputs", self.num_outputs);
  }
};

// Sizes of an axis split evenly; the last part may be smaller.
int64_t evenPart(int64_t size, int64_t parts, int64_t part) {
  const int64_t each = (size + parts - 1) / parts;
  return std::max<int64_t>(0, std::min(each, size - part * each));
}

void infer(InferContext& c) {
  const auto& attributes = c.node.attributes<SplitAttributes>();
  const auto parts = static_cast<int64_t>(c.node.outputCount());
  if (attributes.num_outputs && *attributes.num_outputs != parts) {
    c.node.fail("attribute 'num_outputs': expected {}, got {}", parts, *attributes.num_outputs);
  }
  const auto sizes = constantIntegers(c, 1);
  if (sizes && static_cast<int64_t>(sizes->size()) != parts) {
    c.node.fail("input 1: expected {} sizes, got {}", parts, sizes->size());
  }
  for (const int64_t size : sizes.value_or(std::vector<int64_t>{})) {
    if (!isPossibleDim(size)) c.node.fail("input 1: a size of {} is not possible", size);
  }
  const Shape* x = c.shape(0);
  if (x != nullptr && sizes) {
    const Dim& dim = (*x)[static_cast<size_t>(
        normalizeAxis(c.node, attributes.axis, static_cast<int64_t>(x->size())))];
    const int64_t sum = std::accumulate(sizes->begin(), sizes->end(), int64_t{0});
    if (dim.known() && dim.value != sum) {
      c.node.fail("input 1: expected sizes with the sum {}, got {}", dim.value, sum);
    }
  }
  for (int64_t part = 0; part < parts; ++part) {
    std::optional<Shape> y;
    if (x != nullptr) {
      y = *x;
      Dim& dim = (*y)[static_cast<size_t>(
          normalizeAxis(c.node, attributes.axis, static_cast<int64_t>(x->size())))];
      if (sizes) {
        dim = (*sizes)[static_cast<size_t>(part)];
      } else if (dim.known() && !c.hasInput(1)) {
        dim = evenPart(dim.value, parts, part);
      } else {
        dim = Dim();
      }
    }
    c.setOutput(static_cast<size_t>(part), c.input(0).element, std::move(y));
  }
}

void evaluate(const EvalContext& c) {
  const int64_t axis = c.node.attributes<SplitAttributes>().axis;
  const AxisSplit whole(c.node, axis, c.in(0).dims);
  int64_t first = 0;
  for (const TensorView& y : c.outputs) {
    const AxisSplit part(c.node, axis, y.dims);
    StridedCopy copy(y.type);
    copy.from_offset = first * whole.inner;
    copy.addAxis(part.outer, whole.size * whole.inner, part.size * part.inner);
    copy.addAxis(part.size * part.inner, 1, 1);
    copy.run(c.in(0).bytes, y.bytes, c.pool);
    first += part.size;
  }
}

void gradient(GradientContext& c) {
  std::vector<Value*> parts;
  for (size_t i = 0; i < c.node.outputCount(); ++i) {
    Value* dy = c.outputGradient(i);
    if (dy == nullptr) {
      dy = c.constant(Tensor(c.output(i)->type.element, c.output(i)->type.dims()));
    }
    parts.push_back(dy);
  }
  auto attributes = c.graph.registry().get("Concat").make_attributes();
  attributes->parse({{"axis", c.node.attributes<SplitAttributes>().axis}});
  c.setInputGradient(0, c.add("Concat", parts, std::move(attributes)));
}

// Canonical: sizes as input 1, or num_outputs.
void upgrade(PortableNode& node, int opset) {
  if (opset < 13) node.attributeToInput("split", 1);
  const bool has_sizes = node.inputs.size() > 1 && !node.inputs[1].empty();
  if (opset < 18 && !has_sizes) {
    node.attributes["num_outputs"] = static_cast<int64_t>(node.outputs.size());
  }
}

void downgrade(PortableNode& node, int opset) {
  const bool has_sizes = node.inputs.size() > 1 && !node.inputs[1].empty();
  if (opset < 18) {
    node.attributes.erase("num_outputs");
  } else if (!has_sizes) {
    node.attributes["num_outputs"] = static_cast<int64_t>(node.outputs.size());
  }
}

std::vector<OpExample> examples() {
  const auto axis = [](int64_t a) { return AttributeMap{{"axis", a}}; };
  std::vector<OpExample> list = {
      {"even", axis(1), {exampleTensor({2, 6, 3})}},
      {"sizes", axis(-1), {exampleTensor({2, 6}), Tensor::of<int64_t>({2}, {4, 2})}},
      {"integers", {}, {exampleIntegers({4}, 0, 9)}},
  };
  for (OpExample& example : list) example.output_count = 2;
  return list;
}

}  // namespace

OpDefinition defineSplit() {
  OpDefinition op;
  op.name = "Split";
  op.max_inputs = 2;
  op.max_outputs = std::numeric_limits<size_t>::max();
  op.make_attributes = &makeAttributes<SplitAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kShares;
  op.upgrade = upgrade;
  op.downgrade = downgrade;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
