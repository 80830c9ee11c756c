#include "kernels/depthwise_conv.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/depthwise_planes.h"
#include "kernels/flat_plane.h"
#include "kernels/float_rows.h"
#include "kernels/input_grad_sums.h"
#include "kernels/masked_plane.h"
#include "kernels/packet.h"
#include "kernels/window_sum.h"
#include "kernels/workspace.h"

// As in conv.cc: window sums over padded buffers. But a plane has too little work for tables and
// panels: rows are summed as they lie, all sums of a plane one after the other, so that it stays in
// the cache; those of small planes as one row (flat_plane.h), with AVX-512 those of all planes that
// keep their size (masked_plane.h).

namespace simaqat::kernels {
namespace {

// The tap of the kernel that a sum's taps stand for, in order: function(index of the kernel).
template <class Function>
void forTaps(const WindowSum& sum, Function&& function) {
  const Axis &a0 = sum.axis[0], &a1 = sum.axis[1], &a2 = sum.axis[2];
  for (int64_t d = 0; d < a0.taps; ++d) {
    for (int64_t h = 0; h < a1.taps; ++h) {
      for (int64_t x = 0; x < a2.taps; ++x) {
        function(((a0.kernel_begin + d * a0.kernel_step) * a1.kernel_size + a1.kernel_begin +
                  h * a1.kernel_step) *
                     a2.kernel_size +
                 a2.kernel_begin + x * a2.kernel_step);
      }
    }
  }
}

template <class T>
struct Taps {
  const int64_t* offset;
  const T* weight;
  int64_t count;
};

// How many vectors of sums fill the registers.
template <class T>
constexpr int kMostSums = sizeof(T) == sizeof(float) ? 8 : 4;

// results[r][v * kLanes + ..] = start + sum over taps of
//     weight * source[r * stride + offset + v * kLanes + ..]
// Where there are fewer rows than kRows, the last one is computed again in their place. A function
// of its own, so that sums and pointers stay registers.
template <int kRows, int kVectors, class T>
[[gnu::noinline]] void sumBlock(const T* source, int64_t stride, int64_t rows, const Taps<T>& taps,
                                T start, T* results) {
  Lanes<T> sum[kRows][kVectors];
  const T* row[kRows];
  for (int r = 0; r < kRows; ++r) {
    row[r] = source + std::min<int64_t>(r, rows - 1) * stride;
    for (int v = 0; v < kVectors; ++v) sum[r][v] = Lanes<T>::broadcast(start);
  }
  for (int64_t k = 0; k < taps.count; ++k) {
    const Lanes<T> weight = Lanes<T>::broadcast(taps.weight[k]);
    const int64_t offset = taps.offset[k];
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) {
        sum[r][v].multiplyAdd(Lanes<T>::load(row[r] + offset + v * kLanes), weight);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) sum[r][v].store(results + (r * kVectors + v) * kLanes);
  }
}

// Calls store(row, vector, sums) for all rows.
template <int kVectors, class T, class Store>
void sumRows(const T* source, const PlaneRows& rows, const Taps<T>& taps, T start,
             int64_t first_vector, const Store& store) {
  constexpr int kRows = kMostSums<T> / kVectors;
  T results[kMostSums<T> * kLanes];
  for (int64_t r = 0; r < rows.count; r += kRows) {
    const int64_t count = std::min<int64_t>(kRows, rows.count - r);
    sumBlock<kRows, kVectors>(source + r * rows.source_stride + first_vector * kLanes,
                              rows.source_stride, count, taps, start, results);
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t v = 0; v < kVectors; ++v) {
        store(r + i, first_vector + v, Lanes<T>::load(results + (i * kVectors + v) * kLanes));
      }
    }
  }
}

template <class T, class Store>
void sumTile(const T* source, const PlaneRows& rows, const Taps<T>& taps, T start,
             const Store& store) {
  const int64_t vectors = ceilDiv(rows.columns, kLanes);
  for (int64_t v = 0; v < vectors;) {
    const int64_t left = vectors - v;
    if (left >= 8 && kMostSums<T> == 8) {
      sumRows<kMostSums<T>>(source, rows, taps, start, v, store);
      v += 8;
    } else if (left >= 4) {
      sumRows<4>(source, rows, taps, start, v, store);
      v += 4;
    } else if (left >= 2) {
      sumRows<2>(source, rows, taps, start, v, store);
      v += 2;
    } else {
      sumRows<1>(source, rows, taps, start, v, store);
      v += 1;
    }
  }
}

