// What `prepare --sensitivity`, `--size-budget` and `--activation-budget` do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qat/passes/scaffold.h"
#include "qat/train/sensitivity.h"
#include "tools/options.h"

namespace simaqat {

// Measures each layer of a trained FP32 graph by itself, and chooses widths of weights and outputs.
class WidthSearch {
 public:
  void declare(OptionSet& set);
  const std::string& manifest() const { return manifest_; }
  const std::string& split() const { return split_; }
  bool isWanted() const { return measures_ || chooses() || !write_recipe_.empty(); }

  // Prints what was measured. With a budget, adds an override to `options` for each layer with a
  // width that is not the recipe's own, and returns the recipe's text with them; "" without a
  // budget.
  std::string run(const Graph& source, const std::string& recipe, ScaffoldOptions& options) const;

 private:
  // By layer, bits; empty without a budget for them, 0 where nothing quantizes an output.
  struct Widths {
    std::vector<int64_t> weights;
    std::vector<int64_t> outputs;
  };

  bool chooses() const { return size_budget_ > 0 || activation_budget_ > 0; }
  Sensitivity measure(const Graph& source, const ScaffoldOptions& options,
                      int64_t& other_bytes) const;
  std::vector<int64_t> weightWidths(const Sensitivity& sensitivity, int64_t other_bytes,
                                    int64_t widest) const;
  std::vector<int64_t> outputWidths(const Sensitivity& sensitivity, int64_t widest) const;
  static std::vector<QuantizationOverride> overridesFor(const Sensitivity& sensitivity,
                                                        const Widths& widths,
                                                        const ScaffoldOptions& options);
  static void print(const Sensitivity& sensitivity, const Widths& widths);

  bool measures_ = false;
  int64_t size_budget_ = 0;        // bytes; 0: none
  int64_t activation_budget_ = 0;  // the same
  std::string write_recipe_;
  std::string manifest_;
  std::string split_ = "train";
  std::string loss_ = "cross_entropy";
  std::vector<std::string> binds_;
  int64_t calibrate_ = 10;
  int64_t samples_ = 512;
  int threads_ = 0;
};

}  // namespace simaqat
