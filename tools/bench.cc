#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "qat/base/log.h"
#include "qat/base/random.h"
#include "qat/base/text.h"
#include "qat/data/batch_loader.h"
#include "qat/exec/executor.h"
#include "qat/train/evaluate.h"
#include "qat/train/index_ranges.h"
#include "qat/train/loss.h"
#include "qat/train/step_graph.h"
#include "tools/command.h"
#include "tools/input_shapes.h"
#include "tools/profile.h"

namespace simaqat {
namespace {

int64_t residentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0;
  int64_t resident = 0;
  statm >> total >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

// Not getrusage's, which begins with what the process that started this one had.
int64_t peakResidentBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::stoll(line.substr(6)) * 1024;
  }
  return residentBytes();
}

class BenchCommand : public Command {
 public:
  const char* name() const override { return "bench"; }
  const char* summary() const override { return "time a step on random or real data"; }
  const char* footer() const override {
    return "A training step for a source, prepared or trained model (with the loss given, else\n"
           "cross_entropy, else the sum of the outputs); an evaluation step for a finalized or\n"
           "exported one.\n\n"
           "Examples:\n"
           "  simaqat bench prepared.onnx --batch-size 64\n"
           "  simaqat bench model.onnx --batch-size 16 --input-shape input:3x224x224 --json\n"
           "  simaqat bench prepared.onnx --batch-size 64 --loss cross_entropy --data data.json";
  }
  void declare(OptionSet& set) override {
    set.add("MODEL", model_, "A model of any stage").required();
    set.add("--loss", loss_, "A loss graph (ONNX), or cross_entropy, or mse");
    set.count("--batch-size", batch_size_, "Samples a step", 1).required();
    set.add("--input-shape", shapes_, "NAME:3x224x224: an input's shape without the batch");
    Option data = set.add("--data", manifest_,
                          "A data manifest (JSON): batches of it, instead of random ones");
    set.add("--split", split_, "The split of the data").showDefault().needs(data);
    set.count("--steps", steps_, "Steps that are timed", 1).showDefault();
    set.count("--warmup", warmup_, "Steps before those").showDefault();
    set.threads(threads_);
    Option limit = set.bytes("--memory-limit", memory_limit_,
                             "Compute values again until a training step's memory is within this");
    Option backward = set.backward(backward_);
    set.reference(execution_).excludes(limit).excludes(backward);
    set.add("--profile", profile_,
            "Writes a step as a Chrome trace, and prints where its time goes and the least that "
            "it could take by this machine's measured rates");
    set.flag("--json", json_, "One JSON object on standard output");
  }

  int run() override {
    bfloat16_gradients_ = asksForBfloat16(backward_);
    ThreadPool pool(threads_ > 0 ? threads_ : availableProcessors());
    std::optional<Model> model = loadModel(model_);
    sample_dims_ = parseInputShapes(shapes_, model->graph);
    if (!manifest_.empty()) {
      manifest_data_ = loadManifest(manifest_);
      fields_ = fieldNames(manifest_data_, split_);
    }
    const bool trains = model->stage != Stage::kFinalized && model->stage != Stage::kExported;
    const int64_t resident_before = residentBytes();
    Graph graph = trains ? trainingStep(model->graph) : inferenceStep(model->graph);
    model.reset();  // the executor need not share its weights
    if (!trains && memory_limit_ > 0) {
      throw usageError("--memory-limit is of training steps; {} is evaluated", model_);
    }
    if (!trains && bfloat16_gradients_) {
      throw usageError("--backward is of training steps; {} is evaluated", model_);
    }
    const StepMemory memory = fitMemory(graph, memory_limit_, pool.threads());
    if (memory.recomputed.nodes > 0) logInfo("a step: {}", memory.toString());
    Executor executor(std::move(graph), pool, execution_);
    const std::vector<Tensor> inputs = randomInputs(executor.graph());
    for (size_t i = 0; i < inputs.size(); ++i) executor.setInput(i, inputs[i]);
    std::unique_ptr<BatchLoader> loader = openLoader();
    std::vector<double> milliseconds;
    for (int64_t step = 0; step < warmup_ + steps_; ++step) {
      const auto start = std::chrono::steady_clock::now();
      if (loader != nullptr) setInputs(executor, *loader->next());
      executor.compute(step);
      if (trains) executor.commit();
      const auto end = std::chrono::steady_clock::now();
      if (step >= warmup_) {
        milliseconds.push_back(std::chrono::duration<double, std::milli>(end - start).count());
      }
    }
    const int64_t peak = peakResidentBytes();
    std::optional<StepFloor> floor;
    if (!profile_.empty()) floor = profile(executor, trains, pool);
    report(milliseconds, floor, executor.plan().arena_bytes, peak, resident_before);
    return 0;
  }

