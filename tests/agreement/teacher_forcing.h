// Evaluates every stretch of a quantized graph between quantizers by itself, on codes given from
// outside, so that a difference in one stretch does not count in those behind it.
#pragma once

#include <map>
#include <string>

#include "qat/base/thread_pool.h"
#include "qat/ir/graph.h"
#include "qat/ir/op.h"

namespace simaqat {

// Tensors by the name of the value.
using NamedTensors = std::map<std::string, Tensor>;

// A QDQ graph: what each QuantizeLinear makes when each DequantizeLinear behind one takes its codes
// from `codes`, which has all of them.
NamedTensors codesGiven(const Graph& qdq, const Tensor& pixels, const NamedTensors& codes,
                        ThreadPool& pool);

// A scaffolded graph in a mode, its observers frozen: what each activation's FakeQuantize makes when
// its consumers take its result from `values`, which has all of them. Finalize gives that name to
// the DequantizeLinear's result.
NamedTensors valuesGiven(const Graph& scaffolded, Mode mode, const Tensor& pixels,
                         const NamedTensors& values, ThreadPool& pool);

// Of each DequantizeLinear whose codes are among `codes`: its step, and the numbers they stand for.
struct Dequantized {
  float scale = 1;
  Tensor values;
};
std::map<std::string, Dequantized> dequantize(const Graph& qdq, const NamedTensors& codes);

}  // namespace simaqat