Packet toFloats(const Lanes<float>& sums) { return sums.part[0]; }
Packet toFloats(const Lanes<double>& sums) {
  double lanes[kLanes];
  sums.store(lanes);
  float floats[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) floats[i] = static_cast<float>(lanes[i]);
  return load(floats);
}

// What results are made of sums by.
struct Finish {
  bool scales = false;
  float factor = 1, offset = 0;

  Packet operator()(const Packet& sums) const {
    if (!scales) return sums;
    const Packet scaled = Eigen::internal::pmul(sums, broadcast(factor));
    return Eigen::internal::padd(scaled, broadcast(offset));
  }
};

// Writes vectors of sums into a plane's rows.
template <class T>
struct StoreRows {
  void operator()(int64_t row, int64_t vector, const Lanes<T>& sums) const {
    const Packet result = finish(toFloats(sums));
    const int64_t column = vector * kLanes;
    float* to = plane + rows.target + row * rows.target_stride + column * rows.step;
    const int64_t width = std::min<int64_t>(kLanes, rows.columns - column);
    if (rows.step == 1 && width == kLanes) {
      store(to, result);
      return;
    }
    float finished[kLanes];
    store(finished, result);
    if (rows.step != 1) {
      for (int64_t i = 0; i < width; ++i) to[i * rows.step] = finished[i];
    } else {
      storeFew(finished, width, to);
    }
  }
  // Fewer than a vector: halves of one that overlap, if there are that many.
  static void storeFew(const float* from, int64_t width, float* to) {
    constexpr int64_t kHalf = kLanes / 2;
    if (width < kHalf) {
      for (int64_t i = 0; i < width; ++i) to[i] = from[i];
      return;
    }
    std::memcpy(to, from, kHalf * sizeof(float));
    std::memcpy(to + width - kHalf, from + width - kHalf, kHalf * sizeof(float));
  }
  const PlaneRows& rows;
  float* plane;
  Finish finish;
};

// Planes of a target in memory.
struct TargetPlanes {
  PlaneRows rows(const WindowSum& sum, const Tiling& tiling, const TileRange& range) const {
    return PlaneRows(sum, tiling, range);
  }
  // The plane of this number, the index-th of those that a worker does together.
  float* plane(int64_t number, int64_t, int) const { return target + number * size; }
  void finished(int64_t, int64_t, const PlaneRows&, float*) const {}
  void allFinished(int64_t, int64_t, int) const {}
  int64_t partBegin(const WindowSum&) const { return 0; }

  float* target;
  int64_t size;
};

// Planes of which each sum makes every second column, and every so-many-th row. Until all sums are
// there each one has its elements in a part of its own, row by row without gaps, whichever way it is
// summed.
struct StridedPlanes {
  static constexpr int64_t kStride = 2;

  static bool fits(const ConvShape& shape) {
    return shape.stride[2] == kStride && shape.in[0] == 1 && shape.stride[0] == 1;
  }
  // Whether, if a sum's elements do not lie side by side in its target, they do in such a part.
  static bool hasPart(const WindowSum& sum) {
    return sum.axis[2].out_step == kStride && sum.axis[0].out_step == 1;
  }
  explicit StridedPlanes(const ConvShape& shape)
      : row_step(shape.stride[1]),
        height(shape.in[1]),
        width(shape.in[2]),
        part(ceilDiv(height, row_step) * columnsOf(0)) {}
  int64_t scratchSize() const { return row_step * kStride * part; }

