// Whether a source model is fit for training: it runs once, forward and backward, on a batch.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "qat/base/tensor.h"
#include "qat/base/thread_pool.h"
#include "qat/train/model.h"

namespace simaqat {

struct CheckFinding {
  bool fails;           // training or a later command would fail; else worth a look
  std::string subject;  // the node, initializer or value
  std::string text;
};

// The smallest and the largest element of a value in the batch.
struct ValueRange {
  std::string value;
  std::string op_type;
  double lowest, highest;
};

struct CheckReport {
  std::vector<CheckFinding> findings;
  std::vector<ValueRange> ranges;  // of every float value that a node makes, in graph order

  bool fails() const;
};

struct CheckBatch {
  int64_t samples = 2;
  // By input of the model: dimensions of one sample, and the batch itself; an input that is not in
  // `values` is noise (floats standard normal, integers 0).
  std::map<std::string, std::vector<int64_t>> sample_dims;
  std::map<std::string, Tensor> values;
};

// Findings: initializers, statistics and values that are not finite; parameters that no gradient
// reaches, or only zeros; BatchNormalization over one value a channel; batch sizes that the graph
// fixes; merged initializers; parameters that nothing but their use shows to be ones. The gradient
// is that of the sum of all float outputs, weighted by noise.
CheckReport checkModel(const Model& model, const CheckBatch& batch, ThreadPool& pool);

}  // namespace simaqat
