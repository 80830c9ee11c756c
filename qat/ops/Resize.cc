#include "qat/ops/shared/resize.h"

#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  const auto& attributes = c.node.attributes<ResizeAttributes>();
  checkResizeModes(c.node, attributes);
  c.setOutput(0, c.input(0).element, inferResize(c, attributes));
}

// One axis of x [outer, in, inner] through its matrix.
template <class T>
void resizeAxis(const ResizeMatrices::Matrix& matrix, const ResizeAxis& axis, int64_t outer,
                int64_t inner, const T* x, T* y, ThreadPool& pool) {
  pool.runRanges(outer * axis.out, kElementwiseGrain / (inner * matrix.taps + 1) + 1,
                 [&](int64_t begin, int64_t end) {
                   for (int64_t row = begin; row < end; ++row) {
                     const T* from = x + row / axis.out * axis.in * inner;
                     const int64_t* index = matrix.index + row % axis.out * matrix.taps;
                     const double* weight = matrix.weight + row % axis.out * matrix.taps;
                     T* to = y + row * inner;
                     std::copy(from + *index * inner, from + (*index + 1) * inner, to);
                     if constexpr (std::is_floating_point_v<T>) {
                       for (int64_t i = 0; i < inner; ++i) to[i] *= static_cast<T>(weight[0]);
                       for (int64_t t = 1; t < matrix.taps; ++t) {
                         const T* tap = from + index[t] * inner;
                         const T factor = static_cast<T>(weight[t]);
                         for (int64_t i = 0; i < inner; ++i) to[i] += factor * tap[i];
                       }
                     }
                   }
                 });
}

// Elements outside on any axis.
template <class T>
void extrapolate(const ResizeMatrices& matrices, Span<const int64_t> dims, T value, T* y) {
  for (size_t i = 0; i < dims.size(); ++i) {
    const int64_t outer = product(dims, 0, i);
    const int64_t inner = product(dims, i + 1, dims.size());
    for (int64_t j = 0; j < dims[i]; ++j) {
      if (!matrices.outside(i, j)) continue;
      for (int64_t k = 0; k < outer; ++k) {
        std::fill_n(y + (k * dims[i] + j) * inner, inner, value);
      }
    }
  }
}

template <class T>
void resize(const EvalContext& c, const ResizeMatrices& matrices) {
  const Span<const int64_t> in = c.in(kResizeX).dims;
  const Span<const int64_t> out = c.out().dims;
  T* buffers = reinterpret_cast<T*>(c.workspace + matrices.matrixBytes());
  size_t last = matrices.rank();
  for (size_t i = 0; i < matrices.rank(); ++i) {
    if (matrices.axis(i).changes()) last = i;
  }
  if (last == matrices.rank()) return copyBytes(c);
  const T* from = c.in(kResizeX).data<T>();
  for (size_t i = 0; i <= last; ++i) {
    if (!matrices.axis(i).changes()) continue;
    T* to = i == last ? c.out().data<T>()
                      : buffers + (from == buffers ? matrices.largestIntermediate() : 0);
    resizeAxis(matrices.fill(i, c.workspace), matrices.axis(i), product(out, 0, i),
               product(in, i + 1, in.size()), from, to, c.pool);
    from = to;
  }
  extrapolate(matrices, out,
              static_cast<T>(c.node.attributes<ResizeAttributes>().extrapolation_value),
              c.out().data<T>());
}

TensorView inputOf(const EvalContext& c, size_t i) { return c.hasIn(i) ? c.in(i) : TensorView(); }

void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<ResizeAttributes>();
  const ResizeMatrices matrices(c.node, attributes, c.in(kResizeX).dims, inputOf(c, kResizeRoi),
                                inputOf(c, kResizeScales), inputOf(c, kResizeSizes));
  if (c.out().size == 0) return;
  if (attributes.mode == "nearest") {
    visitElementType(c.out().type, [&](auto tag) { resize<decltype(tag)>(c, matrices); });
  } else {
    visitFloat(c, c.out().type, [&](auto tag) { resize<decltype(tag)>(c, matrices); });
  }
}

int64_t workspace(const Node& node, int) {
  return resizeWorkspace(node, node.attributes<ResizeAttributes>(), node.input(0)->type.dims());
}

void gradient(GradientContext& c) {
  if (!c.wants(kResizeX)) return;
  ResizeGradientAttributes attributes;
  static_cast<ResizeAttributes&>(attributes) = c.node.attributes<ResizeAttributes>();
  attributes.shape = c.input(kResizeX)->type.dims();
  std::vector<Value*> inputs = c.node.inputs();
  inputs[kResizeX] = c.outputGradient();
  c.setInputGradient(kResizeX, c.add("simaqat::ResizeGradient", inputs, attributes));
}

// Opset 10 had scales alone, and one way to count coordinates; until 12 roi and scales may be empty
// tensors for nothing.
void upgrade(PortableNode& node, int opset) {
  if (opset == 10) {
    node.inputs.insert(node.inputs.begin() + kResizeRoi, "");
    node.attributes["coordinate_transformation_mode"] = std::string("asymmetric");
    node.attributes["nearest_mode"] = std::string("floor");
  }
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    const Tensor* given = node.inputs[i].empty() ? nullptr : node.constant(node.inputs[i]);
    if (given != nullptr && given->size() == 0) node.inputs[i].clear();
  }
}

