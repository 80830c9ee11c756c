#include "kernels/reduce.h"

#include "kernels/channel_pieces.h"
#include "kernels/wide_sum.h"

namespace simaqat::kernels {
namespace {

double sumOfRows(const float* x, int64_t channels, int64_t inner, int64_t c, int64_t begin,
                 int64_t end) {
  WideSum sum;
  for (int64_t o = begin; o < end; ++o) {
    const float* row = x + (o * channels + c) * inner;
    int64_t i = 0;
    for (; i + 8 <= inner; i += 8) sum.add(loadDouble4(row + i), loadDouble4(row + i + 4));
    for (; i < inner; ++i) sum.add(static_cast<double>(row[i]));
  }
  return sum.total();
}

// inner = 1: neighbouring channels side by side.
void sumOfColumns(const float* x, int64_t outer, int64_t channels, float* sum, ThreadPool& pool) {
  constexpr int64_t kColumns = 64;
  pool.runRanges(channels, kColumns, [&](int64_t begin, int64_t end) {
    double total[kColumns] = {};
    for (int64_t o = 0; o < outer; ++o) {
      const float* row = x + o * channels;
      for (int64_t c = begin; c < end; ++c) total[c - begin] += row[c];
    }
    for (int64_t c = begin; c < end; ++c) sum[c] = static_cast<float>(total[c - begin]);
  });
}

}  // namespace

void channelSum(const float* x, int64_t outer, int64_t channels, int64_t inner, float* sum,
                ThreadPool& pool) {
  if (inner == 1) return sumOfColumns(x, outer, channels, sum, pool);
  const ChannelPieces pieces(outer, channels);
  if (pieces.cuts == 1) {
    pool.run(channels, [&](int64_t c, int) {
      sum[c] = static_cast<float>(sumOfRows(x, channels, inner, c, 0, outer));
    });
    return;
  }
  double partial[ChannelPieces::kMaxPartials];
  pool.run(pieces.count(), [&](int64_t piece, int) {
    partial[piece] = sumOfRows(x, channels, inner, pieces.channel(piece), pieces.begin(piece),
                               pieces.end(piece));
  });
  for (int64_t c = 0; c < channels; ++c) {
    double total = 0;
    for (int64_t cut = 0; cut < pieces.cuts; ++cut) total += partial[c * pieces.cuts + cut];
    sum[c] = static_cast<float>(total);
  }
}

}  // namespace simaqat::kernels
