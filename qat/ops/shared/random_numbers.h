// Operators that fill a tensor with random numbers. Element i is a function of the run's seed, the
// node, the step and i.
#pragma once

#include "qat/ops/shared/cast.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {

// Every such operator has these. `seed` is kept for the file: the run's counts.
struct RandomAttributes {
  std::optional<int64_t> dtype;
  std::optional<float> seed;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("dtype", self.dtype);
    visit("seed", self.seed);
  }
};

struct UniformAttributes : RandomAttributes {
  float high = 1;
  float low = 0;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    RandomAttributes::fields(self, visit);
    visit("high", self.high);
    visit("low", self.low);
  }
  // In [low, high).
  float draw(const RandomStream& random, uint64_t element) const {
    return low + (high - low) * random.uniform(element);
  }
};

struct NormalAttributes : RandomAttributes {
  float mean = 0;
  float scale = 1;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    RandomAttributes::fields(self, visit);
    visit("mean", self.mean);
    visit("scale", self.scale);
  }
  // `scale` is the deviation.
  float draw(const RandomStream& random, uint64_t element) const {
    return mean + scale * random.normal(element);
  }
};

// With the output's dimensions, which no input tells.
template <class Distribution>
struct ShapedAttributes : Distribution {
  std::vector<int64_t> shape;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    Distribution::fields(self, visit);
    visit.required("shape", self.shape);
  }
};

// The output's element type: the attribute, or that of an input without it.
inline ElementType randomElement(const Node& node, const RandomAttributes& attributes,
                                 ElementType otherwise) {
  return attributes.dtype ? elementAttribute(node, "dtype", *attributes.dtype) : otherwise;
}

inline void upgradeRandom(PortableNode& node, int) { widen16BitFloat(node, "dtype"); }

// Calls one(random, i) for each element of the output, which it sets.
template <class F>
void forEachDraw(const EvalContext& c, F one) {
  const RandomStream random = c.random();
  c.pool.runRanges(c.out().size, kElementwiseGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) one(random, i);
  });
}

template <class Distribution>
void evaluateRandom(const EvalContext& c) {
  const auto& distribution = c.node.attributes<Distribution>();
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    T* y = c.out().data<T>();
    forEachDraw(c, [&](const RandomStream& random, int64_t i) {
      y[i] = static_cast<T>(distribution.draw(random, static_cast<uint64_t>(i)));
    });
  });
}

template <class Distribution>
void inferRandomLike(InferContext& c) {
  const auto& attributes = c.node.attributes<Distribution>();
  c.setOutput(0, randomElement(c.node, attributes, c.input(0).element), c.input(0).shape);
}

template <class Distribution>
void inferRandom(InferContext& c) {
  const auto& attributes = c.node.attributes<ShapedAttributes<Distribution>>();
  elementCount(attributes.shape);  // fails for a negative one
  c.setOutput(0, randomElement(c.node, attributes, ElementType::kFloat), toShape(attributes.shape));
}

// Of the shape of an input: RandomUniformLike, RandomNormalLike.
template <class Distribution>
OpDefinition randomLikeDefinition(const char* name) {
  OpDefinition op;
  op.name = name;
  op.make_attributes = &makeAttributes<Distribution>;
  op.infer = inferRandomLike<Distribution>;
  op.evaluate = evaluateRandom<Distribution>;
  op.random = true;
  op.upgrade = upgradeRandom;
  return op;
}

// Of a given shape: RandomUniform, RandomNormal.
template <class Distribution>
OpDefinition randomDefinition(const char* name) {
  OpDefinition op = randomLikeDefinition<Distribution>(name);
  op.min_inputs = op.max_inputs = 0;
  op.make_attributes = &makeAttributes<ShapedAttributes<Distribution>>;
  op.infer = inferRandom<Distribution>;
  op.evaluate = evaluateRandom<ShapedAttributes<Distribution>>;
  return op;
}

}  // namespace simaqat::ops
