#include "qat/train/trainer.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "qat/base/file.h"
#include "qat/base/hash.h"
#include "qat/base/log.h"
#include "qat/data/batch_loader.h"
#include "qat/exec/executor.h"
#include "qat/ir/fake_quantize.h"
#include "qat/onnx/export.h"
#include "qat/onnx/opset.h"
#include "qat/passes/refresh_quantizers.h"
#include "qat/passes/stop_gradient.h"
#include "qat/train/averages.h"
#include "qat/train/best_by.h"
#include "qat/train/calibrate.h"
#include "qat/train/checkpoint.h"
#include "qat/train/correct_biases.h"
#include "qat/train/evaluate.h"
#include "qat/train/index_ranges.h"
#include "qat/train/loss.h"
#include "qat/train/metrics.h"
#include "qat/train/model.h"
#include "qat/train/parameters.h"
#include "qat/train/progress.h"
#include "qat/train/reestimate_bn.h"
#include "qat/train/step_graph.h"
#include "qat/train/teacher.h"

namespace simaqat {

std::atomic<int> interruptSignal{0};

namespace {

using VariableMap = std::map<std::string, Tensor>;

// Gives the graph's variables the values that the state has for them.
void assign(Graph& graph, const VariableMap& state) {
  for (const auto& variable : graph.variables()) {
    const auto value = state.find(variable->name);
    if (value != state.end()) variable->value = value->second;
  }
}

VariableMap stateOf(const Graph& graph) {
  VariableMap state;
  for (const auto& variable : graph.variables()) state[variable->name] = variable->value;
  return state;
}

// What each activation's codes stand for, with these values of the variables.
std::vector<std::pair<std::string, std::pair<float, float>>> activationRanges(
    Graph graph, const VariableMap& state) {
  assign(graph, state);
  refreshQuantizers(graph);
  std::vector<std::pair<std::string, std::pair<float, float>>> ranges;
  for (const auto& node : graph.nodes()) {
    if (!isFakeQuantize(*node) || isUnset(*node)) continue;
    const auto& spec = node->attributes<QuantizerSpec>();
    if (spec.is_weight) continue;
    const float scale = *node->input(kFakeQuantizeScale)->variable->value.data<float>();
    const float zero = *node->input(kFakeQuantizeZeroPoint)->variable->value.data<float>();
    ranges.push_back({node->input(kFakeQuantizeX)->name(),
                      {(static_cast<float>(spec.qmin) - zero) * scale,
                       (static_cast<float>(spec.qmax) - zero) * scale}});
  }
  return ranges;
}

class Trainer {
 public:
  explicit Trainer(const TrainOptions& options)
      : options_(options),
        pool_(options.threads > 0 ? options.threads : availableProcessors()),
        model_(loadModel(options.model, BatchNormPolicy::kAuto, options.train_patterns)),
        manifest_(loadManifest(options.manifest)),
        fields_(fieldNames(manifest_, options.split)),
        loss_(loadLoss(options.loss, model_.graph, fields_)),
        binds_(options.binds) {
    if (model_.stage == Stage::kFinalized || model_.stage == Stage::kExported) {
      throw inputError(
          "{}: is {}: its weights are integer codes and its BatchNormalization is folded, for "
          "inference only; train the file that it was finalized from",
          options.model, stageName(model_.stage));
    }
    for (const std::string& warning : model_.warnings) logWarning("{}", warning);
    const std::string assignment = warningOfAssignment(loss_.graph);
    if (!assignment.empty() && options_.stop_gradients.empty()) logWarning("{}", assignment);
    if (!options_.teacher.empty()) openTeacher();
    prepareModel();
    openData();
    if (options_.eval_every > 0) openEvaluation();
  }

  TrainResult run() {
    if (!options_.resume.empty()) resume();
    // Days of training are not lost to a path that cannot be written.
    AtomicFile{options_.output};
    if (!options_.checkpoint.empty()) AtomicFile{options_.checkpoint};
    MetricsFile metrics(options_.metrics, step_);
    // A run that was interrupted before its first step begins again, and calibrates.
    if (step_ == 0) {
      restored_.clear();
      calibrate();
      if (result_.signal == 0 && options_.correct_biases > 0) correctBiases();
    }
    if (result_.signal == 0 && total_steps_ > step_) {
      // All that can be wrong has been found, so that an error is still one line.
      sayOpenedBatch();
      if (options_.show_parameters) {
        options_.show_parameters(parameterTable(*joined_, model_.constants));
      }
      trainSteps(metrics);
    }
    if (result_.signal == 0) finish();
    result_.steps = step_;
    return result_;
  }

