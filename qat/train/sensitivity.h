// How much each layer's quantization costs by itself.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "qat/passes/layers.h"
#include "qat/train/evaluate.h"
#include "qat/train/width_choice.h"

namespace simaqat {

struct LayerSensitivity {
  Layer layer;
  // The loss with this layer's weight, or its output, alone quantized to each of kWidths.
  std::array<double, kWidths.size()> weight_loss;
  std::array<double, kWidths.size()> output_loss;  // that of FP32 where nothing quantizes it
  // Of the output of one sample; 0 where nothing quantizes it.
  int64_t output_elements = 0;
  // The widths that the recipe gives this layer, which are not for choice.
  std::optional<int64_t> pinned;
  std::optional<int64_t> output_pinned;
};

struct Sensitivity {
  double float_loss = 0;
  std::vector<LayerSensitivity> layers;
};

// Of a scaffolded graph whose ranges are set. The evaluator has a loss.
Sensitivity measureSensitivity(const Graph& calibrated, Evaluator& evaluator);

}  // namespace simaqat
