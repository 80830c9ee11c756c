#include "qat/train/predict.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "qat/base/text.h"
#include "qat/data/array_writer.h"
#include "qat/data/batch_loader.h"
#include "qat/data/dataset.h"
#include "qat/passes/open_batch.h"
#include "qat/train/evaluate.h"
#include "qat/train/step_graph.h"

namespace simaqat {
namespace {

// Of values that nodes make, and of stored ones.
std::vector<std::string> valueNames(const Graph& graph) {
  std::vector<std::string> names;
  for (const auto& value : graph.values()) names.push_back(value->name());
  return names;
}

// The model with the values as its outputs. A graph of its own: an inner value that has to be there
// changes what is fused, and the outputs are to be those of eval, bit for bit.
Graph withOutputs(const Graph& model, const std::vector<std::string>& values) {
  Graph graph = model.clone();
  graph.outputs.clear();
  for (const std::string& name : values) {
    Value* value = graph.findValue(name);
    if (value == nullptr) {
      throw inputError("--values {}: the model has no value of that name; near are {}", name,
                       joined(nearestNames(name, valueNames(graph), 5)));
    }
    graph.outputs.push_back({name, value});
  }
  return graph;
}

class Predictor {
 public:
  Predictor(const Graph& model, const Manifest& manifest, const PredictOptions& options,
            ThreadPool& pool)
      : options_(options), pool_(pool) {
    graphs_.push_back(model.clone());
    if (!options.values.empty()) graphs_.push_back(withOutputs(model, options.values));
    const int64_t fixed = fixedBatch(model);
    is_fixed_ = fixed > 0 && (options.batch_size == 0 || options.batch_size == fixed);
    batch_ = is_fixed_ ? fixed : options.batch_size > 0 ? options.batch_size : kDefaultBatch;
    data_ = Dataset::open(manifest, options.split, fieldSpecs(model.inputs));
    for (size_t i = 0; i < data_->fieldCount(); ++i) {
      sample_dims_[data_->fieldName(i)] = data_->sampleDims(i);
    }
  }

  int64_t run() {
    LoaderOptions loader_options;
    loader_options.batch_size = batch_;
    BatchLoader loader(data_, loader_options);
    while (const Batch* batch = loader.next()) {
      if (!is_fixed_ && batch->samples < batch_) rows_ = 0;  // the last batch has a plan of its own
      predict(*batch);
    }
    writer_->finish();
    return data_->size();
  }

 private:
  void predict(const Batch& batch) {
    const int64_t rows = is_fixed_ ? batch_ : batch.samples;
    if (rows != rows_) plan(rows);
    std::vector<Tensor> held;
    for (const Tensor& field : batch.fields) held.push_back(filledUp(field, rows));
    for (const auto& executor : executors_) {
      for (size_t i = 0; i < held.size(); ++i) executor->setInput(i, held[i]);
      executor->compute(0);
    }
    if (writer_ == nullptr) open();
    size_t array = 0;
    for (const auto& executor : executors_) {
      for (size_t k = 0; k < executor->graph().outputs.size(); ++k, ++array) {
        const TensorView& view = executor->output(k);
        if (dependsOnData(*executor, k)) {
          const size_t bytes = view.byteCount() / static_cast<size_t>(rows);
          writer_->append(array, view.bytes, bytes * static_cast<size_t>(batch.samples));
        } else if (batch.index == 0) {
          writer_->append(array, view.bytes, view.byteCount());
        }
      }
    }
  }

  void plan(int64_t rows) {
    executors_.clear();
    for (const Graph& graph : graphs_) {
      executors_.push_back(std::make_unique<Executor>(
          buildInference(graph.clone(), Mode::kEvaluate, rows, sample_dims_, options_.execution),
          pool_, options_.execution));
    }
    rows_ = rows;
  }

  // What is left of a value that does not is a constant or a variable.
  static bool dependsOnData(const Executor& executor, size_t output) {
    const Value* value = executor.graph().outputs[output].value;
    return !value->isConstant() && value->variable == nullptr;
  }

  void open() {
    std::vector<ArrayHeader> headers;
    for (const auto& executor : executors_) {
      for (size_t k = 0; k < executor->graph().outputs.size(); ++k) {
        ArrayHeader header{executor->graph().outputs[k].name, executor->output(k).type,
                           executor->output(k).dims.toVector()};
        if (dependsOnData(*executor, k)) {
          if (header.dims.empty() || header.dims[0] % rows_ != 0) {
            throw inputError("'{}' has no rows for the samples: for {} it is {}", header.name,
                             rows_, dimsToString(header.dims));
          }
          header.dims[0] = header.dims[0] / rows_ * data_->size();
        }
        headers.push_back(std::move(header));
      }
    }
    for (size_t i = 0; i < headers.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        if (headers[i].name != headers[j].name) continue;
        throw usageError("--values {}: is among what is written already", headers[i].name);
      }
    }
    writer_ = openArrayWriter(options_.output, headers);
  }

  static constexpr int64_t kDefaultBatch = 64;
  const PredictOptions& options_;
  ThreadPool& pool_;
  std::vector<Graph> graphs_;  // that of the outputs, and that of the values
  bool is_fixed_ = false;
  int64_t batch_ = 0;
  std::shared_ptr<const Dataset> data_;
  std::map<std::string, std::vector<int64_t>> sample_dims_;
  int64_t rows_ = 0;  // that the executors take
  std::vector<std::unique_ptr<Executor>> executors_;
  std::unique_ptr<ArrayWriter> writer_;
};

}  // namespace

int64_t predict(const Graph& model, const Manifest& manifest, const PredictOptions& options,
                ThreadPool& pool) {
  return Predictor(model, manifest, options, pool).run();
}

}  // namespace simaqat