 private:
  void prepareModel() {
    Graph& graph = model_.graph;
    selectTrainable(graph, options_.train_patterns, options_.freeze_patterns, model_.constants);
    if (model_.stage == Stage::kSource) {
      for (const std::string& warning : warningsOfMerged(graph)) logWarning("{}", warning);
    }
    if (options_.correct_biases > 0) separateBiases(graph);
    requireMatches(graph, "--no-decay", options_.optimizer.no_decay);
    if (options_.random_init) {
      if (model_.stage != Stage::kSource) {
        throw usageError("--init random is for an FP32 training graph, and {} is {}",
                         options_.model, stageName(model_.stage));
      }
      initializeRandomly(graph, options_.seed);
    }
    for (const ParameterGroup& group : options_.optimizer.groups) {
      requireMatches(graph, "--group", {group.pattern});
    }
    // What it has to say of names comes before anything is printed.
    parameterSettings(graph, options_.optimizer);
    if (options_.reestimate_bn > 0 && !hasTrainingBatchNorm(graph)) {
      throw inputError("{}: has no BatchNormalization that trains, for --reestimate-bn",
                       options_.model);
    }
  }

  void openTeacher() {
    teacher_ = loadTeacher(options_.teacher);
    if (options_.distill_weight > 0) {
      distill(loss_, withTeacher(), *teacher_, options_.distill_weight,
              options_.distill_temperature, binds_);
      return;
    }
    const auto sources = bindLoss(loss_.graph, withTeacher(), fields_, binds_);
    const bool is_used = std::any_of(sources.begin(), sources.end(), [](const auto& entry) {
      return entry.second.name.rfind("teacher/", 0) == 0;
    });
    if (!is_used) {
      throw inputError(
          "{}: the loss uses no output of the teacher; --distill WEIGHT,TEMPERATURE "
          "does",
          options_.teacher);
    }
  }

  // The model with the teacher's outputs, where there is one.
  Graph withTeacher() const {
    Graph graph = model_.graph.clone();
    if (teacher_) addTeacher(graph, *teacher_);
    return graph;
  }

  void sayOpenedBatch() const {
    const int64_t fixed = fixedBatch(model_.graph);
    if (fixed > 0 && fixed != options_.batch_size) {
      logInfo("{} was exported with a batch of {}; a step takes {} samples", options_.model, fixed,
              options_.batch_size);
    }
  }

  // A batch that the model's file fixes is open to a step where no node fixes it (bindInputs); in
  // the loss's file a number may stand for it as well.
  void checkBatch() const {
    for (const Value* input : joined_->inputs) {
      const bool is_models =
          std::any_of(model_.graph.inputs.begin(), model_.graph.inputs.end(),
                      [&](const Value* own) { return own->name() == input->name(); });
      const auto& shape = input->type.shape;
      const bool is_fixed = shape && !shape->empty() && shape->front().known();
      if (!is_models && is_fixed && shape->front().value != options_.batch_size) {
        throw inputError("loss input '{}' fixes the batch to {}, and a step takes {} samples",
                         input->name(), shape->front().value, options_.batch_size);
      }
    }
  }

  void openData() {
    joined_ = std::make_unique<Graph>(joinForTraining());
    checkBatch();
    metric_names_ = lossNames(*joined_);
    data_ = Dataset::open(manifest_, options_.split, fieldSpecs(joined_->inputs));
    for (size_t i = 0; i < data_->fieldCount(); ++i) {
      sample_dims_[data_->fieldName(i)] = data_->sampleDims(i);
    }
    batches_per_epoch_ = BatchLoader::batchesPerEpoch(data_->size(), options_.batch_size, true);
    if (batches_per_epoch_ == 0) {
      throw inputError("{}: split '{}' has {} samples, less than one batch of {}", manifest_.path,
                       options_.split, data_->size(), options_.batch_size);
    }
    total_steps_ = options_.steps >= 0 ? options_.steps : options_.epochs * batches_per_epoch_;
    requireIndices(indexRanges(*joined_, options_.batch_size, sample_dims_), *data_);
    addDataHashes(options_.split, *data_);
  }

