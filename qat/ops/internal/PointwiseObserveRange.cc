#include "kernels/isa.h"
#include "qat/ops/shared/observe_range.h"
#include "qat/ops/shared/pointwise.h"

namespace simaqat::ops {
namespace {

// ObserveRange of a program's result. Inputs: range_min, range_max, the operands.
constexpr size_t kOperands = 2;

void infer(InferContext& c) {
  for (size_t i = 0; i < 2; ++i) c.setOutput(i, c.input(i).element, c.input(i).shape);
}

// Each thread keeps the range of what it has seen: minima may be taken in any order.
struct SeenRange {
  float lo = std::numeric_limits<float>::infinity();
  float hi = -std::numeric_limits<float>::infinity();
};

struct Memory {
  Memory(const Node& node, int threads, std::byte* begin)
      : workspace(begin),
        program(pointwiseMemory(node, threads, workspace)),
        seen(workspace.takeForThreads<SeenRange>(threads, 1)) {}

  kernels::Workspace workspace;
  kernels::ThreadArrays<float> program;  // PointwiseRun's
  kernels::ThreadArrays<SeenRange> seen;
};

void evaluate(const EvalContext& c) {
  const int threads = c.pool.threads();
  const auto seen = Memory(c.node, threads, c.workspace).seen;
  for (int worker = 0; worker < threads; ++worker) *seen.of(worker) = SeenRange{};
  const int64_t size = programOf(c.node).size();
  c.pool.run((size + kPointwiseGrain - 1) / kPointwiseGrain, [&](int64_t piece, int worker) {
    PointwiseRun run(c, kOperands, worker);
    SeenRange range = *seen.of(worker);
    const int64_t begin = piece * kPointwiseGrain;
    run.run(begin, std::min(size, begin + kPointwiseGrain), nullptr,
            [&](int64_t, const float* x, int64_t n) {
              float lo, hi;
              kernels::kernels().minMax(x, n, &lo, &hi);
              widenRange(lo, hi, range.lo, range.hi);
            });
    *seen.of(worker) = range;
  });
  SeenRange all;
  for (int worker = 0; worker < threads; ++worker) {
    widenRange(seen.of(worker)->lo, seen.of(worker)->hi, all.lo, all.hi);
  }
  observe(baseAttributes<QuantizerSpec>(c.node), all.lo, all.hi, *c.in(0).data<float>(),
          *c.in(1).data<float>(), *c.out(0).data<float>(), *c.out(1).data<float>());
}

int64_t workspace(const Node& node, int threads) {
  return static_cast<int64_t>(Memory(node, threads, nullptr).workspace.used());
}

}  // namespace

OpDefinition definePointwiseObserveRange() {
  OpDefinition op;
  op.name = "PointwiseObserveRange";
  op.domain = "simaqat";
  op.min_inputs = kOperands + 1;
  op.max_inputs = kOperands + kMaxPointwiseInputs;
  op.min_outputs = op.max_outputs = 2;
  op.make_attributes = &makeAttributes<PointwiseAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.workspace = workspace;
  op.gradient_is_error = true;
  return op;
}

}  // namespace simaqat::ops
