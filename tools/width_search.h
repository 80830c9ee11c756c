// What `prepare --sensitivity` and `--size-budget` do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qat/passes/scaffold.h"
#include "qat/train/sensitivity.h"
#include "tools/options.h"

namespace simaqat {

// Measures each layer of a trained FP32 graph by itself, and chooses widths of weights.
class WidthSearch {
 public:
  void declare(OptionSet& set);
  bool isWanted() const { return measures_ || budget_ > 0; }

  // Prints what was measured. With a budget, adds an override to `options` for each layer whose width
  // is not the recipe's own, and returns the recipe's text with them; "" without a budget.
  std::string run(const Graph& source, const std::string& recipe, ScaffoldOptions& options) const;

 private:
  Sensitivity measure(const Graph& source, const ScaffoldOptions& options,
                      int64_t& other_bytes) const;
  void print(const Sensitivity& sensitivity, const std::vector<int64_t>& widths) const;

  bool measures_ = false;
  int64_t budget_ = 0;  // bytes; 0: none
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
