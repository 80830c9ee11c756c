// Running a program of elementwise operators (qat/ir/pointwise.h).
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/bit_mask.h"
#include "kernels/workspace.h"
#include "qat/ir/op.h"
#include "qat/ir/pointwise.h"

namespace simaqat::ops {

// Elements that all values of a program share the L1 cache for.
constexpr int64_t kPointwiseBlock = 512;
// Elements that are worth handing out.
constexpr int64_t kPointwiseGrain = 1 << 14;

constexpr size_t kMaxPointwiseInputs = 16;

inline const PointwiseProgram& programOf(const Node& node) {
  return *node.attributes<PointwiseAttributes>().program;
}

// Of the operator the node is the fused form of.
template <class S>
const S& baseAttributes(const Node& node) {
  return *static_cast<const S*>(node.attributes<PointwiseAttributes>().base->data());
}

// What the threads evaluate programs in.
inline kernels::ThreadArrays<float> pointwiseMemory(const Node& node, int threads,
                                                    kernels::Workspace& workspace) {
  return workspace.takeForThreads<float>(threads, programOf(node).slots() * kPointwiseBlock);
}
inline int64_t pointwiseWorkspace(const Node& node, int threads) {
  kernels::Workspace workspace(nullptr);
  pointwiseMemory(node, threads, workspace);
  return static_cast<int64_t>(workspace.used());
}

// Evaluates the program of a fused node whose operands are its inputs from `first_operand` on, in
// the memory of one thread.
class PointwiseRun {
 public:
  PointwiseRun(const EvalContext& c, size_t first_operand, int worker)
      : program_(programOf(c.node)),
        operands_(&c.inputs[first_operand]),
        scratch_(scratchOf(c, worker)) {}

  // Calls sink(at, values, n) for successive blocks of the elements [begin, end). With a
  // `target`, of the result's size, values are written there, too.
  template <class Sink>
  void run(int64_t begin, int64_t end, float* target, Sink&& sink) {
    for (; begin < end; begin += kPointwiseBlock) {
      const int64_t n = std::min(kPointwiseBlock, end - begin);
      sink(begin, block(begin, n, target == nullptr ? nullptr : target + begin), n);
    }
  }

 private:
  static float* scratchOf(const EvalContext& c, int worker) {
    kernels::Workspace workspace(c.workspace);
    return pointwiseMemory(c.node, c.pool.threads(), workspace).of(worker);
  }

  // Of the row, elements [in_row, in_row + n), which are elements [at, at + n) of a block.
  struct Segment {
    int64_t in_row, at, n;
  };
  // What an operand's block holds: the number at an offset, n times, or, from an element of a row on,
  // the numbers of rows. Nothing that is worth keeping where the offset is -1.
  struct Filling {
    int64_t offset = -1, in_row = -1, n = 0;
    bool operator==(const Filling& other) const {
      return offset == other.offset && in_row == other.in_row && n == other.n;
    }
  };
  // A row of the result, and where each operand's elements of it begin.
  struct Row {
    int64_t index[PointwiseProgram::kMostRowDims];
    int64_t offset[kMaxPointwiseInputs];
  };

  // Operators compute whole vectors: those behind the last element are made up.
  static int64_t roundedUp(int64_t n) { return (n + 7) / 8 * 8; }

  const float* block(int64_t begin, int64_t n, float* target) {
    const bool whole = n % 8 == 0;
    const float* slot[kMaxSlots];
    prepareOperands(begin, n, slot);
    for (const PointwiseProgram::Step& step : program_.steps()) {
      const bool last = &step == &program_.steps().back();
      float* out = last && target != nullptr && whole ? target : own(step.out);
      const float* in[kMaxPointwiseInputs];
      for (size_t i = 0; i < kMaxPointwiseInputs; ++i) {
        in[i] = i < step.in.size() && step.in[i] >= 0 ? slot[step.in[i]] : nullptr;
      }
      step.node->op().pointwise.block(*step.node, in, out, roundedUp(n));
      slot[step.out] = out;
    }
    const float* result = slot[program_.steps().back().out];
    if (target != nullptr && result != target) {
      std::memcpy(target, result, static_cast<size_t>(n) * sizeof(float));
    }
    return result;
  }

  void prepareOperands(int64_t begin, int64_t n, const float** slot) {
    const std::vector<PointwiseProgram::Operand>& operands = program_.operands();
    const int64_t inner = program_.inner();
    const int64_t in_row = begin % inner;
    const bool is_one_row = n <= inner - in_row;
    Row row;
    find(begin / inner, row);
    for (size_t k = 0; k < operands.size(); ++k) {
      if (operands[k].is_whole) {
        slot[k] = neighbours(k, begin, n);
      } else if (is_one_row && operands[k].is_row) {
        slot[k] = neighbours(k, row.offset[k] + in_row, n);
      } else if (is_one_row) {
        slot[k] = repeated(k, row.offset[k], n);
      } else {
        slot[k] = own(static_cast<int>(k));
      }
    }
    if (!is_one_row) prepareRows(in_row, n, row);
  }