 private:
  // A few more steps, node by node.
  StepFloor profile(Executor& executor, bool trains, ThreadPool& pool) const {
    constexpr int kSamples = 5;
    std::vector<std::vector<Executor::NodeTime>> samples(kSamples);
    for (std::vector<Executor::NodeTime>& sample : samples) {
      executor.setTimes(&sample);
      executor.compute(warmup_ + steps_);
      if (trains) executor.commit();
    }
    executor.setTimes(nullptr);
    writeTrace(profile_, samples.back());
    const kernels::MachinePeak peak = kernels::measurePeak(pool);
    if (!json_) printProfile(samples, peak);
    return floorOf(samples.back(), peak);
  }

  // The data of the graph's inputs, where data is given.
  void openData(const Graph& graph) {
    if (manifest_.empty()) return;
    data_ = Dataset::open(manifest_data_, split_, fieldSpecs(graph.inputs));
    if (data_->size() < batch_size_) {
      throw inputError("{}: split '{}' has {} samples, less than one batch of {}", manifest_,
                       split_, data_->size(), batch_size_);
    }
    for (size_t i = 0; i < data_->fieldCount(); ++i) {
      sample_dims_[data_->fieldName(i)] = data_->sampleDims(i);
    }
  }

  std::unique_ptr<BatchLoader> openLoader() const {
    if (data_ == nullptr) return nullptr;
    requireIndices(index_ranges_, *data_);
    LoaderOptions options;
    options.batch_size = batch_size_;
    options.shuffle = options.random_transforms = options.drop_last = true;
    options.epochs = -1;
    return std::make_unique<BatchLoader>(data_, options);
  }

  void setInputs(Executor& executor, const Batch& batch) const {
    for (size_t i = 0; i < data_->fieldCount(); ++i) {
      executor.setInput(executor.inputIndex(data_->fieldName(i)), batch.fields[i]);
    }
  }

  Graph inferenceStep(const Graph& model) {
    openData(model);
    index_ranges_ = indexRanges(model, batch_size_, sample_dims_);
    return buildInference(model.clone(), Mode::kEvaluate, batch_size_, sample_dims_, execution_);
  }

  Graph trainingStep(const Graph& model) {
    std::vector<std::string> fields =
        manifest_.empty() ? std::vector<std::string>{"labels"} : fields_;
    const auto& first = model.outputs.front().value->type;
    if (loss_.empty() && first.shape && first.rank() >= 2) loss_ = "cross_entropy";
    Graph joined = model.clone();
    if (loss_.empty()) {
      joined = sumOfOutputs(model);
    } else {
      const Loss loss = loadLoss(loss_, model, fields);
      // Without data, whatever the loss wants beyond the model's own values is made up.
      if (manifest_.empty()) {
        for (const Value* input : loss.graph.inputs) fields.push_back(input->name());
      }
      joined = joinLoss(model, loss.graph,
                        bindLoss(loss.graph, model, withoutOutputs(model, fields), {}));
    }
    if (first.shape && first.rank() >= 2 && (*first.shape)[1].known()) {
      classes_ = (*first.shape)[1].value;
    }
    openData(joined);
    index_ranges_ = indexRanges(joined, batch_size_, sample_dims_);
    OptimizerOptions sgd;
    sgd.momentum = 0.9f;
    StepMode mode{Mode::kTrain};
    mode.bfloat16_gradients = bfloat16_gradients_;
    mode.execution = execution_;
    return buildTrainingStep(std::move(joined), mode, sgd, batch_size_, sample_dims_);
  }