  PlaneRows rows(const WindowSum& sum, const Tiling& tiling, const TileRange& range) const {
    PlaneRows rows(sum, tiling, range);
    rows.target_stride = sum.axis[2].count;
    rows.target = partBegin(sum) + range.row * rows.target_stride + range.column;
    rows.step = 1;
    return rows;
  }
  // Where a sum's part begins.
  int64_t partBegin(const WindowSum& sum) const {
    return partOf(sum.axis[1].out_begin, sum.axis[2].out_begin);
  }
  float* plane(int64_t, int64_t index, int worker) const {
    return scratch.of(worker) + index * scratchSize();
  }
  void finished(int64_t, int64_t, const PlaneRows&, float*) const {}
  void allFinished(int64_t begin, int64_t end, int worker) const {
    for (int64_t number = begin; number < end; ++number) {
      const float* from = plane(number, number - begin, worker);
      float* to = target + number * height * width;
      for (int64_t h = 0; h < height; ++h, to += width) {
        joinRow(rowOf(from, h, 0), rowOf(from, h, 1), to);
      }
    }
  }

  float* target = nullptr;
  ThreadArrays<float> scratch;  // [plane of those done together][scratchSize()]

 private:
  // A row's columns with this residue: of an odd width, residue 1 has one less than residue 0.
  int64_t columnsOf(int64_t residue) const { return ceilDiv(width - residue, kStride); }
  // Where the part with these residues of row and column begins.
  int64_t partOf(int64_t row, int64_t column) const { return (row * kStride + column) * part; }
  const float* rowOf(const float* parts, int64_t row, int64_t column) const {
    return parts + partOf(row % row_step, column) + row / row_step * columnsOf(column);
  }
  void joinRow(const float* even, const float* odd, float* to) const {
    int64_t i = 0;
    for (; kStride * (i + kLanes) <= width; i += kLanes) {
      interleave(load(even + i), load(odd + i), to + kStride * i);
    }
    for (int64_t w = kStride * i; w < width; ++w) {
      to[w] = (w % kStride == 0 ? even : odd)[w / kStride];
    }
  }

  int64_t row_step, height, width;
  int64_t part;  // elements of a part, at most
};

// Which way a sum's planes are summed.
enum class Way { kMasked, kFlat, kRows };
template <class T>
Way wayOf(const WindowSum& sum) {
  const auto isWhole = [](const Axis& axis) {
    return axis.out_step == 1 && axis.out_size == axis.count;
  };
  const bool writes_side_by_side =
      (isWhole(sum.axis[1]) && isWhole(sum.axis[2])) || StridedPlanes::hasPart(sum);
  if (std::is_same_v<T, float> && writes_side_by_side && MaskedPlane::fits(sum)) {
    return Way::kMasked;
  }
  return FlatPlane::fits(sum) ? Way::kFlat : Way::kRows;
}

template <class T>
struct Memory {
  template <class Sums>
  Memory(const Sums& sums, int threads, std::byte* workspace) : memory(workspace) {
    int64_t all_taps = 0;
    int64_t masks_size = 0, lane_masks_size = 0;
    sums([&](const WindowSum& sum) {
      all_taps += sum.taps();
      const Way way = wayOf<T>(sum);
      if (way == Way::kFlat) masks_size += FlatPlane(sum).masksSize();
      if (way == Way::kMasked) lane_masks_size += MaskedPlane(sum).masksSize();
      buffer_size = std::max(buffer_size, way == Way::kMasked ? MaskedPlane(sum).bufferSize()
                                          : way == Way::kFlat ? FlatPlane(sum).bufferSize()
                                                              : planeTiling(sum).bufferSize());
      products += sum.axis[0].count * sum.axis[1].count * sum.axis[2].count * (sum.taps() + 1);
      planes = sum.batch * sum.group;
      group = sum.group;
    });
    tap_offsets = memory.take<int64_t>(all_taps);
    weights = memory.take<T>(group * all_taps);
    taps = all_taps;
    masks = memory.take<T>(masks_size);
    lane_masks = memory.take<uint16_t>(lane_masks_size);
    buffers = memory.takeForThreads<T>(threads, buffer_size);
  }
  // Planes that are worth handing out together.
  int64_t grain() const {
    return std::clamp<int64_t>(ceilDiv(kPlaneWork, products + 1), 1, std::max<int64_t>(planes, 1));
  }