  // The operands that are not whole, for a block of several rows.
  void prepareRows(int64_t in_row, int64_t n, Row& row) {
    const std::vector<PointwiseProgram::Operand>& operands = program_.operands();
    const int64_t inner = program_.inner();
    // Rows that only the last axis counts are told by where the first one begins.
    const int64_t rows = (in_row + n + inner - 1) / inner;
    const bool is_told = row.index[program_.rowDims().size() - 1] + rows <= program_.rowDims().back();
    size_t changing[kMaxPointwiseInputs];
    size_t count = 0;
    for (size_t k = 0; k < operands.size(); ++k) {
      if (operands[k].is_whole) continue;
      const Filling filling{is_told && !operands[k].is_row ? row.offset[k] : -1, in_row, n};
      if (filling.offset < 0 || !(filling == filled_[k])) changing[count++] = k;
      filled_[k] = filling;
    }
    Segment segment{in_row, 0, inner - in_row};
    while (count > 0 && segment.n > 0) {
      for (size_t i = 0; i < count; ++i) copySegment(changing[i], row.offset[changing[i]], segment);
      segment = {0, segment.at + segment.n, std::min(inner, n - segment.at - segment.n)};
      if (segment.n > 0) advance(row);
    }
    for (size_t i = 0; i < count; ++i) clearBehind(own(static_cast<int>(changing[i])), n);
  }

  void find(int64_t number, Row& row) const {
    const std::vector<int64_t>& dims = program_.rowDims();
    const size_t count = program_.operands().size();
    std::fill(row.offset, row.offset + count, 0);
    for (size_t axis = dims.size(); axis-- > 0;) {
      row.index[axis] = number % dims[axis];
      number /= dims[axis];
      for (size_t k = 0; k < count; ++k) {
        row.offset[k] += row.index[axis] * program_.operands()[k].row_strides[axis];
      }
    }
  }

  // To the next row, without the divisions that finding it would take.
  void advance(Row& row) const {
    const std::vector<int64_t>& dims = program_.rowDims();
    const size_t count = program_.operands().size();
    for (size_t axis = dims.size(); axis-- > 0;) {
      const bool carries = ++row.index[axis] == dims[axis];
      const int64_t steps = carries ? 1 - dims[axis] : 1;
      for (size_t k = 0; k < count; ++k) {
        row.offset[k] += steps * program_.operands()[k].row_strides[axis];
      }
      if (!carries) return;
      row.index[axis] = 0;
    }
  }

  static void clearBehind(float* block, int64_t n) { std::fill(block + n, block + roundedUp(n), 0.0f); }

  float element(size_t k, int64_t offset) const {
    const TensorView& view = operands_[k];
    if (view.type == ElementType::kBit) {
      float value;
      kernels::expandMask(view.mask(), offset, 1, &value);
      return value;
    }
    return view.type == ElementType::kUint8 ? static_cast<float>(view.data<uint8_t>()[offset])
                                            : view.data<float>()[offset];
  }

  // The operand's elements from `offset` on as floats.
  void copy(size_t k, int64_t offset, int64_t n, float* to) const {
    const TensorView& view = operands_[k];
    if (view.type == ElementType::kBit) {
      kernels::expandMask(view.mask(), offset, n, to);
    } else if (view.type == ElementType::kUint8) {
      const uint8_t* from = view.data<uint8_t>() + offset;
      for (int64_t i = 0; i < n; ++i) to[i] = from[i];
    } else {
      std::memcpy(to, view.data<float>() + offset, static_cast<size_t>(n) * sizeof(float));
    }
  }

  const float* neighbours(size_t k, int64_t offset, int64_t n) {
    const TensorView& view = operands_[k];
    if (view.type == ElementType::kFloat && n % 8 == 0) return view.data<float>() + offset;
    float* own_block = own(static_cast<int>(k));
    copy(k, offset, n, own_block);
    clearBehind(own_block, n);
    return own_block;
  }

  // One number for the whole block; it is still there where the block before had the same.
  const float* repeated(size_t k, int64_t offset, int64_t n) {
    float* own_block = own(static_cast<int>(k));
    const Filling& filled = filled_[k];
    if (filled.offset == offset && filled.in_row < 0 && filled.n >= n) return own_block;
    std::fill(own_block, own_block + roundedUp(n), element(k, offset));
    filled_[k] = {offset, -1, n};
    return own_block;
  }

  void copySegment(size_t k, int64_t row_offset, const Segment& segment) {
    float* to = own(static_cast<int>(k)) + segment.at;
    if (program_.operands()[k].is_row) {
      copy(k, row_offset + segment.in_row, segment.n, to);
    } else {
      std::fill(to, to + segment.n, element(k, row_offset));
    }
  }

  float* own(int slot) { return scratch_ + slot * kPointwiseBlock; }

  static constexpr int kMaxSlots = 64;

  const PointwiseProgram& program_;
  const TensorView* operands_;
  float* scratch_;
  Filling filled_[kMaxPointwiseInputs];
};

// Calls body(begin, end, run) for pieces of the program's elements on the pool.
template <class Body>
void forEachPiece(const EvalContext& c, size_t first_operand, Body&& body) {
  const int64_t size = programOf(c.node).size();
  c.pool.run((size + kPointwiseGrain - 1) / kPointwiseGrain, [&](int64_t piece, int worker) {
    PointwiseRun run(c, first_operand, worker);
    const int64_t begin = piece * kPointwiseGrain;
    body(begin, std::min(size, begin + kPointwiseGrain), run);
  });
}

// Pairs (input, output 0) of operands whose memory the result may take.
inline std::vector<std::pair<int, int>> operandsInPlace(size_t first_operand) {
  std::vector<std::pair<int, int>> pairs;
  for (size_t k = 0; k < kMaxPointwiseInputs; ++k) {
    pairs.emplace_back(static_cast<int>(first_operand + k), 0);
  }
  return pairs;
}

}  // namespace simaqat::ops
