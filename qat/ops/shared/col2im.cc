#include "qat/ops/shared/col2im.h"

#include "qat/ir/dim_limit.h"
#include "qat/ops/shared/convolution.h"

namespace simaqat::ops {

ColumnPlaces::ColumnPlaces(const Node& node, const std::vector<int64_t>& image,
                           const std::vector<int64_t>& block) {
  const auto& attributes = node.attributes<Col2ImAttributes>();
  const size_t rank = image.size();
  if (block.size() != rank) {
    node.fail("expected as many sizes of a block as of the image, {}, got {}", rank, block.size());
  }
  const auto numbers = [&](const char* name, const std::vector<int64_t>& given, size_t count,
                           int64_t otherwise) {
    if (!given.empty() && given.size() != count) {
      node.fail("attribute '{}': expected {} numbers, got {}", name, count, given.size());
    }
    return given.empty() ? std::vector<int64_t>(count, otherwise) : given;
  };
  const std::vector<int64_t> dilations = numbers("dilations", attributes.dilations, rank, 1);
  const std::vector<int64_t> strides = numbers("strides", attributes.strides, rank, 1);
  const std::vector<int64_t> pads = numbers("pads", attributes.pads, 2 * rank, 0);
  std::vector<int64_t> counts;
  for (size_t i = 0; i < rank; ++i) {
    if (!isPossibleExtent(image[i], 1) || !isPossibleExtent(block[i], 1)) {
      node.fail("axis {}: a block of {} in an image of {} is not possible", i, block[i], image[i]);
    }
    WindowAxis window{block[i], strides[i], dilations[i], pads[i], pads[rank + i]};
    const int64_t count = windowOutput(node, "NOTSET", image[i], window);
    axes_.push_back({image[i], block[i], count, strides[i], dilations[i], pads[i]});
    counts.push_back(count);
  }
  image_size_ = elementCount(image);
  block_size_ = elementCount(block);
  blocks_ = elementCount(counts);
}

int64_t ColumnPlaces::offset(int64_t element, int64_t block) const {
  int64_t result = 0;
  int64_t step = 1;
  for (size_t i = axes_.size(); i-- > 0;) {
    const Axis& axis = axes_[i];
    const int64_t at =
        block % axis.count * axis.stride + element % axis.kernel * axis.dilation - axis.pad;
    if (at < 0 || at >= axis.image) return -1;
    result += at * step;
    step *= axis.image;
    element /= axis.kernel;
    block /= axis.count;
  }
  return result;
}

}  // namespace simaqat::ops