  // Gradients are stopped in copies: the file that is written has nothing of it.
  Graph joinForTraining() const {
    Graph model = withTeacher();
    Graph loss = loss_.graph.clone();
    for (const std::string& pattern : options_.stop_gradients) {
      if (stopGradients(model, pattern) + stopGradients(loss, pattern) == 0) {
        throw inputError("--stop-gradient {}: matches no value of the model or the loss", pattern);
      }
    }
    return joinLoss(model, loss, bindLoss(loss, model, fields_, binds_));
  }

  void addDataHashes(const std::string& split, const Dataset& data) {
    for (size_t i = 0; i < data.fieldCount(); ++i) {
      data_hashes_[{split, data.fieldName(i)}] = data.contentHash(i);
    }
  }

  // ---- Phases ------------------------------------------------------------------------------

  StepMode modeAt(int64_t step) const {
    const auto has_come = [&](const Moment& m) { return m.hasCome(step, batches_per_epoch_); };
    StepMode mode;
    mode.specialization.mode = Mode::kTrain;
    mode.specialization.freeze_batch_norm = has_come(options_.freeze_bn_after);
    mode.specialization.freeze_observers = has_come(options_.freeze_observers_after);
    mode.specialization.unbiased_running_var = options_.unbiased_running_var;
    mode.quantizes = has_come(options_.quantize_after);
    mode.bfloat16_gradients = options_.bfloat16_gradients;
    mode.execution = options_.execution;
    return mode;
  }

  static bool isSame(const StepMode& a, const StepMode& b) {
    return a.specialization.freeze_batch_norm == b.specialization.freeze_batch_norm &&
           a.specialization.freeze_observers == b.specialization.freeze_observers &&
           a.quantizes == b.quantizes;
  }

  Graph buildStep(const StepMode& mode) const {
    return buildTrainingStep(joined_->clone(), mode, options_.optimizer, options_.batch_size,
                             sample_dims_);
  }

  // Later phases may take more than the first one: better said before the run than in its middle.
  void checkPhasesFit() const {
    for (const Moment& moment :
         {options_.quantize_after, options_.freeze_bn_after, options_.freeze_observers_after}) {
      const std::optional<int64_t> begin = moment.firstStep(batches_per_epoch_);
      if (!begin || *begin <= step_ || *begin >= total_steps_) continue;
      Graph step = buildStep(modeAt(*begin));
      fitMemory(step, options_.memory_limit, pool_.threads(), options_.execution);
    }
  }

  // A step's graph changes where quantization begins, and where BatchNormalization or observers
  // freeze; state is carried over.
  void ensureExecutor() {
    const StepMode now = modeAt(step_);
    if (executor_ != nullptr && isSame(now, phase_)) return;
    if (executor_ == nullptr && options_.memory_limit > 0) checkPhasesFit();
    const VariableMap state = currentState();
    executor_.reset();  // two arenas would be more than was planned
    restored_.clear();
    assign(*joined_, state);
    Graph step = buildStep(now);
    StepMemory memory = fitMemory(step, options_.memory_limit, pool_.threads(), options_.execution);
    logInfo("a step: {}", memory.toString());
    executor_ = std::make_unique<Executor>(std::move(step), pool_, options_.execution,
                                           std::move(memory.plan));
    executor_->setSeed(options_.seed);
    for (const auto& variable : executor_->graph().variables()) {
      const auto value = state.find(variable->name);
      if (value != state.end()) executor_->setVariable(variable->name, value->second);
    }
    phase_ = now;
    inputs_.clear();
    for (size_t i = 0; i < data_->fieldCount(); ++i) {
      inputs_.push_back(executor_->inputIndex(data_->fieldName(i)));
    }
    rate_input_ = executor_->inputIndex(kLearningRateInput);
  }

