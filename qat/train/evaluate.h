// Evaluation of a model of any stage on a split of the data.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "qat/base/thread_pool.h"
#include "qat/data/dataset.h"
#include "qat/data/manifest.h"
#include "qat/exec/executor.h"
#include "qat/ir/graph.h"
#include "qat/passes/open_batch.h"
#include "qat/train/loss.h"

namespace simaqat {

struct EvalResult {
  std::string split;
  int64_t samples = 0;
  // Means over the samples: the loss itself, called "loss", then its further outputs by name.
  std::vector<std::pair<std::string, double>> losses;
  std::optional<double> top1;    // the share of right classes, 0 to 1
  std::vector<int64_t> classes;  // what each sample was taken for, where top1 is given
};

struct EvalOptions {
  std::string split;
  int64_t batch_size = 0;  // 0: the model's own where it is fixed, else 64
  bool top1 = true;        // where the data has a class for each sample
  int64_t samples = 0;     // 0: all of them; else about so many, chosen at random, always the same
  Execution execution = Execution::kFast;
};

// What of the data a graph's inputs want.
std::vector<FieldSpec> fieldSpecs(const std::vector<Value*>& inputs);
std::vector<std::string> fieldNames(const Manifest& manifest, const std::string& split);
// Rows up to `batch`, the last one repeated: it does not count, but has to be a sound sample.
Tensor filledUp(const Tensor& tensor, int64_t batch);

// Reads the split once; `run` may then be called as the model's variables change.
class Evaluator {
 public:
  // `loss` may be null. Errors name what is missing or does not fit.
  Evaluator(const Graph& model, const Loss* loss, const std::vector<std::string>& binds,
            const Manifest& manifest, const EvalOptions& options, ThreadPool& pool);
  ~Evaluator();

  const Dataset& data() const;
  // The losses' names, as EvalResult has them, and top1 where it is given.
  std::vector<std::string> metricNames() const;

  // Evaluates the model, which has the inputs and outputs of the one given at construction, with
  // the present values of its variables. The last batch may be smaller; where the model fixes its
  // batch it is filled up, and what was filled does not count.
  EvalResult run(const Graph& model);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace simaqat