  Workspace memory;
  int64_t buffer_size = 0, planes = 0, group = 0, taps = 0;
  int64_t products = 0;     // of a plane
  int64_t* tap_offsets;     // [sum][taps]
  T* weights;               // [group][sum][taps]
  T* masks;                 // [sum] of FlatPlane
  uint16_t* lane_masks;     // [sum] of MaskedPlane
  ThreadArrays<T> buffers;  // [a tile's buffer]
};

// Those of results, of which some are put elsewhere (conv_results.h) once a tile of them is there.
struct ResultPlanes {
  PlaneRows rows(const WindowSum& sum, const Tiling& tiling, const TileRange& range) const {
    return PlaneRows(sum, tiling, range);
  }
  void allFinished(int64_t, int64_t, int) const {}
  int64_t partBegin(const WindowSum&) const { return 0; }
  float* plane(int64_t number, int64_t, int worker) const {
    return results.codes == nullptr ? results.y + number * size : scratch.of(worker);
  }
  void finished(int64_t number, int64_t tile, const PlaneRows& rows, float* plane) const {
    PartialMoments* partial = nullptr;
    if (results.moments != nullptr) {
      partial = moments + (number / channels * tiles + tile) * channels + number % channels;
      *partial = PartialMoments();
    } else if (results.codes == nullptr) {
      return;
    }
    // Rows that are whole go on from one to the next.
    const bool is_whole = rows.columns == rows.target_stride;
    const int64_t count = is_whole ? 1 : rows.count;
    const int64_t length = is_whole ? rows.count * rows.columns : rows.columns;
    for (int64_t r = 0; r < count; ++r) {
      float* row = plane + rows.target + r * rows.target_stride;
      if (results.codes != nullptr) {
        putResults(results, number * size + (row - plane), row, length, nullptr);
      } else {
        partial->add(row, length);
      }
    }
  }

  const ConvResults& results;
  int64_t size, channels, tiles;  // tiles of a plane
  ThreadArrays<float> scratch;    // [size]
  PartialMoments* moments;        // [image][tile][channel]
};

// All sums of all planes: rows(sum) reads the source, value(g, w) is what a weight counts as, and
// finish(g) makes results of a vector of sums, which start from start(g).
template <class T, class Sums, class SourceRows, class Value, class Start, class FinishOf,
          class Planes>
