#include "qat/train/evaluate.h"

#include <algorithm>
#include <cstring>

#include "qat/base/text.h"
#include "qat/data/batch_loader.h"
#include "qat/exec/executor.h"
#include "qat/passes/simplify.h"
#include "qat/train/index_ranges.h"
#include "qat/train/metrics.h"
#include "qat/train/step_graph.h"

namespace simaqat {
namespace {

constexpr int64_t kDefaultBatch = 64;

bool isIntegerClass(const Dataset& data, size_t field) {
  return data.sampleDims(field).empty() && data.fieldType(field) == ElementType::kInt64;
}

// The first `samples` rows.
Tensor firstRows(const Tensor& tensor, int64_t samples) {
  std::vector<int64_t> dims = tensor.dims();
  if (dims.empty() || dims[0] == samples) return tensor;
  dims[0] = samples;
  Tensor rows(tensor.type(), dims);
  std::memcpy(rows.mutableRawData(), tensor.rawData(), rows.bytes());
  return rows;
}

void addClasses(const Tensor& logits, std::vector<int64_t>& classes) {
  const int64_t count = logits.dims()[1];
  for (int64_t n = 0; n < logits.dims()[0]; ++n) {
    const float* row = logits.data<float>() + n * count;
    classes.push_back(std::max_element(row, row + count) - row);
  }
}

}  // namespace

std::vector<FieldSpec> fieldSpecs(const std::vector<Value*>& inputs) {
  std::vector<FieldSpec> specs;
  for (const Value* input : inputs) {
    FieldSpec spec;
    spec.name = input->name();
    spec.type = input->type.element;
    spec.ranked = input->type.shape.has_value() && !input->type.shape->empty();
    if (spec.ranked) {
      for (size_t k = 1; k < input->type.shape->size(); ++k) {
        spec.dims.push_back((*input->type.shape)[k].value);
      }
    }
    specs.push_back(std::move(spec));
  }
  return specs;
}

std::vector<std::string> fieldNames(const Manifest& manifest, const std::string& split) {
  const auto found = manifest.splits.find(split);
  if (found == manifest.splits.end()) {
    std::vector<std::string> all;
    for (const auto& [name, unused] : manifest.splits) all.push_back(name);
    throw inputError("{}: has no split '{}' (it has {})", manifest.path, split, joined(all));
  }
  std::vector<std::string> names;
  for (const auto& [name, unused] : found->second.fields) names.push_back(name);
  return names;
}

Tensor filledUp(const Tensor& tensor, int64_t batch) {
  std::vector<int64_t> dims = tensor.dims();
  if (dims[0] == batch) return tensor;
  const size_t row = tensor.bytes() / static_cast<size_t>(dims[0]);
  dims[0] = batch;
  Tensor full(tensor.type(), dims);
  std::byte* to = full.mutableRawData();
  std::memcpy(to, tensor.rawData(), tensor.bytes());
  for (size_t at = tensor.bytes(); at < full.bytes(); at += row) {
    std::memcpy(to + at, tensor.rawData() + tensor.bytes() - row, row);
  }
  return full;
}

struct Evaluator::Impl {
  explicit Impl(ThreadPool& p) : pool(p) {}

  ThreadPool& pool;
  EvalOptions options;
  bool batch_is_fixed = false;
  std::shared_ptr<const Dataset> data;
  std::map<std::string, size_t> field_index;
  std::map<std::string, std::vector<int64_t>> sample_dims;
  const Loss* loss = nullptr;
  std::vector<std::string> loss_names;
  bool loss_is_fixed = false;
  std::map<std::string, LossSource> sources;
  std::optional<size_t> labels;  // the field of classes, where top1 is given
  // One plan for each batch size; the loss' are kept, the model's change with its variables.
  std::map<int64_t, std::unique_ptr<Executor>> loss_executors;

  void requireIndices(const Graph& model) const;

