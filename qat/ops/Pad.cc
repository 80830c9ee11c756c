#include "qat/ops/shared/pad.h"

#include <algorithm>
#include <cmath>

#include "qat/ir/dim_limit.h"
#include "qat/ops/shared/constants.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {
namespace {

enum Input { kData, kPads, kConstant, kAxes };

void infer(InferContext& c) {
  const std::string& mode = c.node.attributes<PadAttributes>().mode;
  if (mode != "constant" && mode != "edge" && mode != "reflect" && mode != "wrap") {
    c.node.fail("attribute 'mode': '{}' is not known", mode);
  }
  c.expectElement(kConstant, c.input(kData).element);
  const Shape* x = c.shape(kData);
  const auto pads = constantIntegers(c, kPads);
  const auto axes = constantIntegers(c, kAxes);
  std::optional<Shape> y;
  if (x != nullptr) {
    y = unknownShape(x->size());
    if (pads && (axes || !c.hasInput(kAxes))) {
      const size_t count = axes ? axes->size() : x->size();
      if (pads->size() != 2 * count) {
        c.node.fail("input 1: expected {} pads, got {}", 2 * count, pads->size());
      }
      if (axes) markAxes(c.node, *axes, x->size());
      y = *x;
      for (size_t i = 0; i < count; ++i) {
        const size_t axis = axes ? static_cast<size_t>(normalizeAxis(
                                       c.node, (*axes)[i], static_cast<int64_t>(x->size())))
                                 : i;
        for (const int64_t pad : {(*pads)[i], (*pads)[i + count]}) {
          if (!isPossibleExtent(pad, -kMostDim)) c.node.fail("input 1: {} is no valid pad", pad);
        }
        const int64_t added = (*pads)[i] + (*pads)[i + count];
        if ((*pads)[i] == 0 && (*pads)[i + count] == 0) continue;
        Dim& dim = (*y)[axis];
        if (dim.known() && dim.value + added < 0) {
          c.node.fail("input 1: pads {} and {} cut off more than {} elements", (*pads)[i],
                      (*pads)[i + count], dim.value);
        }
        dim = dim.known() ? Dim(dim.value + added) : Dim();
      }
    }
  }
  c.setOutput(0, c.input(kData).element, std::move(y));
}

void padWithConstant(const EvalContext& c) {
  fill(c.out(), c.hasIn(kConstant) ? c.in(kConstant).bytes : nullptr, c.pool);
  const Span<const int64_t> in = c.in(kData).dims;
  const Span<const int64_t> out = c.out().dims;
  const Strides front = padsInFront(c);
  const Strides from = denseStrides(c.node, in);
  const Strides to = denseStrides(c.node, out);
  StridedCopy copy(c.out().type);
  for (size_t axis = 0; axis < in.size(); ++axis) {
    const int64_t first = std::max<int64_t>(0, -front[axis]);
    const int64_t end = std::min(in[axis], out[axis] - front[axis]);
    copy.from_offset += first * from[axis];
    copy.to_offset += (first + front[axis]) * to[axis];
    copy.addAxis(std::max<int64_t>(0, end - first), from[axis], to[axis]);
  }
  copy.run(c.in(kData).bytes, c.out().bytes, c.pool);
}

void evaluate(const EvalContext& c) {
  const std::string& mode = c.node.attributes<PadAttributes>().mode;
  if (mode == "constant") return padWithConstant(c);
  const PadWalk walk(c, mode, c.in(kData).dims, c.out().dims);
  visitElementType(c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.in(kData).data<T>();
    T* y = c.out().data<T>();
    c.pool.runRanges(c.out().size, kElementwiseGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) y[i] = x[walk.source(i)];
    });
  });
}

void gradient(GradientContext& c) {
  if (!c.wants(kData)) return;
  Value* dy = c.outputGradient();
  const std::string& mode = c.node.attributes<PadAttributes>().mode;
  if (mode == "constant") {
    // What was added is cut off again.
    std::vector<int64_t> pads = c.input(kPads)->constant.toVector<int64_t>();
    for (int64_t& pad : pads) pad = -pad;
    c.setInputGradient(kData, c.add("Pad", {dy, integers(c, pads), nullptr, c.input(kAxes)}));
    return;
  }
  PadGradientAttributes attributes;
  attributes.mode = mode;
  attributes.shape = c.input(kData)->type.dims();
  c.setInputGradient(kData, c.add("simaqat::PadGradient",
                                  {dy, c.input(kPads), nullptr, c.input(kAxes)}, attributes));
}

// Zero is on every grid; infinity stands for what a MaxPool behind leaves out.
bool padsOnGrid(const Node& node) {
  if (node.attributes<PadAttributes>().mode != "constant") return true;
  if (node.input(kConstant) == nullptr) return true;
  const std::optional<double> value = constantScalar(node, kConstant);
  return value && (*value == 0 || std::isinf(*value));
}

void upgrade(PortableNode& node, int opset) {
  if (opset >= 11) return;
  node.attributeToInput("pads", kPads);
  const auto value = node.attributes.find("value");
  if (value == node.attributes.end()) return;
  const float* number = std::get_if<float>(&value->second);
  if (number == nullptr) node.fail("attribute 'value' is not a number");
  node.inputs.resize(kConstant + 1);
  node.inputs[kConstant] = node.add_constant("value", Tensor::scalar<float>(*number));
  node.attributes.erase(value);
}

void downgrade(PortableNode& node, int opset) {
  if (opset < 18 && node.inputs.size() > kAxes) node.fail("input 'axes' needs opset 18");
  const auto mode = node.attributes.find("mode");
  if (opset < 19 && mode != node.attributes.end() &&
      attributesEqual(mode->second, std::string("wrap"))) {
    node.fail("mode 'wrap' needs opset 19");
  }
}

std::vector<OpExample> examples() {
  const auto mode = [](const char* name) { return AttributeMap{{"mode", std::string(name)}}; };
  const auto list = [](const std::vector<int64_t>& values) {
    return Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values);
  };
  std::vector<OpExample> all = {
      {"constant", {}, {exampleTensor({2, 3}), list({1, 0, 0, 2}), Tensor::scalar<double>(0.5)}},
      {"zeros", {}, {exampleTensor({2, 3, 4}), list({0, 1, 0, 0, 2, 1})}},
      {"cut", {}, {exampleTensor({4, 3}), list({-1, 1, 2, -2})}},
      {"axes", {}, {exampleTensor({2, 3, 4}), list({1, 2}), Tensor(), list({-1})}},
      {"edge", mode("edge"), {exampleTensor({2, 3, 4}), list({0, 1, 2, 0, 3, 1})}},
      {"reflect", mode("reflect"), {exampleTensor({2, 3, 4}), list({0, 2, 3, 0, 1, 2})}},
      {"reflect and cut", mode("reflect"), {exampleTensor({2, 5}), list({0, 2, 0, -1})}},
      {"wrap", mode("wrap"), {exampleTensor({2, 3}), list({1, 2, 1, 4})}},
      {"integers", {}, {exampleIntegers({3}, 1, 9), list({1, 1})}},
  };
  all[0].differentiate = {0};
  return all;
}

}  // namespace

OpDefinition definePad() {
  OpDefinition op;
  op.name = "Pad";
  op.min_inputs = 2;
  op.max_inputs = 4;
  op.make_attributes = &makeAttributes<PadAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.setting_inputs = {1, 2, 3};
  op.quantization.output = OutputQuantization::kShares;
  op.quantization.shares = padsOnGrid;
  op.upgrade = upgrade;
  op.downgrade = downgrade;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
