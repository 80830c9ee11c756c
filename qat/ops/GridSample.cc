#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/grid_sample.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  const auto& attributes = c.node.attributes<GridSampleAttributes>();
  const auto expectOneOf = [&](const char* name, const std::string& value,
                               std::initializer_list<const char*> known) {
    for (const char* one : known) {
      if (value == one) return;
    }
    c.node.fail("attribute '{}': '{}' is not known", name, value);
  };
  expectOneOf("mode", attributes.mode, {"nearest", "linear", "cubic"});
  expectOneOf("padding_mode", attributes.padding_mode, {"zeros", "border", "reflection"});
  const Shape* x = c.shape(0);
  const Shape* grid = c.shape(1);
  std::optional<Shape> y;
  if (x != nullptr) {
    if (x->size() < 3 || x->size() > 5) {
      c.node.fail("input 0: expected rank 3 to 5, got {}", typeToString(c.input(0)));
    }
    c.expectRank(1, x->size());
  }
  if (x != nullptr && grid != nullptr) {
    const auto axes = static_cast<int64_t>(x->size()) - 2;
    if (grid->back().known() && grid->back().value != axes) {
      c.node.fail("input 1: expected {} coordinates, got {}", axes, grid->back().value);
    }
    const Dim& own = (*x)[0];
    if (own.known() && (*grid)[0].known() && own.value != (*grid)[0].value) {
      c.node.fail("input 1: expected a batch of {}, got {}", own.value, (*grid)[0].value);
    }
    y = Shape{own, (*x)[1]};
    y->insert(y->end(), grid->begin() + 1, grid->end() - 1);
  }
  c.setOutput(0, c.input(0).element, std::move(y));
}

template <class T>
void sampleAll(const EvalContext& c) {
  const GridSampler sampler(c.node.attributes<GridSampleAttributes>(), c.in(0).dims);
  const int64_t channels = c.in(0).dims[1];
  const int64_t plane = sampler.planeSize();
  const int64_t batch = c.in(0).dims[0];
  const auto rank = static_cast<int64_t>(sampler.rank());
  const int64_t places = batch == 0 ? 0 : c.in(1).size / rank / batch;
  const int64_t grain = 1024;
  c.pool.runRanges(batch * places, grain, [&](int64_t begin, int64_t end) {
    SampleAxes axes;
    for (int64_t i = begin; i < end; ++i) {
      sampler.place(c.in(1).data<T>() + i * rank, axes);
      const T* x = c.in(0).data<T>() + i / places * channels * plane;
      T* y = c.out().data<T>() + i / places * channels * places + i % places;
      for (int64_t channel = 0; channel < channels; ++channel) {
        double sum = 0;
        sampler.forEachElement(axes, [&](int64_t offset, const SampleTaps& taps) {
          sum += sampleWeight(axes, taps) * static_cast<double>(x[channel * plane + offset]);
        });
        y[channel * places] = static_cast<T>(sum);
      }
    }
  });
}

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) { sampleAll<decltype(tag)>(c); });
}

void gradient(GradientContext& c) {
  const std::vector<Value*> gradients =
      c.addMany("simaqat::GridSampleGradient", {c.outputGradient(), c.input(0), c.input(1)}, 2,
                c.node.rawAttributes().clone());
  for (size_t i = 0; i < 2; ++i) {
    if (c.wants(i)) c.setInputGradient(i, gradients[i]);
  }
}

// Until opset 19 the modes were named after images.
void upgrade(PortableNode& node, int opset) {
  const auto mode = node.attributes.find("mode");
  if (opset >= 20 || mode == node.attributes.end()) return;
  if (attributesEqual(mode->second, std::string("bilinear"))) mode->second = std::string("linear");
  if (attributesEqual(mode->second, std::string("bicubic"))) mode->second = std::string("cubic");
}

void downgrade(PortableNode& node, int opset) {
  const auto mode = node.attributes.find("mode");
  if (opset >= 20 || mode == node.attributes.end()) return;
  if (attributesEqual(mode->second, std::string("linear"))) mode->second = std::string("bilinear");
  if (attributesEqual(mode->second, std::string("cubic"))) mode->second = std::string("bicubic");
}

std::vector<OpExample> examples() {
  const auto with = [](const char* mode, const char* padding, int64_t align) {
    AttributeMap map;
    if (mode != std::string("linear")) map["mode"] = std::string(mode);
    if (padding != std::string("zeros")) map["padding_mode"] = std::string(padding);
    if (align != 0) map["align_corners"] = align;
    return map;
  };
  const Tensor image = exampleTensor({2, 3, 4, 5}, 1);
  const Tensor grid = exampleTensor({2, 3, 2, 2}, 2, -1.6, 1.6);
  return {
      {"linear", {}, {image, grid}},
      {"linear, aligned, border", with("linear", "border", 1), {image, grid}},
      {"linear, reflection", with("linear", "reflection", 0), {image, grid}},
      {"linear, aligned, reflection", with("linear", "reflection", 1), {image, grid}},
      {"nearest", with("nearest", "border", 0), {image, grid}},
      {"cubic", with("cubic", "zeros", 0), {image, grid}},
      {"cubic, reflection", with("cubic", "reflection", 1), {image, grid}},
      {"sequences", {}, {exampleTensor({1, 2, 6}, 1), exampleTensor({1, 5, 1}, 2, -1.1, 1.1)}},
      {"volumes",
       {},
       {exampleTensor({1, 2, 3, 2, 4}, 1), exampleTensor({1, 2, 2, 2, 3}, 2, -1.2, 1.2)}},
  };
}

}  // namespace

OpDefinition defineGridSample() {
  OpDefinition op;
  op.name = "GridSample";
  op.first_opset = 16;
  op.min_inputs = op.max_inputs = 2;
  op.make_attributes = &makeAttributes<GridSampleAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kComputes;
  op.upgrade = upgrade;
  op.downgrade = downgrade;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
