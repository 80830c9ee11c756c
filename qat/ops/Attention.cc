#include "qat/ops/shared/attention.h"

#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

enum Input { kQ, kK, kV, kMask };

void infer(InferContext& c) {
  const auto& attributes = c.node.attributes<AttentionAttributes>();
  std::optional<Shape> y;
  bool all_known = true;
  for (const size_t i : {kQ, kK, kV}) {
    c.expectElement(i, c.input(kQ).element);
    const Shape* shape = c.shape(i);
    if (shape != nullptr && shape->size() != 3 && shape->size() != 4) {
      c.node.fail("input {}: expected rank 3 or 4, got {}", i, typeToString(c.input(i)));
    }
    all_known = all_known && c.input(i).isStatic();
  }
  if (c.hasInput(kMask) && c.input(kMask).element != ElementType::kBool) {
    c.expectElement(kMask, c.input(kQ).element);
  }
  if (all_known) {
    const auto dims = [&](size_t i) { return c.input(i).dims(); };
    const std::vector<int64_t> q = dims(kQ), k = dims(kK), v = dims(kV);
    const AttentionShape shape(c.node, attributes, q, k, v);
    y = toShape(q);
    y->back() = q.size() == 4 ? shape.v.size : shape.v.size * shape.q.heads;
    if (const Shape* mask = c.shape(kMask)) {
      const Shape scores = {shape.batch, shape.q.heads, shape.q.length, shape.k.length};
      const auto joined = broadcastShapes(c.node, mask, &scores);
      if (joined && *joined != scores) {
        c.node.fail("input 3: expected a mask for {}, got {}", shapeToString(scores),
                    shapeToString(*mask));
      }
    }
  } else if (const Shape* q = c.shape(kQ)) {
    y = *q;
    y->back() = Dim();
  }
  c.setOutput(0, c.input(kQ).element, std::move(y));
}

TensorView maskOf(const EvalContext& c) { return c.hasIn(kMask) ? c.in(kMask) : TensorView(); }

void evaluate(const EvalContext& c) {
  const AttentionShape s(c.node, c.node.attributes<AttentionAttributes>(), c.in(kQ).dims,
                         c.in(kK).dims, c.in(kV).dims);
  const TensorView mask = maskOf(c);
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const AttentionRow<T> attention(s, mask);
    const T* v = c.in(kV).data<T>();
    kernels::Workspace workspace(c.workspace);
    const auto lists = attentionLists(s.k.length, 2, c.pool.threads(), workspace);
    c.pool.run(s.batch * s.q.heads, [&](int64_t tile, int worker) {
      double* weights = lists.of(worker);
      const int64_t batch = tile / s.q.heads;
      const int64_t head = tile % s.q.heads;
      for (int64_t row = 0; row < s.q.length; ++row) {
        attention.weigh(c.in(kQ).data<T>(), c.in(kK).data<T>(), batch, head, row, weights,
                        weights + s.k.length);
        T* y = c.out().data<T>() + s.y.offset(batch, head, row);
        std::fill(y, y + s.y.size, T{0});
        for (int64_t j = 0; j < s.k.length; ++j) {
          const T* value = v + s.v.offset(batch, head / s.shared, j);
          const T weight = static_cast<T>(weights[j]);
          for (int64_t i = 0; i < s.v.size; ++i) y[i] += weight * value[i];
        }
      }
    });
  });
}

int64_t workspace(const Node& node, int threads) {
  return attentionWorkspace(node.input(kK), 2, threads);
}

void gradient(GradientContext& c) {
  const bool mask_learns = c.wants(kMask);
  const std::vector<Value*> gradients =
      c.addMany("simaqat::AttentionGradient",
                {c.outputGradient(), c.factor(c.input(kQ)), c.factor(c.input(kK)),
                 c.factor(c.input(kV)), c.input(kMask)},
                mask_learns ? 4 : 3, c.node.rawAttributes().clone());
  for (const size_t i : {kQ, kK, kV}) {
    if (c.wants(i)) c.setInputGradient(i, gradients[i]);
  }
  if (mask_learns) c.setInputGradient(kMask, c.sumTo(gradients[kMask], c.input(kMask)));
}

std::vector<OpExample> examples() {
  const auto x = [](std::vector<int64_t> dims, uint64_t seed) {
    return exampleTensor(std::move(dims), seed);
  };
  const AttributeMap heads = {{"q_num_heads", int64_t{4}}, {"kv_num_heads", int64_t{2}}};
  AttributeMap capped = heads;
  capped["softcap"] = 0.5f;
  Tensor mask(ElementType::kBool, {3, 5});
  for (int64_t i = 0; i < mask.size(); ++i) mask.mutableData<bool>()[i] = i % 4 != 1;
  return {
      {"heads", {}, {x({2, 2, 3, 4}, 1), x({2, 2, 5, 4}, 2), x({2, 2, 5, 3}, 3)}},
      {"causal, scaled",
       {{"is_causal", int64_t{1}}, {"scale", 0.75f}},
       {x({1, 2, 4, 2}, 1), x({1, 2, 4, 2}, 2), x({1, 2, 4, 2}, 3)}},
      {"shared keys, heads last", heads, {x({2, 3, 8}, 1), x({2, 5, 4}, 2), x({2, 5, 6}, 3)}},
      {"capped", capped, {x({1, 3, 8}, 1), x({1, 5, 4}, 2), x({1, 5, 4}, 3)}},
      {"a mask", {}, {x({1, 2, 3, 2}, 1), x({1, 2, 5, 2}, 2), x({1, 2, 5, 2}, 3), mask}},
      {"a learned bias",
       {},
       {x({2, 2, 3, 2}, 1), x({2, 2, 5, 2}, 2), x({2, 2, 5, 2}, 3), x({1, 2, 3, 5}, 4)}},
  };
}

}  // namespace

// Without a cache of keys and values, and without the outputs that go with one.
OpDefinition defineAttention() {
  OpDefinition op;
  op.name = "Attention";
  op.first_opset = 23;
  op.min_inputs = 3;
  op.max_inputs = 4;
  op.make_attributes = &makeAttributes<AttentionAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.workspace = workspace;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kComputes;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