void runPlanes(const Sums& sums, const SourceRows& source_rows, const float* w, const Value& value,
               const Start& start, const FinishOf& finish, const Planes& planes,
               std::byte* workspace, ThreadPool& pool) {
  const Memory<T> m(sums, pool.threads(), workspace);
  if (m.planes == 0) return;
  int64_t first = 0;
  T* masks = m.masks;
  uint16_t* lane_masks = m.lane_masks;
  sums([&](const WindowSum& sum) {
    const Way way = wayOf<T>(sum);
    if (way == Way::kMasked) {
      const MaskedPlane masked(sum);
      masked.fillTables(m.tap_offsets + first, lane_masks);
      lane_masks += masked.masksSize();
    } else if (way == Way::kFlat) {
      const FlatPlane flat(sum);
      flat.fillTapOffsets(m.tap_offsets + first);
      flat.fillMasks(masks);
      masks += flat.masksSize();
    } else {
      fillTapOffsets(sum, planeTiling(sum), m.tap_offsets + first);
    }
    for (int64_t g = 0; g < m.group; ++g) {
      T* weights = m.weights + g * m.taps + first;
      forTaps(sum, [&](int64_t k) { *weights++ = value(g, w[g * sum.kernelSize() + k]); });
    }
    first += sum.taps();
  });
  const int64_t grain = m.grain();
  pool.run(ceilDiv(m.planes, grain), [&](int64_t piece, int worker) {
    T* buffer = m.buffers.of(worker);
    const int64_t begin = piece * grain, end = std::min(m.planes, begin + grain);
    int64_t tap = 0;
    const T* plane_masks = m.masks;
    const uint16_t* plane_lane_masks = m.lane_masks;
    // sumUp(image, g, taps, target) puts what `rows` are of a plane.
    const auto forPlanes = [&](const WindowSum& sum, const PlaneRows& rows, int64_t tile,
                               const auto& sumUp) {
      int64_t image = begin / m.group;
      int64_t g = begin % m.group;
      for (int64_t plane = begin; plane < end; ++plane) {
        float* target = planes.plane(plane, plane - begin, worker);
        sumUp(image, g, Taps<T>{m.tap_offsets + tap, m.weights + g * m.taps + tap, sum.taps()},
              target);
        planes.finished(plane, tile, rows, target);
        if (++g == m.group) {
          g = 0;
          ++image;
        }
      }
    };
    // fill(image, g) reads what `rows` are of a plane.
    const auto sumPlanes = [&](const WindowSum& sum, const PlaneRows& rows, int64_t tile,
                               const auto& fill) {
      forPlanes(sum, rows, tile, [&](int64_t image, int64_t g, const Taps<T>& taps, float* target) {
        if (taps.count > 0) fill(image, g);
        sumTile(buffer, rows, taps, start(g), StoreRows<T>{rows, target, finish(g)});
      });
    };
    sums([&](const WindowSum& sum) {
      const auto source = source_rows(sum);
      const Way way = wayOf<T>(sum);
      if (way == Way::kMasked) {
        if constexpr (std::is_same_v<T, float>) {
          const MaskedPlane masked(sum);
          const PlaneRows rows(masked.elements(), planes.partBegin(sum));
          forPlanes(sum, rows, 0,
                    [&](int64_t image, int64_t g, const Taps<T>& taps, float* target) {
                      const Finish end = finish(g);
                      sumMasked(masked.source(taps.offset, plane_lane_masks,
                                              planeOf(masked, source, image, g, buffer)),
                                {taps.weight, start(g), end.scales, end.factor, end.offset,
                                 target + rows.target});
                    });
          plane_lane_masks += masked.masksSize();
        }
      } else if (way == Way::kFlat) {
        const FlatPlane flat(sum);
        flat.clearMargins(buffer);
        sumPlanes(sum, PlaneRows(flat.elements()), 0, [&](int64_t image, int64_t g) {
          flat.fill(source, image, g, plane_masks, buffer);
        });
        plane_masks += flat.masksSize();
      } else {
        const Tiling tiling = planeTiling(sum);
        for (int64_t tile = 0; tile < tiling.tiles_of_group / tiling.image_tiles; ++tile) {
          TileRange range(sum, tiling, tile);
          sumPlanes(sum, planes.rows(sum, tiling, range), tile, [&](int64_t image, int64_t g) {
            range.image = image;
            fillBuffer(sum, tiling, range, source, g, 1, buffer);
          });
        }
      }
      tap += sum.taps();
    });
    planes.allFinished(begin, end, worker);
  });
}

// Elements of one, which is the same for all sums.
template <class Sums>
int64_t targetPlane(const Sums& sums) {
  int64_t size = 0;
  sums([&](const WindowSum& sum) { size = sum.targetPlane(); });
  return size;
}

template <class T, class Sums, class Planes>
void runFloats(const Sums& sums, const float* source, const float* w, const float* bias,
               const Planes& planes, std::byte* workspace, ThreadPool& pool) {
  runPlanes<T>(
      sums,
      [=](const WindowSum& sum) {
        return FloatRows<T>{source, sum.group, sum.sourcePlane()};
      },
      w, [](int64_t, float v) { return static_cast<T>(v); },
      [=](int64_t g) { return bias == nullptr ? T{0} : static_cast<T>(bias[g]); },
      [](int64_t) { return Finish{}; }, planes, workspace, pool);
}

}  // namespace

size_t depthwiseForwardWorkspace(const ConvShape& shape, Sums sums, int threads) {
  const ForwardSums forward{shape};
  return sums == Sums::kFloat ? Memory<float>(forward, threads, nullptr).memory.used()
                              : Memory<double>(forward, threads, nullptr).memory.used();
}

