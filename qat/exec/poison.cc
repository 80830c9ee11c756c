#include "qat/exec/poison.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

namespace simaqat {
namespace {

// As floats: NaN, and a number that no sum of a network has.
constexpr int kFillers[] = {0xff, 0x6b};

using Bytes = std::vector<std::byte>;

struct Output {
  const TensorView& view;
  size_t size;       // bytes
  bool is_in_place;  // it is an input too
  Bytes before, first;

  Bytes bytes() const { return {view.bytes, view.bytes + size}; }
};

bool overlap(const TensorView& a, size_t a_size, const TensorView& b, size_t b_size) {
  return a.present() && b.present() && a.bytes < b.bytes + b_size && b.bytes < a.bytes + a_size;
}

std::vector<Output> outputsOf(const Node& node, const std::vector<TensorView>& inputs,
                              const std::vector<TensorView>& outputs) {
  std::vector<Output> all;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const size_t size = static_cast<size_t>(node.output(i)->type.bytes());
    bool is_in_place = false;
    for (size_t j = 0; j < inputs.size(); ++j) {
      if (node.input(j) == nullptr) continue;
      is_in_place |=
          overlap(outputs[i], size, inputs[j], static_cast<size_t>(node.input(j)->type.bytes()));
    }
    all.push_back({outputs[i], size, is_in_place, {}, {}});
    if (is_in_place) all.back().before = all.back().bytes();
  }
  return all;
}

void poison(const std::vector<Output>& outputs, Span<std::byte> workspace, int filler) {
  if (workspace.size() > 0) std::memset(workspace.data(), filler, workspace.size());
  for (const Output& output : outputs) {
    if (output.size == 0) continue;
    if (output.is_in_place) {
      std::memcpy(output.view.bytes, output.before.data(), output.size);
    } else {
      std::memset(output.view.bytes, filler, output.size);
    }
  }
}

// Where two results differ in an element, or -1. Bits beyond the last element are nobody's.
int64_t firstDifference(const TensorView& view, const Bytes& a, const Bytes& b) {
  if (view.type == ElementType::kBit) {
    for (int64_t i = 0; i < view.size; ++i) {
      const std::byte changed = a[static_cast<size_t>(i / 8)] ^ b[static_cast<size_t>(i / 8)];
      if (((changed >> (i % 8)) & std::byte{1}) != std::byte{0}) return i;
    }
    return -1;
  }
  const auto at = std::mismatch(a.begin(), a.end(), b.begin()).first;
  if (at == a.end()) return -1;
  return (at - a.begin()) / static_cast<int64_t>(elementSize(view.type));
}

}  // namespace

bool poisonWanted() {
  const char* wanted = std::getenv("SIMAQAT_POISON");
  return wanted != nullptr && std::string(wanted) == "1";
}

void runPoisoned(const Node& node, const std::vector<TensorView>& inputs,
                 const std::vector<TensorView>& outputs, Span<std::byte> workspace,
                 const std::function<void()>& run) {
  std::vector<Output> all = outputsOf(node, inputs, outputs);
  poison(all, workspace, kFillers[0]);
  run();
  for (Output& output : all) output.first = output.bytes();
  poison(all, workspace, kFillers[1]);
  run();
  for (size_t i = 0; i < all.size(); ++i) {
    const int64_t element = firstDifference(all[i].view, all[i].first, all[i].bytes());
    if (element < 0) continue;
    throw InternalError(
        fmt::format("{}: element {} of output {} depends on memory that nothing wrote",
                    node.describe(), element, i));
  }
}

}  // namespace simaqat
