// How much each layer's quantization costs by itself, and widths that keep the whole cheap.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "qat/passes/layers.h"
#include "qat/train/evaluate.h"

namespace simaqat {

constexpr std::array<int64_t, 3> kWidths = {4, 8, 16};

struct LayerSensitivity {
  Layer layer;
  // The loss with this layer's weight, or its output, alone quantized to each of kWidths.
  std::array<double, kWidths.size()> weight_loss;
  std::array<double, kWidths.size()> output_loss;  // that of FP32 where nothing quantizes it
  // The width that the recipe gives this layer, which is not for choice.
  std::optional<int64_t> pinned;
};

struct Sensitivity {
  double float_loss = 0;
  std::vector<LayerSensitivity> layers;
};

// Of a scaffolded graph whose ranges are set. The evaluator has a loss.
Sensitivity measureSensitivity(const Graph& calibrated, Evaluator& evaluator);

// For each layer the width of its weight, of kWidths up to `widest`, such that the sum of the
// losses measured is least while the weights' codes take no more than so many bytes; a narrower
// width counts as no better than a wider one, whatever was measured. An input Error where 4 bits
// are too many.
std::vector<int64_t> chooseWidths(const Sensitivity& sensitivity, int64_t code_bytes,
                                  int64_t widest = kWidths.back());

}  // namespace simaqat
