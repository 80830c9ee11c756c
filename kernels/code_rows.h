// Reading codes as words of four channels.
#pragma once

#include <algorithm>

#include "kernels/code_product.h"
#include "kernels/window_sum.h"

namespace simaqat::kernels {

// Rows of words of four channels' codes, for fillBuffer.
struct CodeRows {
  void copy(int64_t image, int64_t word, int64_t at, const RowCut& cut, uint32_t* out) const {
    const int64_t group = word / group_words;
    const int64_t channel = word % group_words * kCodesOfWord;
    const uint8_t* row[kCodesOfWord];
    for (int64_t i = 0; i < kCodesOfWord; ++i) {
      // Behind the last channel the weights are zero, and any code will do.
      const int64_t from = std::min(channel + i, group_channels - 1);
      row[i] = source + (image * image_channels + group * group_channels + from) * plane + at +
               cut.begin;
    }
    outside(0, cut.first, out);
    if (cut.step == 1) {
      words(row, cut.first, cut.end, 1, out);
    } else {
      words(row, cut.first, cut.end, cut.step, out);
    }
    outside(cut.end, cut.count, out);
  }
  void outside(const RowCut& cut, uint32_t* out) const { outside(0, cut.count, out); }
  void outside(int64_t begin, int64_t end, uint32_t* out) const {
    std::fill(out + begin, out + end, static_cast<uint32_t>(zero_point) * 0x01010101u);
  }

  void words(const uint8_t* const* row, int64_t begin, int64_t end, int64_t step,
             uint32_t* out) const {
    const uint8_t *r0 = row[0], *r1 = row[1], *r2 = row[2], *r3 = row[3];
    for (int64_t i = begin; i < end; ++i) {
      out[i] = static_cast<uint32_t>(r0[i * step]) | static_cast<uint32_t>(r1[i * step]) << 8 |
               static_cast<uint32_t>(r2[i * step]) << 16 |
               static_cast<uint32_t>(r3[i * step]) << 24;
    }
  }

  const uint8_t* source;
  int64_t image_channels, plane;
  int64_t group_words, group_channels;
  int32_t zero_point;
};

}  // namespace simaqat::kernels