void depthwiseForward(const ConvShape& shape, Sums sums, const float* x, const float* w,
                      const float* bias, float* y, std::byte* workspace, ThreadPool& pool) {
  const ForwardSums forward{shape};
  const TargetPlanes planes{y, targetPlane(forward)};
  if (sums == Sums::kFloat) {
    runFloats<float>(forward, x, w, bias, planes, workspace, pool);
  } else {
    runFloats<double>(forward, x, w, bias, planes, workspace, pool);
  }
}

bool depthwiseCodesFit(const ConvShape& shape) {
  return shape.kernel[0] * shape.kernel[1] * shape.kernel[2] <= (1 << 24) / (255 * 128);
}

namespace {

// What convolution of codes needs beside the memory of its sums.
struct CodesMemory {
  CodesMemory(const ConvShape& shape, int threads, std::byte* workspace)
      : sums_size(Memory<float>(ForwardSums{shape}, threads, nullptr).memory.used()),
        memory(workspace == nullptr ? nullptr : workspace + sums_size),
        plane(targetPlane(ForwardSums{shape})) {
    ForwardSums{shape}([&](const WindowSum& sum) {
      if (wayOf<float>(sum) != Way::kRows) return;
      const Tiling tiling = planeTiling(sum);
      tiles = tiling.tiles_of_group / tiling.image_tiles;
    });
    scratch = memory.takeForThreads<float>(threads, plane);
    moments = memory.take<PartialMoments>(shape.batch * tiles * shape.out_channels);
  }
  size_t used() const { return sums_size + memory.used(); }

  size_t sums_size;
  Workspace memory;
  int64_t plane;
  int64_t tiles = 1;
  ThreadArrays<float> scratch;
  PartialMoments* moments;
};

}  // namespace

size_t depthwiseCodesWorkspace(const ConvShape& shape, int threads) {
  return CodesMemory(shape, threads, nullptr).used();
}

void depthwiseCodes(const ConvShape& shape, const Codes& x, const float* w, const float* w_scale,
                    const float* bias, const ConvResults& results, std::byte* workspace,
                    ThreadPool& pool) {
  const CodesMemory m(shape, pool.threads(), workspace);
  Codes whole = x;
  whole.scale = 1.0f;
  if (!std::isfinite(x.zero_point)) whole.zero_point = 0.0f;
  runPlanes<float>(
      ForwardSums{shape}, [&](const WindowSum& sum) { return rowsOfSource(sum, whole); }, w,
      [=](int64_t g, float v) { return std::nearbyint(v / w_scale[g]); },
      [](int64_t) { return 0.0f; },
      [&](int64_t g) {
        return Finish{true, x.scale * w_scale[g], bias == nullptr ? 0.0f : bias[g]};
      },
      ResultPlanes{results, m.plane, shape.out_channels, m.tiles, m.scratch, m.moments}, workspace,
      pool);
  if (results.moments != nullptr) {
    addParts(m.moments, shape.batch * m.tiles, shape.out_channels, results.moments);
  }
}

size_t depthwiseInputGradWorkspace(const ConvShape& shape, int threads) {
  const Memory<float> sums(InputGradSums{shape}, threads, nullptr);
  if (!StridedPlanes::fits(shape)) return sums.memory.used();
  Workspace scratch(nullptr);
  scratch.takeForThreads<float>(threads, sums.grain() * StridedPlanes(shape).scratchSize());
  return sums.memory.used() + scratch.used();
}

void depthwiseInputGrad(const ConvShape& shape, const float* dy, const float* w, float* dx,
                        std::byte* workspace, ThreadPool& pool) {
  const InputGradSums sums{shape};
  if (!StridedPlanes::fits(shape)) {
    const TargetPlanes planes{dx, targetPlane(sums)};
    return runFloats<float>(sums, dy, w, nullptr, planes, workspace, pool);
  }
  StridedPlanes planes(shape);
  const Memory<float> m(sums, pool.threads(), nullptr);
  planes.target = dx;
  Workspace scratch(workspace + m.memory.used());
  planes.scratch = scratch.takeForThreads<float>(pool.threads(), m.grain() * planes.scratchSize());
  runFloats<float>(sums, dy, w, nullptr, planes, workspace, pool);
}

}  // namespace simaqat::kernels
