// What Col2Im and its gradient share: blocks of an image, one a column, and where their elements
// lie.
#pragma once

#include <vector>

#include "qat/ir/op.h"

namespace simaqat::ops {

struct Col2ImAttributes {
  std::vector<int64_t> dilations;
  std::vector<int64_t> pads;
  std::vector<int64_t> strides;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit("dilations", self.dilations);
    visit("pads", self.pads);
    visit("strides", self.strides);
  }
};

class ColumnPlaces {
 public:
  // Fails naming the node where the sizes do not fit.
  ColumnPlaces(const Node& node, const std::vector<int64_t>& image,
               const std::vector<int64_t>& block);

  int64_t imageSize() const { return image_size_; }
  int64_t blockSize() const { return block_size_; }
  int64_t blocks() const { return blocks_; }

  // Calls f(element, block, offset) for each element of each block, with its offset in the image;
  // -1 for one in the padding.
  template <class F>
  void forEach(F f) const {
    for (int64_t element = 0; element < block_size_; ++element) {
      for (int64_t block = 0; block < blocks_; ++block) f(element, block, offset(element, block));
    }
  }

 private:
  struct Axis {
    int64_t image, kernel, count, stride, dilation, pad;
  };
  int64_t offset(int64_t element, int64_t block) const;

  std::vector<Axis> axes_;
  int64_t image_size_ = 1;
  int64_t block_size_ = 1;
  int64_t blocks_ = 1;
};

}  // namespace simaqat::ops
