#include "qat/data/jpeg.h"

#include <turbojpeg.h>

#include <memory>
#include <new>
#include <vector>

#include "qat/base/error.h"

namespace simaqat {
namespace {

struct DecoderCloser {
  void operator()(void* decoder) const { tjDestroy(decoder); }
};

// One for each thread: it is no more than scratch memory.
tjhandle decoder() {
  thread_local const std::unique_ptr<void, DecoderCloser> handle(tjInitDecompress());
  if (!handle) throw std::bad_alloc();
  return handle.get();
}

Error damaged() { return inputError("is a damaged JPEG: {}", tjGetErrorStr2(decoder())); }

const unsigned char* dataOf(Span<const std::byte> file) {
  return reinterpret_cast<const unsigned char*>(file.data());
}

}  // namespace

ImageSize jpegSize(Span<const std::byte> file) {
  int width = 0, height = 0, subsampling = 0, colors = 0;
  if (tjDecompressHeader3(decoder(), dataOf(file), file.size(), &width, &height, &subsampling,
                          &colors) != 0) {
    throw damaged();
  }
  return {height, width};
}

void decodeJpeg(Span<const std::byte> file, const ImageSize& size, int64_t channels,
                uint8_t* planes) {
  const bool is_gray = channels == 1;
  SIMAQAT_CHECK(is_gray || channels == 3);
  thread_local std::vector<uint8_t> pixels;
  const auto count = static_cast<size_t>(size.height * size.width);
  if (!is_gray) pixels.resize(3 * count);
  // A warning (data that ends early) is damage as well.
  if (tjDecompress2(decoder(), dataOf(file), file.size(), is_gray ? planes : pixels.data(),
                    static_cast<int>(size.width), 0, static_cast<int>(size.height),
                    is_gray ? TJPF_GRAY : TJPF_RGB, TJFLAG_ACCURATEDCT) != 0) {
    throw damaged();
  }
  if (is_gray) return;
  for (size_t i = 0; i < count; ++i) {
    for (size_t channel = 0; channel < 3; ++channel) {
      planes[channel * count + i] = pixels[3 * i + channel];
    }
  }
}

}  // namespace simaqat