void downgrade(PortableNode& node, int opset) {
  const auto is = [&](const char* name, const char* value) {
    const auto it = node.attributes.find(name);
    return it != node.attributes.end() && attributesEqual(it->second, std::string(value));
  };
  const auto needs = [&](const std::string& what, int needed) {
    if (opset < needed) node.fail(fmt::format("{} needs opset {}", what, needed));
  };
  if (is("coordinate_transformation_mode", "half_pixel_symmetric"))
    needs("half_pixel_symmetric", 19);
  for (const char* name : {"antialias", "axes", "keep_aspect_ratio_policy"}) {
    if (node.attributes.count(name) != 0) needs(fmt::format("attribute '{}'", name), 18);
  }
  needs("Resize with these coordinates", 11);
  if (opset >= 13) {
    if (is("coordinate_transformation_mode", "tf_half_pixel_for_nn")) {
      node.fail("tf_half_pixel_for_nn is in opsets 11 and 12 alone");
    }
    return;
  }
  node.inputs.resize(std::max<size_t>(node.inputs.size(), 3));
  for (const size_t i : {size_t{kResizeRoi}, size_t{kResizeScales}}) {
    if (!node.inputs[i].empty()) continue;
    node.inputs[i] =
        node.add_constant(i == kResizeRoi ? "roi" : "scales", Tensor(ElementType::kFloat, {0}));
  }
}

class Examples {
 public:
  std::vector<OpExample> all() {
    scaled("nearest", {}, {1, 1, 2, 1.5f});
    scaled("nearest, smaller", {{"nearest_mode", std::string("ceil")}}, {1, 1, 0.6f, 1});
    scaled("linear", mode("linear"), {1, 1, 2, 1.7f});
    scaled("linear, aligned", mode("linear", "align_corners"), {1, 1, 1.6f, 2});
    scaled("linear, asymmetric", mode("linear", "asymmetric"), {1, 2, 0.5f, 3});
    scaled("cubic", mode("cubic"), {1, 1, 1.4f, 0.8f});
    AttributeMap excluded = mode("cubic", "pytorch_half_pixel");
    excluded["exclude_outside"] = int64_t{1};
    excluded["cubic_coeff_a"] = -0.5f;
    scaled("cubic, inside", excluded, {1, 1, 2, 2});
    AttributeMap smooth = mode("linear");
    smooth["antialias"] = int64_t{1};
    scaled("linear, antialiased", smooth, {1, 1, 0.5f, 0.4f});
    smooth["mode"] = std::string("cubic");
    scaled("cubic, antialiased", smooth, {1, 1, 0.7f, 1.5f});
    AttributeMap axes = mode("linear", "half_pixel_symmetric");
    axes["axes"] = std::vector<int64_t>{-1, 2};
    sized("axes", axes, {7, 3});
    axes["keep_aspect_ratio_policy"] = std::string("not_larger");
    sized("aspect ratio kept", axes, {7, 9});
    crop();
    list_.emplace_back("nothing changes", mode("linear"),
                       std::vector<Tensor>{image(), Tensor(), numbers({1, 1, 1, 1})});
    list_.emplace_back("integers", AttributeMap{},
                       std::vector<Tensor>{exampleIntegers({3}, 0, 99), Tensor(), numbers({2})});
    for (OpExample& example : list_) example.differentiate = {kResizeX};
    return std::move(list_);
  }

 private:
  static Tensor image() { return exampleTensor({2, 2, 4, 5}); }
  static Tensor numbers(const std::vector<float>& list) {
    return Tensor::of<float>({static_cast<int64_t>(list.size())}, list);
  }
  static AttributeMap mode(const char* name, const char* coordinates = "half_pixel") {
    AttributeMap map = {{"mode", std::string(name)}};
    if (coordinates != std::string("half_pixel")) {
      map["coordinate_transformation_mode"] = std::string(coordinates);
    }
    return map;
  }
  void scaled(const char* name, const AttributeMap& attributes, const std::vector<float>& scales) {
    list_.emplace_back(name, attributes, std::vector<Tensor>{image(), Tensor(), numbers(scales)});
  }
  void sized(const char* name, const AttributeMap& attributes, const std::vector<int64_t>& sizes) {
    const auto count = static_cast<int64_t>(sizes.size());
    list_.emplace_back(
        name, attributes,
        std::vector<Tensor>{image(), Tensor(), Tensor(), Tensor::of<int64_t>({count}, sizes)});
  }
  void crop() {
    AttributeMap attributes = mode("linear", "tf_crop_and_resize");
    attributes["extrapolation_value"] = 0.5f;
    list_.emplace_back("crop", attributes,
                       std::vector<Tensor>{image(), numbers({0, 0, 0.4f, 0.6f, 1, 1, 1.2f, 0.9f}),
                                           Tensor(), Tensor::of<int64_t>({4}, {2, 2, 3, 4})});
  }

  std::vector<OpExample> list_;
};

std::vector<OpExample> examples() { return Examples().all(); }

}  // namespace

OpDefinition defineResize() {
  OpDefinition op;
  op.name = "Resize";
  op.first_opset = 10;
  op.min_inputs = 1;
  op.max_inputs = 4;
  op.make_attributes = &makeAttributes<ResizeAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.workspace = workspace;
  op.gradient = gradient;
  op.setting_inputs = {1, 2, 3};
  op.quantization.output = OutputQuantization::kShares;
  op.quantization.shares = [](const Node& node) {
    return node.attributes<ResizeAttributes>().mode == "nearest";
  };
  op.upgrade = upgrade;
  op.downgrade = downgrade;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