  // Every variable: those that the step's graph has as it has them, the others as they were, such
  // as ranges that are frozen; before the first step, those of the checkpoint.
  VariableMap currentState() const {
    VariableMap state = stateOf(*joined_);
    for (const auto& [name, value] : restored_) state[name] = value;
    if (executor_ != nullptr) {
      for (const auto& variable : executor_->graph().variables()) {
        Tensor copy = executor_->variable(variable->name);
        copy.mutableRawData();
        state[variable->name] = std::move(copy);
      }
    }
    return state;
  }

  // ---- Steps -------------------------------------------------------------------------------

  void calibrate() {
    const int64_t batches =
        std::max<int64_t>(options_.calibrate, hasUnsetScales(model_.graph) ? 1 : 0);
    if (batches == 0) return;
    if (!hasObservers(model_.graph)) {
      throw inputError("{}: has no observers to calibrate", options_.model);
    }
    BatchLoader loader(data_, loaderOptions());
    const auto stops = [] { return interruptSignal != 0; };
    // Ranges of half a calibration are worth nothing.
    const bool normalizes_batches = total_steps_ > 0 && !modeAt(0).specialization.freeze_batch_norm;
    if (!simaqat::calibrate(model_.graph, batches, normalizes_batches, loader, sample_dims_, stops,
                            pool_, options_.execution)) {
      return interrupted();
    }
    assign(*joined_, stateOf(model_.graph));
    logInfo("calibrated on {} batches of {}", batches, options_.batch_size);
  }

  void correctBiases() {
    for (const auto& node : model_.graph.nodes()) {
      if (!isFakeQuantize(*node) || !isUnset(*node)) continue;
      throw inputError("{}: --correct-biases needs ranges, and '{}' has none yet (--calibrate)",
                       options_.model, node->input(kFakeQuantizeX)->name());
    }
    const auto batches = [this] { return std::make_unique<BatchLoader>(data_, loaderOptions()); };
    const int corrected = simaqat::correctBiases(model_.graph, options_.correct_biases, batches,
                                                 sample_dims_, pool_, options_.execution);
    assign(*joined_, stateOf(model_.graph));
    logInfo("biases of {} layers corrected", corrected);
  }

  // Whole batches of the training split in random order, without end.
  LoaderOptions loaderOptions() const {
    LoaderOptions loader_options;
    loader_options.batch_size = options_.batch_size;
    loader_options.seed = options_.seed;
    loader_options.shuffle = true;
    loader_options.drop_last = true;
    loader_options.epochs = -1;
    return loader_options;
  }

  void trainSteps(MetricsFile& metrics) {
    LoaderOptions loader_options = loaderOptions();
    loader_options.random_transforms = true;
    loader_options.start_epoch = step_ / batches_per_epoch_;
    loader_options.start_batch = step_ % batches_per_epoch_;
    BatchLoader loader(data_, loader_options);
    Progress progress(options_.progress_bar, total_steps_, step_, options_.batch_size);
    while (step_ < total_steps_) {
      ensureExecutor();
      const Batch* batch = loader.next();
      oneStep(*batch, metrics, progress);
      ++step_;
      const bool epoch_ends = step_ % batches_per_epoch_ == 0;
      const int64_t epochs_done = step_ / batches_per_epoch_;
      // The last evaluation too comes before the checkpoint, so that none is repeated after it.
      const bool evaluates =
          options_.eval_every > 0 &&
          (step_ == total_steps_ || (epoch_ends && epochs_done % options_.eval_every == 0));
      if (evaluates) {
        progress.endLine();
        evaluate(metrics);
      }
      if (interruptSignal != 0 && step_ < total_steps_) {
        progress.endLine();
        return interrupted();
      }
      const bool due = options_.checkpoint_every > 0 && step_ % options_.checkpoint_every == 0;
      if (due && !options_.checkpoint.empty()) writeState(options_.checkpoint);
    }
    progress.endLine();
  }

