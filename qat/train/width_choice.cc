#include "qat/train/width_choice.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "qat/base/error.h"
#include "qat/ir/quantizer.h"
#include "qat/passes/sizes.h"

namespace simaqat {
namespace {

// Room is counted in so many parts: finer ones would choose no better.
constexpr int64_t kParts = 20000;
constexpr double kImpossible = std::numeric_limits<double>::infinity();

// An activation's codes take what a weight's of the width do.
int64_t codeBytes(const WidthItem& item, int64_t bits) {
  QuantizerSpec spec = weightQuantizer(0);
  setWeightBits(spec, bits);
  return bytesOf(item.elements, spec.codeType());
}

// One tensor of the knapsack: its widths from the narrowest on, with what each takes and costs.
struct Candidates {
  std::vector<int64_t> widths;
  std::vector<int64_t> bytes;
  std::vector<double> costs;

  Candidates(const WidthItem& item, int64_t widest) {
    if (item.pinned) {
      // Where there is no choice, none is cheaper.
      widths = {*item.pinned};
      costs = {0};
    } else {
      std::copy_if(kWidths.begin(), kWidths.end(), std::back_inserter(widths),
                   [&](int64_t bits) { return bits <= widest; });
      auto monotone = item.costs;
      for (size_t w = monotone.size() - 1; w-- > 0;) {
        monotone[w] = std::max(monotone[w], monotone[w + 1]);
      }
      costs.assign(monotone.begin(), monotone.begin() + static_cast<long>(widths.size()));
    }
    for (int64_t bits : widths) bytes.push_back(codeBytes(item, bits));
  }
  // Beyond what the narrowest takes.
  int64_t extra(size_t w) const { return bytes[w] - bytes.front(); }
};

// A knapsack with one choice an item. What the least width takes is set aside, so that rounding up
// to parts never forbids it.
std::vector<int64_t> fill(const std::vector<Candidates>& items, int64_t room) {
  const double part = std::max(1.0, static_cast<double>(room) / kParts);
  const auto parts = static_cast<size_t>(static_cast<double>(room) / part);
  const auto partsOf = [&](const Candidates& item, size_t w) {
    return static_cast<size_t>(std::ceil(static_cast<double>(item.extra(w)) / part));
  };
  std::vector<double> best(parts + 1, 0);
  std::vector<std::vector<size_t>> choices;  // by item and room
  for (const Candidates& item : items) {
    std::vector<double> next(parts + 1, kImpossible);
    std::vector<size_t> choice(parts + 1, 0);
    for (size_t w = 0; w < item.widths.size(); ++w) {
      const size_t needed = partsOf(item, w);
      for (size_t r = needed; r <= parts; ++r) {
        const double cost = best[r - needed] + item.costs[w];
        // Of equals the widest.
        if (cost <= next[r]) {
          next[r] = cost;
          choice[r] = w;
        }
      }
    }
    best = std::move(next);
    choices.push_back(std::move(choice));
  }
  std::vector<int64_t> result(items.size());
  size_t r = parts;
  for (size_t i = items.size(); i-- > 0;) {
    const size_t w = choices[i][r];
    result[i] = items[i].widths[w];
    r -= partsOf(items[i], w);
  }
  return result;
}

}  // namespace

std::vector<int64_t> chooseWidths(const std::vector<WidthItem>& items, int64_t code_bytes,
                                  int64_t widest) {
  std::vector<Candidates> candidates;
  int64_t least = 0;
  int64_t most = 0;
  for (const WidthItem& item : items) {
    candidates.emplace_back(item, widest);
    least += candidates.back().bytes.front();
    most += candidates.back().bytes.back();
  }
  if (code_bytes < least) {
    const bool is_pinned = std::any_of(items.begin(), items.end(),
                                       [](const auto& item) { return item.pinned.has_value(); });
    throw inputError("codes of {} bits{} take {} bytes, and there is room for {}", kWidths.front(),
                     is_pinned ? ", or as the recipe tells," : "", least,
                     std::max<int64_t>(code_bytes, 0));
  }
  if (code_bytes < most) return fill(candidates, code_bytes - least);
  std::vector<int64_t> widths;
  for (const Candidates& candidate : candidates) widths.push_back(candidate.widths.back());
  return widths;
}

}  // namespace simaqat
