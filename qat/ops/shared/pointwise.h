// Running a program of elementwise operators (qat/ir/pointwise.h).
#pragma once

#include <algorithm>
#include <cstring>

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

inline int64_t pointwiseWorkspace(const Node& node, int threads) {
  return threads * programOf(node).slots() * kPointwiseBlock * int64_t{sizeof(float)};
}

// Evaluates the program of a fused node whose operands are its inputs from `first_operand` on, in
// the memory of one thread.
class PointwiseRun {
 public:
  PointwiseRun(const EvalContext& c, size_t first_operand, int worker)
      : program_(programOf(c.node)),
        operands_(&c.inputs[first_operand]),
        scratch_(reinterpret_cast<float*>(c.workspace) +
                 worker * program_.slots() * kPointwiseBlock) {
    std::fill(filled_, filled_ + kMaxPointwiseInputs, -1);
  }

  // Calls sink(at, values, n) for successive blocks of the elements [begin, end). With a
  // `target`, of the result's size, values are written there, too.
  template <class Sink>
  void run(int64_t begin, int64_t end, float* target, Sink&& sink) {
    const int64_t inner = program_.inner();
    while (begin < end) {
      const int64_t at = begin % inner;
      const int64_t n = std::min({kPointwiseBlock, inner - at, end - begin});
      const float* values = block(begin / inner, at, n, target == nullptr ? nullptr : target + begin);
      sink(begin, values, n);
      begin += n;
    }
  }

 private:
  // Operators compute whole vectors: those behind the last element are made up.
  static int64_t roundedUp(int64_t n) { return (n + 7) / 8 * 8; }

  const float* block(int64_t row, int64_t at, int64_t n, float* target) {
    const bool whole = n % 8 == 0;
    const float* slot[kMaxSlots];
    prepareOperands(row, at, n, slot);
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

  void prepareOperands(int64_t row, int64_t at, int64_t n, const float** slot) {
    const std::vector<int64_t>& dims = program_.rowDims();
    int64_t index[PointwiseProgram::kMostRowDims] = {};
    for (size_t k = dims.size(); k-- > 0;) {
      index[k] = row % dims[k];
      row /= dims[k];
    }
    for (size_t k = 0; k < program_.operands().size(); ++k) {
      const PointwiseProgram::Operand& operand = program_.operands()[k];
      int64_t offset = operand.is_row ? at : 0;
      for (size_t axis = 0; axis < dims.size(); ++axis) {
        offset += index[axis] * operand.row_strides[axis];
      }
      slot[k] = prepared(k, operand.is_row, offset, n);
    }
  }

  const float* prepared(size_t k, bool is_row, int64_t offset, int64_t n) {
    const TensorView& view = operands_[k];
    float* own_block = own(static_cast<int>(k));
    if (!is_row) {
      fill(k, view, offset, n, own_block);
      return own_block;
    }
    if (view.type == ElementType::kUint8) {
      const uint8_t* from = view.data<uint8_t>() + offset;
      for (int64_t i = 0; i < n; ++i) own_block[i] = from[i];
      std::fill(own_block + n, own_block + roundedUp(n), 0.0f);
      return own_block;
    }
    const float* from = view.data<float>() + offset;
    if (n % 8 == 0) return from;
    std::memcpy(own_block, from, static_cast<size_t>(n) * sizeof(float));
    std::fill(own_block + n, own_block + roundedUp(n), 0.0f);
    return own_block;
  }

  // One number for the whole block; it is still there where the block before had the same.
  void fill(size_t k, const TensorView& view, int64_t offset, int64_t n, float* to) {
    if (filled_[k] == offset && filled_count_[k] >= n) return;
    const float value = view.type == ElementType::kUint8
                            ? static_cast<float>(view.data<uint8_t>()[offset])
                            : view.data<float>()[offset];
    std::fill(to, to + roundedUp(n), value);
    filled_[k] = offset;
    filled_count_[k] = n;
  }

  float* own(int slot) { return scratch_ + slot * kPointwiseBlock; }

  static constexpr int kMaxSlots = 64;

  const PointwiseProgram& program_;
  const TensorView* operands_;
  float* scratch_;
  int64_t filled_[kMaxPointwiseInputs];  // offset of the number an operand's block holds
  int64_t filled_count_[kMaxPointwiseInputs] = {};
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