  void oneStep(const Batch& batch, MetricsFile& metrics, Progress& progress) {
    const float rate = static_cast<float>(
        options_.optimizer.learning_rate *
        learningRateFactor(options_.schedule, {step_, total_steps_, batches_per_epoch_}));
    *rate_.mutableData<float>() = rate;
    for (size_t i = 0; i < inputs_.size(); ++i) executor_->setInput(inputs_[i], batch.fields[i]);
    executor_->setInput(rate_input_, rate_);
    executor_->compute(step_);
    // Outputs: the loss' own, then the gradients' norm.
    const size_t norm = executor_->graph().outputs.size() - 1;
    bool finite = true;
    std::vector<std::pair<std::string, double>> values;
    for (size_t k = 0; k <= norm; ++k) {
      const double value = executor_->scalarOutput(k);
      finite = finite && std::isfinite(value);
      values.emplace_back(k == norm ? "gradient_norm" : metric_names_[k], value);
    }
    values.emplace_back("lr", rate);
    if (finite) {
      executor_->commit();
      result_.last_loss = values[0].second;
    } else {
      notFinite(progress);
    }
    metrics.step(step_, batch.epoch, values);
    if (options_.log_ranges > 0 && (step_ + 1) % options_.log_ranges == 0) {
      metrics.ranges(step_, batch.epoch, activationRanges(joined_->clone(), currentState()));
    }
    progress.step(batch.epoch, step_, values[0].second, rate);
  }

  void notFinite(Progress& progress) {
    progress.endLine();
    const std::string node = executor_->firstNonFinite(step_);
    const std::string message = fmt::format(
        "step {}: the loss or a gradient is not finite; {}", step_,
        node.empty() ? "the data or a weight is not" : node + " made the first such value");
    if (!options_.skip_nonfinite) {
      throw runtimeError("{} (--on-nonfinite skip leaves such steps out)", message);
    }
    logWarning("{}; the step is left out", message);
    ++result_.skipped_steps;
  }

  // ---- Evaluation --------------------------------------------------------------------------

  // Before the first step, so that bad data is not found after an epoch.
  void openEvaluation() {
    EvalOptions eval_options;
    eval_options.split = evalSplit();
    eval_options.batch_size = options_.batch_size;
    eval_options.execution = options_.execution;
    evaluator_ =
        std::make_unique<Evaluator>(withTeacher(), &loss_, binds_, manifest_, eval_options, pool_);
    if (options_.keep_best) {
      best_by_ = BestBy::parse(options_.best_by, evaluator_->metricNames());
    }
    addDataHashes(eval_options.split, evaluator_->data());
  }

  std::string evalSplit() const {
    if (!options_.eval_split.empty()) return options_.eval_split;
    for (const char* name : {"validation", "val", "test"}) {
      if (manifest_.splits.count(name) != 0) return name;
    }
    throw inputError(
        "{}: has no split to evaluate on (validation, val or test; --eval-split names "
        "another)",
        manifest_.path);
  }

  void evaluate(MetricsFile& metrics) {
    writeModel(currentState());
    const EvalResult evaluation = evaluator_->run(withTeacher());
    metrics.evaluation(step_ - 1, (step_ - 1) / batches_per_epoch_, evaluation);
    logInfo("step {}: {}: loss {:.4f}{}", step_, evaluation.split,
            evaluation.losses.empty() ? 0.0 : evaluation.losses[0].second,
            evaluation.top1 ? fmt::format(", top1 {:.4f}", *evaluation.top1) : "");
    if (!options_.keep_best) return;
    const double metric = best_by_.of(evaluation);
    if (!best_metric_ || best_by_.better(metric, *best_metric_)) {
      best_metric_ = metric;
      best_state_ = currentState();
    }
  }

  // A state in the model's graph as it is saved: averages of the weights, where they are kept, and
  // quantizers' stored parameters.
  void writeModel(const VariableMap& state) {
    assign(model_.graph, averaged(state));
    refreshQuantizers(model_.graph);
  }

  // ---- Files -------------------------------------------------------------------------------

  Checkpoint state() const {
    Checkpoint checkpoint;
    checkpoint.model_hash = model_.hash;
    checkpoint.loss_hash = loss_.hash;
    checkpoint.teacher_hash = teacherHash();
    checkpoint.manifest_hash = manifest_.hash;
    checkpoint.options_hash = hashHex(describeOptions(options_));
    checkpoint.data_hashes = data_hashes_;
    checkpoint.step = step_;
    checkpoint.epoch = step_ / batches_per_epoch_;
    checkpoint.batch = step_ % batches_per_epoch_;
    checkpoint.skipped_steps = result_.skipped_steps;
    checkpoint.variables = currentState();
    checkpoint.best_metric = best_metric_;
    checkpoint.best_variables = best_state_;
    return checkpoint;
  }