  Executor& lossExecutor(int64_t samples, const Executor& model) {
    std::unique_ptr<Executor>& executor = loss_executors[samples];
    if (executor == nullptr) {
      std::map<std::string, std::vector<int64_t>> dims;
      for (const auto& [input, source] : sources) {
        if (source.kind == LossSource::Kind::kOutput) {
          for (size_t k = 0; k < model.graph().outputs.size(); ++k) {
            if (model.graph().outputs[k].name != source.name) continue;
            const auto& all = model.output(k).dims;
            if (all.size() > 0) dims[input] = {all.begin() + 1, all.end()};
          }
        } else {
          dims[input] = data->sampleDims(field_index.at(source.name));
        }
      }
      executor = std::make_unique<Executor>(
          buildInference(loss->graph.clone(), Mode::kEvaluate, samples, dims, options.execution),
          pool, options.execution);
    }
    return *executor;
  }

  void addLosses(const Executor& model, const Batch& batch, EvalResult& result) {
    Executor& executor = lossExecutor(batch.samples, model);
    std::vector<Tensor> held;
    for (const auto& [input, source] : sources) {
      if (source.kind == LossSource::Kind::kOutput) {
        for (size_t k = 0; k < model.graph().outputs.size(); ++k) {
          if (model.graph().outputs[k].name == source.name) {
            held.push_back(firstRows(model.outputTensor(k), batch.samples));
          }
        }
      } else {
        held.push_back(batch.fields[field_index.at(source.name)]);
      }
      executor.setInput(executor.inputIndex(input), held.back());
    }
    executor.compute(0);
    const auto& outputs = executor.graph().outputs;
    result.losses.resize(outputs.size());
    for (size_t k = 0; k < outputs.size(); ++k) {
      result.losses[k].first = loss_names[k];
      result.losses[k].second +=
          static_cast<double>(executor.scalarOutput(k)) * static_cast<double>(batch.samples);
    }
  }
};

// What the loss and the model take, and the classes that top1 compares.
void Evaluator::Impl::requireIndices(const Graph& model) const {
  auto ranges = loss == nullptr ? indexRanges(model, options.batch_size, sample_dims)
                                : indexRanges(joinLoss(model, loss->graph, sources),
                                              options.batch_size, sample_dims);
  if (labels) {
    std::vector<IndexRange>& of_labels = ranges[data->fieldName(*labels)];
    const Dim& classes = (*model.outputs.front().value->type.shape)[1];
    if (of_labels.empty() && classes.known()) {
      of_labels.push_back({0, classes.value - 1, std::nullopt, true, "top1"});
    }
  }
  simaqat::requireIndices(ranges, *data);
}

Evaluator::Evaluator(const Graph& model, const Loss* loss, const std::vector<std::string>& binds,
                     const Manifest& manifest, const EvalOptions& options, ThreadPool& pool)
    : impl_(std::make_unique<Impl>(pool)) {
  Impl& self = *impl_;
  self.options = options;
  self.loss = loss;
  // Another batch than the model's own opens it (bindInputs).
  const int64_t own = fixedBatch(model);
  self.batch_is_fixed = own > 0 && (options.batch_size == 0 || options.batch_size == own);
  self.loss_is_fixed = loss != nullptr && fixedBatch(loss->graph) > 0;
  const int64_t fixed = self.batch_is_fixed  ? own
                        : self.loss_is_fixed ? fixedBatch(loss->graph)
                                             : 0;
  if (fixed > 0 && options.batch_size > 0 && options.batch_size != fixed) {
    throw inputError("the loss fixes the batch to {}, and --batch-size is {}", fixed,
                     options.batch_size);
  }
  self.options.batch_size = fixed > 0                ? fixed
                            : options.batch_size > 0 ? options.batch_size
                                                     : kDefaultBatch;
  const std::vector<std::string> fields = fieldNames(manifest, options.split);

  std::vector<FieldSpec> wanted = fieldSpecs(model.inputs);
  if (loss != nullptr) {
    self.loss_names = lossNames(loss->graph);
    self.sources = bindLoss(loss->graph, model, fields, binds);
    for (const Value* input : loss->graph.inputs) {
      const LossSource& source = self.sources.at(input->name());
      if (source.kind != LossSource::Kind::kField) continue;
      FieldSpec spec = fieldSpecs({const_cast<Value*>(input)})[0];
      spec.name = source.name;
      wanted.push_back(std::move(spec));
    }
  } else if (options.top1) {
    // Without a loss the classes are the only other field there is.
    std::vector<std::string> others;
    for (const std::string& field : fields) {
      const bool is_input = std::any_of(model.inputs.begin(), model.inputs.end(),
                                        [&](const Value* v) { return v->name() == field; });
      if (!is_input) others.push_back(field);
    }
    if (others.size() == 1) wanted.push_back({others[0], ElementType::kInt64, {}, true});
  }
  self.data = Dataset::open(manifest, options.split, wanted);
  if (self.loss_is_fixed && self.data->size() < self.options.batch_size) {
    throw inputError("{}: split '{}' has {} samples, less than the batch of {} that the loss fixes",
                     manifest.path, options.split, self.data->size(), self.options.batch_size);
  }
  const TensorType& first = model.outputs.front().value->type;
  const bool classifies = first.element == ElementType::kFloat && first.shape && first.rank() == 2;
  for (size_t i = 0; i < self.data->fieldCount(); ++i) {
    self.field_index[self.data->fieldName(i)] = i;
    self.sample_dims[self.data->fieldName(i)] = self.data->sampleDims(i);
    const bool is_class = i >= model.inputs.size() && isIntegerClass(*self.data, i);
    if (classifies && is_class && options.top1) self.labels = i;
  }
  self.requireIndices(model);
}

Evaluator::~Evaluator() = default;

const Dataset& Evaluator::data() const { return *impl_->data; }

std::vector<std::string> Evaluator::metricNames() const {
  std::vector<std::string> names;
  if (impl_->loss != nullptr) {
    names = impl_->loss_names;
  }
  if (impl_->labels) names.push_back("top1");
  return names;
}

EvalResult Evaluator::run(const Graph& model) {
  Impl& self = *impl_;
  EvalResult result;
  result.split = self.options.split;
  std::map<int64_t, std::unique_ptr<Executor>> executors;
  LoaderOptions loader_options;
  loader_options.batch_size = self.options.batch_size;
  loader_options.shuffle = self.options.samples > 0;
  BatchLoader loader(self.data, loader_options);
  int64_t right = 0;
  int64_t in_loss = 0;
  while (const Batch* batch = loader.next()) {
    if (self.options.samples > 0 && result.samples >= self.options.samples) break;
    const int64_t rows = self.batch_is_fixed ? self.options.batch_size : batch->samples;
    std::unique_ptr<Executor>& executor = executors[rows];
    if (executor == nullptr) {
      executor =
          std::make_unique<Executor>(buildInference(model.clone(), Mode::kEvaluate, rows,
                                                    self.sample_dims, self.options.execution),
                                     self.pool, self.options.execution);
    }
    std::vector<Tensor> held;
    for (size_t i = 0; i < model.inputs.size(); ++i) {
      held.push_back(filledUp(batch->fields[i], rows));
      executor->setInput(i, held.back());
    }
    executor->compute(0);
    result.samples += batch->samples;
    // A loss whose file fixes the batch cannot be asked about a part of one.
    const bool whole = batch->samples == self.options.batch_size;
    if (self.loss != nullptr && (whole || !self.loss_is_fixed)) {
      self.addLosses(*executor, *batch, result);
      in_loss += batch->samples;
    }
    if (self.labels) {
      const int64_t* labels = batch->fields[*self.labels].data<int64_t>();
      const size_t before = result.classes.size();
      addClasses(firstRows(executor->outputTensor(0), batch->samples), result.classes);
      for (size_t i = before; i < result.classes.size(); ++i) {
        right += result.classes[i] == labels[i - before] ? 1 : 0;
      }
    }
  }
  if (self.labels) {
    result.top1 = static_cast<double>(right) / static_cast<double>(result.samples);
  }
  for (auto& [name, sum] : result.losses) sum /= static_cast<double>(in_loss);
  return result;
}

}  // namespace simaqat
