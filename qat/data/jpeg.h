// JPEG images, decoded by libjpeg-turbo.
#pragma once

#include <cstddef>
#include <cstdint>

#include "qat/base/span.h"

namespace simaqat {

struct ImageSize {
  int64_t height = 0;
  int64_t width = 0;
};

// What the file's header says; an Error without a name where it is none.
ImageSize jpegSize(Span<const std::byte> file);

// Decodes an image of that size into planes: red, green and blue, or one of gray. The same bytes
// give the same numbers on every processor. An Error without a name where the file is damaged.
void decodeJpeg(Span<const std::byte> file, const ImageSize& size, int64_t channels, uint8_t* planes);

}  // namespace simaqat
