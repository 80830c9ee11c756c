#include <algorithm>
#include <numeric>

#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gather.h"
#include "qat/ops/shared/order.h"

namespace simaqat::ops {
namespace {

struct UniqueAttributes {
  // Absent: the elements of the flattened input; else the slices along the axis.
  std::optional<int64_t> axis;
  bool sorted = true;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("axis", self.axis);
    visit("sorted", self.sorted);
  }
};

// Equal items, by where they stand.
struct Group {
  int64_t first = 0;
  int64_t count = 0;
};

struct Groups {
  std::vector<Group> groups;
  // The group of each item.
  std::vector<int64_t> inverse;
};

template <class T>
bool itemIsLess(const T* x, const AxisSplit& split, int64_t a, int64_t b) {
  for (int64_t outer = 0; outer < split.outer; ++outer) {
    for (int64_t i = 0; i < split.inner; ++i) {
      const T left = x[(outer * split.size + a) * split.inner + i];
      const T right = x[(outer * split.size + b) * split.inner + i];
      if (isLess(left, right)) return true;
      if (isLess(right, left)) return false;
    }
  }
  return false;
}

template <class T>
Groups groupItems(const T* x, const AxisSplit& split, bool sorted) {
  std::vector<int64_t> order(static_cast<size_t>(split.size));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return itemIsLess(x, split, a, b); });
  Groups result;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || itemIsLess(x, split, order[i - 1], order[i])) {
      result.groups.push_back({order[i], 0});
    }
    ++result.groups.back().count;
  }
  if (!sorted) {
    std::sort(result.groups.begin(), result.groups.end(),
              [](const Group& a, const Group& b) { return a.first < b.first; });
  }
  result.inverse.resize(order.size());
  for (int64_t item = 0; item < split.size; ++item) {
    const auto same =
        std::find_if(result.groups.begin(), result.groups.end(), [&](const Group& group) {
          return !itemIsLess(x, split, group.first, item) &&
                 !itemIsLess(x, split, item, group.first);
        });
    result.inverse[static_cast<size_t>(item)] = same - result.groups.begin();
  }
  return result;
}

AxisSplit splitOf(const Node& node, Span<const int64_t> dims) {
  const auto& axis = node.attributes<UniqueAttributes>().axis;
  const int64_t flat[] = {product(dims, 0, dims.size())};
  return AxisSplit(node, axis.value_or(0), axis ? dims : Span<const int64_t>(flat, 1));
}

Groups groupsOf(const Node& node, ElementType type, Span<const int64_t> dims,
                const std::byte* bytes) {
  return visitElementType(type, [&](auto tag) {
    return groupItems(reinterpret_cast<const decltype(tag)*>(bytes), splitOf(node, dims),
                      node.attributes<UniqueAttributes>().sorted);
  });
}

// How many there are is known where the input is.
void infer(InferContext& c) {
  const auto& axis = c.node.attributes<UniqueAttributes>().axis;
  Dim count;
  Dim items;
  if (const Tensor* x = c.constant(0)) {
    const Groups groups = groupsOf(c.node, x->type(), x->dims(), x->rawData());
    count = static_cast<int64_t>(groups.groups.size());
    items = static_cast<int64_t>(groups.inverse.size());
  }
  std::optional<Shape> y;
  if (!axis) {
    y = Shape{count};
  } else if (const Shape* x = c.shape(0)) {
    y = *x;
    (*y)[static_cast<size_t>(normalizeAxis(c.node, *axis, static_cast<int64_t>(x->size())))] =
        count;
  }
  c.setOutput(0, c.input(0).element, std::move(y));
  c.setOutput(1, ElementType::kInt64, Shape{count});
  c.setOutput(2, ElementType::kInt64, Shape{items});
  c.setOutput(3, ElementType::kInt64, Shape{count});
}

void evaluate(const EvalContext& c) {
  const AxisSplit split = splitOf(c.node, c.in(0).dims);
  const Groups result = groupsOf(c.node, c.in(0).type, c.in(0).dims, c.in(0).bytes);
  const auto count = static_cast<int64_t>(result.groups.size());
  visitElementType(c.out().type, [&](auto tag) {
    using T = decltype(tag);
    T* y = c.out().data<T>();
    for (int64_t outer = 0; outer < split.outer; ++outer) {
      for (const Group& group : result.groups) {
        const T* from = c.in(0).data<T>() + (outer * split.size + group.first) * split.inner;
        y = std::copy(from, from + split.inner, y);
      }
    }
  });
  const auto list = [&](size_t output, auto value, int64_t size) {
    if (output >= c.outputs.size()) return;
    for (int64_t i = 0; i < size; ++i) {
      c.out(output).data<int64_t>()[i] = value(static_cast<size_t>(i));
    }
  };
  list(
      1, [&](size_t i) { return result.groups[i].first; }, count);
  list(
      2, [&](size_t i) { return result.inverse[i]; }, split.size);
  list(
      3, [&](size_t i) { return result.groups[i].count; }, count);
}

std::vector<OpExample> examples() {
  const auto axis = [](int64_t a) { return AttributeMap{{"axis", a}}; };
  std::vector<OpExample> list = {
      {"elements", {}, {exampleIntegers({3, 4}, 0, 4)}},
      {"in their order", {{"sorted", int64_t{0}}}, {exampleIntegers({9}, -3, 3)}},
      {"rows", axis(0), {exampleIntegers({6, 2}, 0, 2)}},
      {"columns", axis(-1), {exampleIntegers({2, 7}, 0, 2)}},
  };
  for (OpExample& example : list) example.output_count = 4;
  list.emplace_back("alone", AttributeMap{}, std::vector<Tensor>{exampleIntegers({5}, 0, 3)});
  return list;
}

}  // namespace

OpDefinition defineUnique() {
  OpDefinition op;
  op.name = "Unique";
  op.first_opset = 11;
  op.max_outputs = 4;
  op.make_attributes = &makeAttributes<UniqueAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
