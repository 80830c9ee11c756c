// The machine's vector of floats, as Eigen's packet operations see it: AVX2 with FMA on x86-64,
// NEON on Arm. One source then serves all, and a fused multiply-add is one where it is written,
// whatever -ffp-contract says.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <cstring>

namespace simaqat::kernels {

using Packet = Eigen::internal::packet_traits<float>::type;
constexpr int kLanes = Eigen::internal::packet_traits<float>::size;

// kLanes vectors, for Eigen's ptranspose. GCC warns that a vector's alignment attribute is not part
// of the template's name: it need not be.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"
using PacketSquare = Eigen::internal::PacketBlock<Packet, kLanes>;
#pragma GCC diagnostic pop

inline Packet load(const float* p) { return Eigen::internal::ploadu<Packet>(p); }
inline void store(float* p, const Packet& v) { Eigen::internal::pstoreu(p, v); }
inline Packet broadcast(float v) { return Eigen::internal::pset1<Packet>(v); }
inline Packet multiplyAdd(const Packet& a, const Packet& b, const Packet& c) {
  return Eigen::internal::pmadd(a, b, c);
}

// kLanes neighbours as T, in as many of the machine's vectors as that takes.
template <class T>
struct Lanes {
  using Part = typename Eigen::internal::packet_traits<T>::type;
  static constexpr int kPartSize = Eigen::internal::packet_traits<T>::size;
  static constexpr int kParts = kLanes / kPartSize;

  static Lanes load(const T* p) {
    Lanes v;
    for (int i = 0; i < kParts; ++i) {
      v.part[i] = Eigen::internal::ploadu<Part>(p + i * kPartSize);
    }
    return v;
  }
  static Lanes broadcast(T value) {
    Lanes v;
    for (int i = 0; i < kParts; ++i) v.part[i] = Eigen::internal::pset1<Part>(value);
    return v;
  }
  void store(T* p) const {
    for (int i = 0; i < kParts; ++i) Eigen::internal::pstoreu(p + i * kPartSize, part[i]);
  }
  // The bits that the mask has.
  Lanes masked(const Lanes& mask) const {
    Lanes v;
    for (int i = 0; i < kParts; ++i) v.part[i] = Eigen::internal::pand(part[i], mask.part[i]);
    return v;
  }
  // this += a * b
  void multiplyAdd(const Lanes& a, const Lanes& b) {
    for (int i = 0; i < kParts; ++i) {
      part[i] = Eigen::internal::pmadd(a.part[i], b.part[i], part[i]);
    }
  }

  Part part[kParts];
};

// Of the 2 kLanes neighbours in a and b, those with even places and those with odd ones.
inline void deinterleave(const Packet& a, const Packet& b, Packet& even, Packet& odd) {
#if defined(__AVX2__)
  const auto order = [](const Packet& v) {
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), 0xd8));
  };
  even = order(_mm256_shuffle_ps(a, b, 0x88));
  odd = order(_mm256_shuffle_ps(a, b, 0xdd));
#else
  float in[2 * kLanes], evens[kLanes], odds[kLanes];
  store(in, a);
  store(in + kLanes, b);
  for (int i = 0; i < kLanes; ++i) {
    evens[i] = in[2 * i];
    odds[i] = in[2 * i + 1];
  }
  even = load(evens);
  odd = load(odds);
#endif
}

// The reverse: a's elements at even places, b's at odd ones.
inline void interleave(const Packet& a, const Packet& b, float* to) {
#if defined(__AVX2__)
  const __m256 low = _mm256_unpacklo_ps(a, b), high = _mm256_unpackhi_ps(a, b);
  _mm256_storeu_ps(to, _mm256_permute2f128_ps(low, high, 0x20));
  _mm256_storeu_ps(to + kLanes, _mm256_permute2f128_ps(low, high, 0x31));
#else
  float evens[kLanes], odds[kLanes];
  store(evens, a);
  store(odds, b);
  for (int i = 0; i < kLanes; ++i) {
    to[2 * i] = evens[i];
    to[2 * i + 1] = odds[i];
  }
#endif
}

// kSize codes, kLanes or half as many, as floats.
template <int kSize>
void expandCodes(const uint8_t* codes, float* to) {
#if defined(__AVX2__)
  static_assert(kSize == 8 || kSize == 4, "vectors and halves of them");
  if constexpr (kSize == 8) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes));
    _mm256_storeu_ps(to, _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)));
  } else {
    int32_t bytes;
    std::memcpy(&bytes, codes, sizeof(bytes));
    _mm_storeu_ps(to, _mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes))));
  }
#else
  for (int i = 0; i < kSize; ++i) to[i] = static_cast<float>(codes[i]);
#endif
}

// kLanes codes with even places, as floats, out of 2 kLanes.
inline void expandEvenCodes(const uint8_t* codes, float* to) {
#if defined(__AVX2__)
  const __m128i all = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
  const __m128i even = _mm_and_si128(all, _mm_set1_epi16(0xff));
  _mm256_storeu_ps(to, _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(even)));
#else
  for (int i = 0; i < kLanes; ++i) to[i] = static_cast<float>(codes[2 * i]);
#endif
}

inline float sumOfLanes(const Packet& v) { return Eigen::internal::predux(v); }

// The next multiple of a vector's length.
inline int64_t roundUpToLanes(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

}  // namespace simaqat::kernels
