// ONNX Runtime, in a process of its own: the scripts of tests/onnxruntime.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "qat/base/tensor.h"

namespace simaqat::onnx_runtime {

// What it takes to run it and is not here, or "".
std::string missing();

struct Options {
  bool optimize = true;        // integer kernels; else float QDQ arithmetic
  int64_t batch = 0;           // samples at a time; 0: all at once
  std::string save_optimized;  // where the optimized graph goes, "" for nowhere
};

// The model's outputs by name. Throws with ONNX Runtime's own words where it fails.
std::map<std::string, Tensor> run(const std::string& model, const std::string& input_name,
                                  const Tensor& input, const Options& options);

// Copies the model, with what its quantizers leave as further outputs: the codes behind a
// QuantizeLinear, the values behind a FakeQuantize.
void exposeCodes(const std::string& model, const std::string& output);

// Of an optimized graph: each node's kind, as integer_nodes.py tells it, by the node's name, and by
// its outputs' names.
struct NodeKinds {
  std::map<std::string, std::string> by_name;
  std::map<std::string, std::string> by_output;
};
NodeKinds nodeKinds(const std::string& optimized);

// Of an optimized graph: the convolutions and matrix products that are not on an integer kernel,
// one a line; "" for none.
std::string floatProducts(const std::string& optimized);

}  // namespace simaqat::onnx_runtime
