// What quantization does to each value of a scaffolded model, and what each layer's costs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "qat/data/dataset.h"
#include "qat/passes/layers.h"
#include "qat/train/evaluate.h"

namespace simaqat {

struct QuantizerReport {
  std::string value;
  std::string kind;
  bool is_weight = false;
  // What the codes stand for: of one scale for each channel the widest.
  double lo = 0;
  double hi = 0;
  int64_t codes = 0;       // there are
  int64_t codes_used = 0;  // by the values seen
  double clipped = 0;      // the share of values beyond the codes
  // 10 log10(sum x^2 / sum (x - y)^2): of this quantizer on the FP32 model's values, and of the
  // whole quantized model's value here against the FP32 model's. Infinite where nothing differs.
  double own_sqnr = 0;
  double sqnr = 0;
  // How many of the FP32 model's values lie in each of the equal parts of [first, last]; what lies
  // beyond is in the outer ones.
  double first = 0;
  double last = 0;
  std::vector<int64_t> histogram;
};

struct LayerReport {
  Layer layer;
  std::optional<double> loss;  // with this layer's weight and output alone quantized
  std::optional<double> top1;
};

struct Report {
  int64_t samples = 0;
  EvalResult floats;     // no quantizer
  EvalResult quantized;  // all of them
  std::vector<QuantizerReport> quantizers;
  std::vector<LayerReport> layers;
};

// Of a scaffolded graph whose ranges are set, on about so many samples. `evaluator` evaluates
// layers, and may be without a loss.
Report makeReport(const Graph& scaffolded, const std::shared_ptr<const Dataset>& data,
                  int64_t samples, Evaluator& evaluator, ThreadPool& pool);

}  // namespace simaqat