  std::string teacherHash() const { return teacher_ ? teacher_->hash : ""; }

  void writeState(const std::string& path) const { writeCheckpoint(path, state()); }

  void resume() {
    Checkpoint checkpoint = readCheckpoint(options_.resume);
    const auto compare = [&](const char* what, const std::string& now, const std::string& then) {
      if (now != then) {
        throw inputError("{}: was written by a run with another {}", options_.resume, what);
      }
    };
    compare("model", model_.hash, checkpoint.model_hash);
    compare("loss", loss_.hash, checkpoint.loss_hash);
    compare("teacher", teacherHash(), checkpoint.teacher_hash);
    compare("manifest", manifest_.hash, checkpoint.manifest_hash);
    compare("set of options", hashHex(describeOptions(options_)), checkpoint.options_hash);
    for (const auto& [place, hash] : data_hashes_) {
      const auto then = checkpoint.data_hashes.find(place);
      if (then == checkpoint.data_hashes.end() || then->second == hash) continue;
      const auto& [split, field] = place;
      throw inputError("{}: split '{}', field '{}': {} has changed since the run wrote {}",
                       manifest_.path, split, field,
                       manifest_.splits.at(split).fields.at(field).place(), options_.resume);
    }
    step_ = checkpoint.step;
    result_.skipped_steps = checkpoint.skipped_steps;
    best_metric_ = checkpoint.best_metric;
    best_state_ = std::move(checkpoint.best_variables);
    restored_ = std::move(checkpoint.variables);
    for (const auto& variable : joined_->variables()) {
      const auto value = restored_.find(variable->name);
      if (value == restored_.end() || value->second.dims() != variable->value.dims()) {
        throw inputError("{}: lacks the variable '{}'", options_.resume, variable->name);
      }
    }
    assign(*joined_, restored_);
    logInfo("going on at step {} of {}", step_, total_steps_);
  }

  void interrupted() {
    result_.signal = interruptSignal;
    result_.checkpoint =
        options_.checkpoint.empty() ? options_.output + ".checkpoint" : options_.checkpoint;
    writeState(result_.checkpoint);
  }

  void finish() {
    writeModel(options_.keep_best && best_metric_ ? best_state_ : currentState());
    Graph& graph = model_.graph;
    if (options_.reestimate_bn > 0) {
      BatchLoader loader(data_, loaderOptions());
      reestimateBatchNorm(graph, options_.reestimate_bn, loader, options_.batch_size, sample_dims_,
                          options_.unbiased_running_var, pool_, options_.execution);
    }
    storeParameters(graph);
    // An FP32 model stays one that prepare takes.
    if (model_.stage != Stage::kSource) {
      setStage(graph, Stage::kTrained);
      graph.metadata[kLossHashKey] = loss_.hash;
      graph.metadata[kManifestHashKey] = manifest_.hash;
    }
    exportModel(graph, options_.output, {leastOpset(graph, kOwnOpset)});
  }

  const TrainOptions options_;
  ThreadPool pool_;
  Model model_;
  Manifest manifest_;
  std::vector<std::string> fields_;
  Loss loss_;
  std::vector<std::string> binds_;
  std::optional<Teacher> teacher_;
  BestBy best_by_;
  std::unique_ptr<Graph> joined_;
  std::shared_ptr<const Dataset> data_;
  std::map<std::string, std::vector<int64_t>> sample_dims_;
  DataHashes data_hashes_;
  int64_t batches_per_epoch_ = 0;
  int64_t total_steps_ = 0;

  int64_t step_ = 0;
  StepMode phase_;
  std::unique_ptr<Executor> executor_;
  std::vector<std::string> metric_names_;
  std::vector<size_t> inputs_;
  size_t rate_input_ = 0;
  Tensor rate_ = Tensor::scalar(0.0f);
  VariableMap restored_;
  std::unique_ptr<Evaluator> evaluator_;
  std::optional<double> best_metric_;
  VariableMap best_state_;
  TrainResult result_;
};

}  // namespace

TrainResult train(const TrainOptions& options) { return Trainer(options).run(); }

}  // namespace simaqat