  static std::vector<std::string> withoutOutputs(const Graph& model,
                                                 std::vector<std::string> fields) {
    const auto is_output = [&](const std::string& field) {
      return std::any_of(model.outputs.begin(), model.outputs.end(),
                         [&](const GraphOutput& output) { return output.name == field; });
    };
    fields.erase(std::remove_if(fields.begin(), fields.end(), is_output), fields.end());
    return fields;
  }

  // Of labels and indices, those that every node that takes them knows; of other integers, classes.
  int64_t integersOf(const std::string& input) const {
    const auto found = index_ranges_.find(input);
    if (found == index_ranges_.end()) return classes_;
    int64_t most = std::numeric_limits<int32_t>::max();
    for (const IndexRange& range : found->second) most = std::min(most, range.most + 1);
    return std::max<int64_t>(most, 1);
  }

  // Floats are standard normal.
  std::vector<Tensor> randomInputs(const Graph& graph) const {
    std::vector<Tensor> inputs;
    for (const Value* input : graph.inputs) {
      const RandomStream stream(0, randomPurpose(input->name()), 0);
      Tensor tensor(input->type.element, input->type.dims());
      const auto integers = static_cast<uint32_t>(integersOf(input->name()));
      if (input->name() == kLearningRateInput) {
        // So small that weights stay sound for as long as the benchmark runs.
        tensor = Tensor::scalar(1e-6f);
      } else {
        visitElementType(tensor.type(), [&](auto tag) {
          using T = decltype(tag);
          T* data = tensor.mutableData<T>();
          for (int64_t i = 0; i < tensor.size(); ++i) {
            const auto index = static_cast<uint64_t>(i);
            if constexpr (std::is_floating_point_v<T>) {
              data[i] = static_cast<T>(stream.normal(index));
            } else {
              data[i] = static_cast<T>(stream.below(index, integers));
            }
          }
        });
      }
      inputs.push_back(std::move(tensor));
    }
    return inputs;
  }

  void report(std::vector<double> milliseconds, const std::optional<StepFloor>& floor,
              int64_t arena, int64_t peak, int64_t resident_before) const {
    std::sort(milliseconds.begin(), milliseconds.end());
    const double median = milliseconds[milliseconds.size() / 2];
    const double fastest = milliseconds.front();
    const double rate = 1000.0 * static_cast<double>(batch_size_) / median;
    if (json_) {
      nlohmann::ordered_json json;
      json["median_ms"] = median;
      json["fastest_ms"] = fastest;
      json["samples_per_second"] = rate;
      if (floor) json["floor_ms"] = floor->milliseconds();
      json["arena_bytes"] = arena;
      json["step_memory_bytes"] = peak - resident_before;
      json["peak_rss_bytes"] = peak;
      std::printf("%s\n", json.dump().c_str());
      return;
    }
    std::printf("median %.2f ms, fastest %.2f ms a step; %.1f samples/s\n", median, fastest, rate);
    if (floor) {
      std::printf(
          "floor %.2f ms, %.2f of the median: %.1f GOP of codes %.2f ms, %.1f GFLOP %.2f ms, "
          "%.2f GB %.2f ms\n",
          floor->milliseconds(), floor->milliseconds() / median, floor->code_operations / 1e9,
          floor->code_ms, floor->other_operations / 1e9, floor->other_ms, floor->bytes / 1e9,
          floor->bytes_ms);
    }
    std::printf("arena %s, step memory %s, peak %s\n", readableBytes(arena).c_str(),
                readableBytes(peak - resident_before).c_str(), readableBytes(peak).c_str());
  }

  std::string model_;
  std::string loss_;
  int64_t memory_limit_ = 0;
  std::string backward_ = "fp32";
  bool bfloat16_gradients_ = false;
  Execution execution_ = Execution::kFast;
  std::string profile_;
  int64_t batch_size_ = 0;
  std::vector<std::string> shapes_;
  std::map<std::string, std::vector<int64_t>> sample_dims_;
  std::string manifest_;
  std::string split_ = "train";
  Manifest manifest_data_;
  std::vector<std::string> fields_;
  std::shared_ptr<const Dataset> data_;
  std::map<std::string, std::vector<IndexRange>> index_ranges_;
  int64_t steps_ = 10;
  int64_t warmup_ = 2;
  int64_t classes_ = 1;
  int threads_ = 0;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> makeBenchCommand() { return std::make_unique<BenchCommand>(); }

}  // namespace simaqat
