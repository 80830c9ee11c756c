// Bias correction (Nagel 2019, "Data-Free Quantization", by measurement).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "qat/base/thread_pool.h"
#include "qat/data/batch_loader.h"
#include "qat/exec/executor.h"
#include "qat/ir/graph.h"

namespace simaqat {

// Gives each layer whose bias something else reads, too, a copy of its own: what is taken out of
// one layer's bias is not the other's. Comes before a loss is joined.
void separateBiases(Graph& model);

// Of a scaffolded model whose ranges are set: layer by layer, what quantization adds to the mean of
// each output channel, with the layers in front corrected already, is taken out of the layer's
// bias, or put into the running mean of the BatchNormalization behind it. Layers with neither, or
// whose running mean several use, stay. Each is measured on so many batches, which `batches` starts
// anew. Returns how many layers were corrected.
int correctBiases(Graph& model, int64_t count,
                  const std::function<std::unique_ptr<BatchLoader>()>& batches,
                  const std::map<std::string, std::vector<int64_t>>& sample_dims, ThreadPool& pool,
                  Execution execution = Execution::kFast);

}  // namespace simaqat
