#include "qat/ops/shared/grid_sample.h"

namespace simaqat::ops {
namespace {

// (dx, dgrid) of GridSample, from inputs (dy, x, grid).

void infer(InferContext& c) {
  c.setOutput(0, c.input(1).element, c.input(1).shape);
  c.setOutput(1, c.input(2).element, c.input(2).shape);
}

template <class T>
void run(const EvalContext& c) {
  const TensorView& data = c.in(1);
  const GridSampler sampler(c.node.attributes<GridSampleAttributes>(), data.dims);
  const int64_t batch = data.dims[0];
  const int64_t channels = data.dims[1];
  const int64_t plane = sampler.planeSize();
  const auto rank = static_cast<int64_t>(sampler.rank());
  const int64_t places = batch == 0 ? 0 : c.in(2).size / rank / batch;
  // A sample's places may share elements of x, so that a tile is a sample.
  c.pool.run(batch, [&](int64_t n, int) {
    const T* x = data.data<T>() + n * channels * plane;
    T* dx = c.out(0).data<T>() + n * channels * plane;
    std::fill(dx, dx + channels * plane, T{0});
    SampleAxes axes;
    for (int64_t place = 0; place < places; ++place) {
      const int64_t at = (n * places + place) * rank;
      const T* dy = c.in(0).data<T>() + n * channels * places + place;
      sampler.place(c.in(2).data<T>() + at, axes);
      std::array<double, 3> slopes{};
      sampler.forEachElement(axes, [&](int64_t offset, const SampleTaps& taps) {
        const T weight = static_cast<T>(sampleWeight(axes, taps));
        double along = 0;
        for (int64_t channel = 0; channel < channels; ++channel) {
          dx[channel * plane + offset] += weight * dy[channel * places];
          along += static_cast<double>(dy[channel * places]) *
                   static_cast<double>(x[channel * plane + offset]);
        }
        for (size_t axis = 0; axis < 3; ++axis) {
          slopes[axis] += along * axes[axis].slope[taps[axis]] * sampleWeight(axes, taps, axis);
        }
      });
      for (int64_t i = 0; i < rank; ++i) {
        c.out(1).data<T>()[at + i] = static_cast<T>(slopes[static_cast<size_t>(2 - i)]);
      }
    }
  });
}

void evaluate(const EvalContext& c) {
  visitFloat(c, c.out().type, [&](auto tag) { run<decltype(tag)>(c); });
}

}  // namespace

OpDefinition defineGridSampleGradient() {
  OpDefinition op;
  op.name = "GridSampleGradient";
  op.domain = "simaqat";
  op.min_inputs = op.max_inputs = 3;
  op.min_outputs = op.max_outputs = 2;
  op.make_attributes = &makeAttributes<GridSampleAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
