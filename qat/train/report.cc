#include "qat/train/report.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "qat/data/batch_loader.h"
#include "qat/exec/executor.h"
#include "qat/ir/fake_quantize.h"
#include "qat/passes/fake_quantized.h"
#include "qat/train/step_graph.h"

namespace simaqat {
namespace {

constexpr int64_t kBatch = 16;
constexpr int64_t kBins = 60;

double decibels(double signal, double noise) {
  return noise == 0 ? std::numeric_limits<double>::infinity() : 10 * std::log10(signal / noise);
}

// One quantizer and what has been seen of it.
class Watch {
 public:
  explicit Watch(const Node& node) : spec_(node.attributes<QuantizerSpec>()) {
    report_.value = node.input(kFakeQuantizeX)->name();
    report_.kind = spec_.toString();
    report_.is_weight = spec_.is_weight;
    scales_ = node.input(kFakeQuantizeScale)->variable->value.toVector<float>();
    zero_ = static_cast<int32_t>(
        node.input(kFakeQuantizeZeroPoint)->variable->value.toVector<float>()[0]);
    const float widest = *std::max_element(scales_.begin(), scales_.end());
    report_.lo = static_cast<double>(spec_.qmin - zero_) * widest;
    report_.hi = static_cast<double>(spec_.qmax - zero_) * widest;
    report_.codes = spec_.qmax - spec_.qmin + 1;
    const double margin = (report_.hi - report_.lo) / 8;
    report_.first = report_.lo - margin;
    report_.last = report_.hi + margin;
    report_.histogram.resize(kBins);
    used_.resize(static_cast<size_t>(report_.codes));
  }

  bool isWeight() const { return spec_.is_weight; }

  // The FP32 model's value, and the quantized one's.
  void look(const TensorView& floats, const TensorView& quantized) {
    int64_t inner = floats.size;
    if (spec_.perChannel()) {
      inner = 1;
      for (int64_t k = spec_.axis + 1; k < floats.rank(); ++k) inner *= floats.dim(k);
    }
    for (int64_t i = 0; i < floats.size; ++i) {
      const auto channel = static_cast<size_t>(i / std::max<int64_t>(inner, 1)) % scales_.size();
      add(floats.data<float>()[i], quantized.data<float>()[i], scales_[channel]);
    }
  }

  QuantizerReport report() const {
    QuantizerReport result = report_;
    result.codes_used = std::count(used_.begin(), used_.end(), true);
    result.clipped =
        static_cast<double>(clipped_) / static_cast<double>(std::max<int64_t>(seen_, 1));
    result.own_sqnr = decibels(signal_, own_noise_);
    result.sqnr = decibels(signal_, noise_);
    return result;
  }

 private:
  void add(float x, float quantized, float scale) {
    const double code = std::nearbyint(static_cast<double>(x / scale)) + zero_;
    clipped_ += code < static_cast<double>(spec_.qmin) || code > static_cast<double>(spec_.qmax);
    const int32_t kept = quantizeOne(x, scale, zero_, spec_.qmin, spec_.qmax);
    used_[static_cast<size_t>(kept - spec_.qmin)] = true;
    const double own = static_cast<double>(static_cast<float>(kept - zero_) * scale) - x;
    const double difference = static_cast<double>(quantized) - x;
    signal_ += static_cast<double>(x) * x;
    own_noise_ += own * own;
    noise_ += difference * difference;
    const double place = (x - report_.first) / (report_.last - report_.first) * kBins;
    ++report_.histogram[static_cast<size_t>(std::clamp(place, 0.0, kBins - 1.0))];
    ++seen_;
  }

  QuantizerSpec spec_;
  QuantizerReport report_;
  std::vector<float> scales_;
  int32_t zero_ = 0;
  std::vector<bool> used_;
  int64_t seen_ = 0;
  int64_t clipped_ = 0;
  double signal_ = 0;
  double own_noise_ = 0;
  double noise_ = 0;
};

// The graph with what each quantizer takes as its outputs, of the FP32 model, or with what each
// makes.
Graph withValues(const Graph& scaffolded, bool quantized) {
  Graph graph = scaffolded.clone();
  graph.outputs.clear();
  for (const auto& node : graph.nodes()) {
    if (!isFakeQuantize(*node)) continue;
    graph.outputs.push_back(
        {node->name(), quantized ? node->output() : node->input(kFakeQuantizeX)});
  }
  if (!quantized) bypassQuantizers(graph);
  return graph;
}

void watchAll(const Graph& scaffolded, const std::shared_ptr<const Dataset>& data, int64_t samples,
              std::vector<Watch>& watches, ThreadPool& pool) {
  std::map<std::string, std::vector<int64_t>> dims;
  for (size_t i = 0; i < data->fieldCount(); ++i) dims[data->fieldName(i)] = data->sampleDims(i);
  LoaderOptions options;
  options.batch_size =
      fixedBatch(scaffolded) > 0 ? fixedBatch(scaffolded) : std::min(kBatch, data->size());
  options.shuffle = true;
  options.drop_last = true;
  BatchLoader loader(data, options);
  const auto build = [&](bool quantized) {
    return buildInference(withValues(scaffolded, quantized), Mode::kEvaluate, options.batch_size,
                          dims);
  };
  Executor floats(build(false), pool);
  Executor quantized(build(true), pool);
  for (int64_t seen = 0; seen < samples; seen += options.batch_size) {
    const Batch* batch = loader.next();
    if (batch == nullptr) break;
    for (Executor* executor : {&floats, &quantized}) {
      for (size_t k = 0; k < scaffolded.inputs.size(); ++k) executor->setInput(k, batch->fields[k]);
      executor->compute(0);
    }
    for (size_t k = 0; k < watches.size(); ++k) {
      if (seen > 0 && watches[k].isWeight()) continue;
      watches[k].look(floats.output(k), quantized.output(k));
    }
  }
}

}  // namespace

Report makeReport(const Graph& scaffolded, const std::shared_ptr<const Dataset>& data,
                  int64_t samples, Evaluator& evaluator, ThreadPool& pool) {
  Report report;
  std::vector<Watch> watches;
  for (const auto& node : scaffolded.nodes()) {
    if (isFakeQuantize(*node)) watches.emplace_back(*node);
  }
  watchAll(scaffolded, data, samples, watches, pool);
  for (const Watch& watch : watches) report.quantizers.push_back(watch.report());

  const auto evaluate = [&](const std::set<std::string>& kept) {
    Graph graph = scaffolded.clone();
    bypassQuantizers(graph, kept);
    return evaluator.run(graph);
  };
  report.floats = evaluate({});
  report.quantized = evaluator.run(scaffolded);
  report.samples = report.quantized.samples;
  for (const Layer& layer : layersOf(scaffolded)) {
    const EvalResult alone = evaluate({layer.weight, layer.output});
    LayerReport entry{layer, std::nullopt, alone.top1};
    if (!alone.losses.empty()) entry.loss = alone.losses.front().second;
    report.layers.push_back(std::move(entry));
  }
  return report;
}

}  // namespace simaqat
