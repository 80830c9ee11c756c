#include "qat/ops/shared/einsum.h"

#include <algorithm>
#include <map>

namespace simaqat::ops {
namespace {

constexpr char kEllipsis[] = "...";

std::string withoutBlanks(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  return text;
}

// "ij,jk" as {"ij", "jk"}.
std::vector<std::string> terms(const std::string& text) {
  std::vector<std::string> list(1);
  for (const char letter : text) {
    if (letter == ',') {
      list.emplace_back();
    } else {
      list.back() += letter;
    }
  }
  return list;
}

// Labels by name: a letter, or the place of an axis in an ellipsis, counted from the last.
class LabelReader {
 public:
  explicit LabelReader(const Node& node) : node_(node) {}

  std::vector<size_t> operand(const std::string& term, size_t rank) {
    const bool has_ellipsis = term.find(kEllipsis) != std::string::npos;
    const size_t letters = term.size() - (has_ellipsis ? 3 : 0);
    if (letters > rank || (letters < rank && !has_ellipsis)) {
      node_.fail("attribute 'equation': '{}' does not name the axes of rank {}", term, rank);
    }
    ellipsis_rank_ = std::max(ellipsis_rank_, rank - letters);
    return read(term, rank - letters);
  }
  std::vector<size_t> result(const std::string& term) { return read(term, ellipsis_rank_); }

  // What an equation without an arrow means: the ellipsis, then labels seen once, by alphabet.
  std::string implicitResult() const {
    std::string term = ellipsis_rank_ > 0 ? kEllipsis : "";
    for (const auto& [letter, uses] : uses_) {
      if (uses == 1) term += letter;
    }
    return term;
  }
  size_t count() const { return names_.size(); }

 private:
  std::vector<size_t> read(const std::string& term, size_t ellipsis_rank) {
    std::vector<size_t> axes;
    const auto add = [&](const std::string& name) {
      axes.push_back(names_.emplace(name, names_.size()).first->second);
    };
    for (size_t i = 0; i < term.size(); ++i) {
      if (term.compare(i, 3, kEllipsis) == 0) {
        for (size_t k = ellipsis_rank; k-- > 0;) add(fmt::format(".{}", k));
        i += 2;
      } else if (std::isalpha(static_cast<unsigned char>(term[i])) != 0) {
        ++uses_[term[i]];
        add(std::string(1, term[i]));
      } else {
        node_.fail("attribute 'equation': '{}' is no label", term[i]);
      }
    }
    return axes;
  }

  const Node& node_;
  size_t ellipsis_rank_ = 0;
  std::map<char, int> uses_;
  std::map<std::string, size_t> names_;
};

}  // namespace

EinsumLabels::EinsumLabels(const Node& node, const std::string& equation,
                           const std::vector<size_t>& ranks) {
  const std::string text = withoutBlanks(equation);
  const size_t arrow = text.find("->");
  const std::vector<std::string> left = terms(text.substr(0, arrow));
  if (left.size() != ranks.size()) {
    node.fail("attribute 'equation': expected {} operands, got {}", ranks.size(), left.size());
  }
  LabelReader reader(node);
  for (size_t i = 0; i < left.size(); ++i) operands.push_back(reader.operand(left[i], ranks[i]));
  const size_t known = reader.count();
  output =
      reader.result(arrow == std::string::npos ? reader.implicitResult() : text.substr(arrow + 2));
  count = reader.count();
  if (count != known) node.fail("attribute 'equation': the output has a label that no operand has");
}

EinsumWalk::EinsumWalk(const Node& node, size_t label_count,
                       const std::vector<const std::vector<size_t>*>& labels,
                       const std::vector<Span<const int64_t>>& dims)
    : operands_(labels.size() - 1) {
  if (operands_ > kMaxOperands) node.fail("{} operands are too many", operands_);
  std::vector<Label> all(label_count);
  for (size_t term = 0; term < labels.size(); ++term) {
    for (size_t axis = 0; axis < dims[term].size(); ++axis) {
      int64_t& size = all[(*labels[term])[axis]].size;
      const int64_t own = dims[term][axis];
      if (own != 1 && size != 1 && own != size) {
        node.fail("input {}: axis {} has {} elements where another has {}", term, axis, own, size);
      }
      if (own != 1) size = own;
    }
  }
  for (size_t term = 0; term < labels.size(); ++term) {
    int64_t stride = 1;
    for (size_t axis = dims[term].size(); axis-- > 0;) {
      // One label on two axes is their diagonal; an axis of one element is repeated.
      if (dims[term][axis] != 1) all[(*labels[term])[axis]].strides[term] += stride;
      stride *= dims[term][axis];
    }
  }
  for (const Label& label : all) {
    (label.strides[operands_] != 0 ? kept_ : summed_).push_back(label);
  }
}

}  // namespace simaqat::ops
