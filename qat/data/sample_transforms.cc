#include "qat/data/sample_transforms.h"

#include <algorithm>
#include <cstring>

namespace simaqat {

void shiftImage(const std::byte* in, std::byte* out, const ImageShape& shape, size_t element_bytes,
                int64_t dy, int64_t dx) {
  const int64_t row_bytes = shape.width * static_cast<int64_t>(element_bytes);
  // The columns of a row of `out` that `in` covers.
  const int64_t begin = std::clamp<int64_t>(-dx, 0, shape.width);
  const int64_t end = std::clamp<int64_t>(shape.width - dx, begin, shape.width);
  const int64_t begin_bytes = begin * static_cast<int64_t>(element_bytes);
  const int64_t end_bytes = end * static_cast<int64_t>(element_bytes);
  const int64_t dx_bytes = dx * static_cast<int64_t>(element_bytes);
  for (int64_t plane = 0; plane < shape.planes; ++plane) {
    for (int64_t y = 0; y < shape.height; ++y) {
      std::byte* to = out + (plane * shape.height + y) * row_bytes;
      const int64_t from_y = y + dy;
      if (from_y < 0 || from_y >= shape.height || begin == end) {
        std::memset(to, 0, static_cast<size_t>(row_bytes));
        continue;
      }
      const std::byte* from = in + (plane * shape.height + from_y) * row_bytes;
      std::memset(to, 0, static_cast<size_t>(begin_bytes));
      std::memcpy(to + begin_bytes, from + begin_bytes + dx_bytes,
                  static_cast<size_t>(end_bytes - begin_bytes));
      std::memset(to + end_bytes, 0, static_cast<size_t>(row_bytes - end_bytes));
    }
  }
}

namespace {

template <class Element>
void mirrorRows(const std::byte* in, std::byte* out, int64_t rows, int64_t width) {
  const Element* from = reinterpret_cast<const Element*>(in);
  Element* to = reinterpret_cast<Element*>(out);
  for (int64_t row = 0; row < rows; ++row, from += width, to += width) {
    std::reverse_copy(from, from + width, to);
  }
}

}  // namespace

void mirrorImage(const std::byte* in, std::byte* out, const ImageShape& shape,
                 size_t element_bytes) {
  const int64_t rows = shape.planes * shape.height;
  switch (element_bytes) {
    case 1:
      return mirrorRows<uint8_t>(in, out, rows, shape.width);
    case 2:
      return mirrorRows<uint16_t>(in, out, rows, shape.width);
    case 4:
      return mirrorRows<uint32_t>(in, out, rows, shape.width);
    default:
      SIMAQAT_CHECK(element_bytes == 8);
      return mirrorRows<uint64_t>(in, out, rows, shape.width);
  }
}

void normalizeSample(const std::byte* in, ElementType type, float* out, int64_t channels,
                     int64_t channel_size, float scale, Span<const float> mean,
                     Span<const float> std) {
  visitElementType(type, [&](auto tag) {
    using Element = decltype(tag);
    const Element* from = reinterpret_cast<const Element*>(in);
    float* to = out;
    for (int64_t channel = 0; channel < channels; ++channel) {
      const float channel_mean = mean[mean.size() == 1 ? 0 : static_cast<size_t>(channel)];
      const float channel_std = std[std.size() == 1 ? 0 : static_cast<size_t>(channel)];
      // Divided as written, not multiplied by an inverse: the bits are those of PyTorch's way.
      for (int64_t i = 0; i < channel_size; ++i) {
        to[i] = (static_cast<float>(from[i]) / scale - channel_mean) / channel_std;
      }
      from += channel_size;
      to += channel_size;
    }
  });
}

}  // namespace simaqat
