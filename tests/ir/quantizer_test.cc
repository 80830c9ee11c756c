// docs/NUMERICS.md, formula by formula.
#include "qat/ir/quantizer.h"

#include <cmath>

#include "qat/base/random.h"
#include "tests/catch.h"

namespace simaqat {
namespace {

constexpr float kMin = std::numeric_limits<float>::min();
constexpr float kMax = std::numeric_limits<float>::max();

const QuantizerSpec kActivation = activationQuantizer();
const QuantizerSpec kWeight = weightQuantizer(0);

TEST_CASE("a range gives scale and zero point") {
  const auto check = [](float lo, float hi, float scale, int32_t zero_point) {
    INFO(lo << " to " << hi);
    const ScaleAndZeroPoint result = scaleFromRange(kActivation, lo, hi);
    CHECK(result.scale == scale);
    CHECK(result.zero_point == zero_point);
  };
  check(-1, 1, 2.0f / 255, 127);  // 1 / s is just below 127.5
  check(-127.5f, 127.5f, 1, 128);  // ties to even
  check(0, 6, 6.0f / 255, 0);
  check(-255, 0, 1, 255);
  check(-0.4f, 254.6f, 1, 0);
  // Zero belongs to every range.
  check(2, 5, 5.0f / 255, 0);
  check(-5, -2, 5.0f / 255, 255);
  // Nothing, or too little, to be seen.
  check(0, 0, 1, 0);
  check(kUnsetMin, kUnsetMax, 1, 0);
  check(0, 1e-40f, 1, 0);
  check(-1e-40f, 1e-40f, 1, 0);
  check(0, 254 * kMin, 1, 0);
  check(0, 255 * kMin, kMin, 0);
  // hi - lo is beyond what a float holds.
  check(-kMax, kMax, kMax / 255 + kMax / 255, 128);
  check(-kMax, 0, kMax / 255, 255);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  check(nan, nan, 1, 0);
}

TEST_CASE("signed codes of an empty range have zero point 0") {
  QuantizerSpec spec;
  spec.qmin = -128;
  spec.qmax = 127;
  CHECK(scaleFromRange(spec, 0, 0).zero_point == 0);
  CHECK(scaleFromRange(spec, 0, 255).zero_point == -128);
  CHECK(scaleFromRange(spec, -128, 127).zero_point == 0);
}

TEST_CASE("no random range breaks the quantizer's promises") {
  const RandomStream random(7, randomPurpose("ranges"), 0);
  for (uint64_t i = 0; i < 20000; ++i) {
    const auto number = [&](uint64_t k) {
      const float magnitude = std::exp2(random.uniform(4 * i + k) * 267 - 140);
      return random.bits(4 * i + k + 1) % 2 == 0 ? magnitude : -magnitude;
    };
    const float a = number(0);
    const float b = number(2);
    const float lo = std::min(a, b);
    const float hi = std::max(a, b);
    const ScaleAndZeroPoint p = scaleFromRange(kActivation, lo, hi);
    INFO(lo << " to " << hi);
    REQUIRE(p.scale >= kMin);
    REQUIRE(std::isfinite(p.scale));
    REQUIRE((p.zero_point >= 0 && p.zero_point <= 255));
    // Zero is exact, and both ends are at most one step and a half from the grid's ends.
    REQUIRE(quantizeOne(0, p.scale, p.zero_point, 0, 255) == p.zero_point);
    const double end = (255.0 - p.zero_point) * p.scale;
    REQUIRE((std::max(hi, 0.0f) <= end + 1.5 * p.scale));
    REQUIRE((std::min(lo, 0.0f) >= -1.0 * p.zero_point * p.scale - 1.5 * p.scale));
  }
}

TEST_CASE("the largest value never passes the bound of the activation") {
  const RandomStream random(8, randomPurpose("bounds"), 0);
  for (uint64_t i = 0; i < 20000; ++i) {
    QuantizerSpec spec;
    spec.upper_bound = std::exp2(random.uniform(3 * i) * 200 - 100);
    const float hi = spec.upper_bound * (i % 2 == 0 ? 1.0f : random.uniform(3 * i + 1));
    const float lo = i % 3 == 0 ? -spec.upper_bound * random.uniform(3 * i + 2) : 0.0f;
    const ScaleAndZeroPoint p = scaleFromRange(spec, lo, hi);
    INFO(lo << " to " << hi << ", bound " << spec.upper_bound);
    REQUIRE(largestValue(spec, p) <= spec.upper_bound);
    REQUIRE(p.scale >= kMin);
    // It is a step of the code below at most.
    if (hi == spec.upper_bound) {
      REQUIRE(largestValue(spec, p) >= spec.upper_bound - 1.01f * p.scale);
    }
  }
}

TEST_CASE("bounds that an observed range cannot meet end all the same") {
  QuantizerSpec spec;
  spec.upper_bound = -1;  // Clip(-3, -1)
  CHECK(scaleFromRange(spec, -3, -1).zero_point == 255);
  spec.upper_bound = 0;
  CHECK(scaleFromRange(spec, -3, 0).scale == 3.0f / 255);
  spec.upper_bound = 1;
  CHECK(largestValue(spec, scaleFromRange(spec, 0, 1e30f)) <= 1);
  spec.upper_bound = 1e-40f;
  CHECK(scaleFromRange(spec, 0, 1).scale == kMin);
}

TEST_CASE("symmetric scales follow the largest magnitude") {
  CHECK(scaleFromMaxAbs(kWeight, 127) == 1);
  CHECK(scaleFromMaxAbs(kWeight, 0) == 1);
  CHECK(scaleFromMaxAbs(kWeight, 1e-40f) == 1);
  CHECK(scaleFromMaxAbs(kWeight, 127 * kMin) == kMin);
  CHECK(scaleFromMaxAbs(kWeight, kMax) == kMax / 127);
}

TEST_CASE("codes round ties to even and clamp") {
  const auto code = [](float x) { return quantizeOne(x, 1, 10, 0, 255); };
  CHECK(code(0.5f) == 10);
  CHECK(code(1.5f) == 12);
  CHECK(code(2.5f) == 12);
  CHECK(code(-0.5f) == 10);
  CHECK(code(-1.5f) == 8);
  CHECK(code(-10.6f) == 0);
  CHECK(code(-1e30f) == 0);
  CHECK(code(244.5f) == 254);
  CHECK(code(1e30f) == 255);
  CHECK(code(std::numeric_limits<float>::infinity()) == 255);
  // The quotient is rounded to float first, by division and not by a reciprocal.
  CHECK(quantizeOne(0.3f * 2.5f, 0.3f, 0, 0, 255) == std::nearbyint(0.3f * 2.5f / 0.3f));
}

TEST_CASE("the spec names its type") {
  CHECK(kActivation.codeType() == ElementType::kUint8);
  CHECK(kWeight.codeType() == ElementType::kInt8);
  CHECK(kActivation.toString() == "uint8 per tensor");
  CHECK(kWeight.toString() == "int8 per channel (axis 0)");
  QuantizerSpec wide;
  wide.qmax = 65535;
  CHECK(wide.codeType() == ElementType::kUint16);
  wide.qmin = -32768;
  wide.qmax = 32767;
  CHECK(wide.codeType() == ElementType::kInt16);
}

TEST_CASE("symmetric quantizers have their zero point in the middle of the codes") {
  QuantizerSpec spec;
  spec.symmetric = true;
  CHECK(scaleFromRange(spec, -1, 3).zero_point == 128);
  CHECK(scaleFromRange(spec, -1, 3).scale == 3.0f / 127);
  CHECK(scaleFromRange(spec, -5, 3).scale == 5.0f / 127);
  CHECK(scaleFromMaxAbs(spec, 127) == 1);
  setActivationBits(spec, 8, true);
  CHECK(spec.qmin == -128);
  CHECK(scaleFromRange(spec, -1, 3).zero_point == 0);
  CHECK(scaleFromRange(spec, -5, 3).scale == 5.0f / 127);
  CHECK(scaleFromRange(spec, 0, 0).zero_point == 0);
  // Signed codes of an affine quantizer.
  spec.symmetric = false;
  CHECK(scaleFromRange(spec, 0, 255).zero_point == -128);
  CHECK(scaleFromRange(spec, 0, 255).scale == 1);
}

TEST_CASE("widths") {
  QuantizerSpec weight = weightQuantizer(0);
  for (int64_t bits : {2, 3, 4, 7, 8, 16}) {
    setWeightBits(weight, bits);
    CHECK(weight.qmax == (1 << (bits - 1)) - 1);
    CHECK(weight.qmin == -weight.qmax);
  }
  setWeightBits(weight, 4);
  CHECK(weight.codeType() == ElementType::kInt4);
  CHECK(weight.toString() == "int4 per channel (axis 0)");
  setWeightBits(weight, 7);
  CHECK(weight.codeType() == ElementType::kInt8);
  CHECK(weight.toString() == "int8 (7 bits) per channel (axis 0)");
  QuantizerSpec activation;
  setActivationBits(activation, 4, false);
  CHECK(activation.codeType() == ElementType::kUint4);
  CHECK(activation.toString() == "uint4 per tensor");
  CHECK(firstOpsetOf(ElementType::kUint4) == 21);
  CHECK(firstOpsetOf(ElementType::kInt16) == 21);
  CHECK(firstOpsetOf(ElementType::kUint8) == 10);
}

TEST_CASE("which scales a tensor has, and whose they are") {
  const std::vector<int64_t> dims = {4, 3, 2};
  QuantizerSpec spec = weightQuantizer(-1);
  CHECK(scaleDims(spec, dims).empty());
  spec.axis = 0;
  CHECK(scaleDims(spec, dims) == std::vector<int64_t>{4, 1, 1});
  spec.axis = 1;
  CHECK(scaleDims(spec, dims) == std::vector<int64_t>{1, 3, 1});
  CHECK(channelOfScale(spec, dims, 2) == 2);
  spec.groups = 2;
  CHECK(scaleDims(spec, dims) == std::vector<int64_t>{4, 3, 1});
  std::vector<int64_t> channels;
  for (int64_t i = 0; i < 12; ++i) channels.push_back(channelOfScale(spec, dims, i));
  CHECK(channels == std::vector<int64_t>{0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5});
}

TEST_CASE("known ranges") {
  QuantizerSpec spec;
  CHECK(scaleOfUnit(spec, 1).scale == 1.0f / 256);
  CHECK(scaleOfUnit(spec, 1).zero_point == 0);
  setActivationBits(spec, 8, true);
  CHECK(scaleOfUnit(spec, 1).scale == 1.0f / 256);
  CHECK(scaleOfUnit(spec, 1).zero_point == -128);
  spec.symmetric = true;
  CHECK(scaleOfUnit(spec, 1).scale == 1.0f / 128);
  CHECK(scaleOfUnit(spec, 1).zero_point == 0);
}

TEST_CASE("learned scales and offsets") {
  QuantizerSpec spec;
  CHECK(zeroPointOfOffset(spec, 0.5f, -3.2f) == 6);
  CHECK(zeroPointOfOffset(spec, 0.5f, 1) == 0);
  CHECK(zeroPointOfOffset(spec, 0.5f, -1e9f) == 255);
  CHECK(learnedScaleLimit(spec) == kMax);
  spec.upper_bound = 6;
  const float limit = learnedScaleLimit(spec);
  CHECK(limit * 255 <= 6);
  CHECK(std::nextafter(limit, 1.0f) * 255 > 5.99999f);
}

// ---- Channels ------------------------------------------------------------------------------

TEST_CASE("a folded channel keeps its codes, with the sign of the factor") {
  const std::vector<float> weights = {1, -0.5f, 0.25f, 0};
  const float scale = 1.0f / 127;
  const QuantizedChannel plain = quantizeChannel(kWeight, weights, scale, 1, 0, 0.1f);
  CHECK(plain.codes == std::vector<int32_t>{127, -64, 32, 0});
  CHECK(plain.scale == scale);
  CHECK(plain.bias == 0);
  const QuantizedChannel flipped = quantizeChannel(kWeight, weights, scale, -4, 0.5, 0.1f);
  CHECK(flipped.codes == std::vector<int32_t>{-127, 64, -32, 0});
  CHECK(flipped.scale == 4 * scale);
  CHECK(flipped.bias == std::nearbyint(0.5 / (0.1f * (4 * scale))));
}

TEST_CASE("a channel of zeros takes the scale of its bias") {
  const std::vector<float> weights = {1, -0.5f};
  for (double bias : {3.0, -3.0}) {
    for (double factor : {0.0, 1e-45}) {
      const QuantizedChannel channel = quantizeChannel(kWeight, weights, 0.01f, factor, bias, 0.5f);
      CHECK(channel.codes == std::vector<int32_t>{0, 0});
      CHECK(channel.scale == static_cast<float>(3.0 / (0.5 * 8388608.0)));
      CHECK(std::abs(std::abs(channel.bias) - 8388608) <= 1);
    }
  }
  const QuantizedChannel silent = quantizeChannel(kWeight, weights, 0.01f, 0, 0, 0.5f);
  CHECK(silent.scale == 1);
  CHECK(silent.bias == 0);
  // Zero weights behind a factor that is not.
  const QuantizedChannel zero = quantizeChannel(kWeight, std::vector<float>{0, 0}, 1, 2, 1, 0.5f);
  CHECK(zero.codes == std::vector<int32_t>{0, 0});
  CHECK(std::abs(zero.bias - 8388608) <= 1);
}

TEST_CASE("a bias that does not fit raises the scale") {
  const std::vector<float> weights = {1, -1, 0.5f};
  const float scale = 1.0f / 127;
  // 1e-12 * scale asks for a bias of 1e15 codes.
  const QuantizedChannel channel = quantizeChannel(kWeight, weights, scale, 1e-12, 1, 0.1f);
  CHECK(channel.scale > 1e-12f * scale);
  CHECK(std::abs(channel.bias) <= 1 << 30);
  CHECK(std::abs(channel.bias) >= (1 << 30) - 256);
  const double represented = static_cast<double>(channel.bias) * (0.1f * channel.scale);
  CHECK(std::fabs(represented - 1) < 1e-6);
}

TEST_CASE("random channels: the bias fits, and codes stand for the folded weights") {
  const RandomStream random(9, randomPurpose("channels"), 0);
  for (uint64_t i = 0; i < 5000; ++i) {
    const auto uniform = [&](uint64_t k) { return random.uniform(64 * i + k); };
    std::vector<float> weights(8);
    float max_abs = 0;
    for (size_t k = 0; k < weights.size(); ++k) {
      weights[k] = uniform(k) * 2 - 1;
      max_abs = std::max(max_abs, std::fabs(weights[k]));
    }
    const float scale = scaleFromMaxAbs(kWeight, max_abs);
    const double factor = std::exp2(uniform(20) * 160 - 120) * (uniform(21) < 0.5f ? -1 : 1);
    const double bias = (uniform(22) - 0.5) * std::exp2(uniform(23) * 40 - 20);
    const float input_scale = std::exp2(uniform(24) * 40 - 30);
    const QuantizedChannel channel =
        quantizeChannel(kWeight, weights, scale, factor, bias, input_scale);
    INFO("factor " << factor << ", bias " << bias << ", input scale " << input_scale);
    const float bias_scale = input_scale * channel.scale;
    REQUIRE(channel.scale >= kMin);
    REQUIRE(bias_scale >= kMin);
    REQUIRE(std::abs(static_cast<int64_t>(channel.bias)) <= int64_t{1} << 30);
    REQUIRE(std::fabs(channel.bias * static_cast<double>(bias_scale) - bias) <=
            0.5001 * bias_scale + 1e-6 * std::fabs(bias));
    for (size_t k = 0; k < weights.size(); ++k) {
      const int32_t own = quantizeOne(weights[k], scale, 0, -127, 127);
      const double trained = own * static_cast<double>(scale) * factor;
      REQUIRE(std::fabs(channel.codes[k] * static_cast<double>(channel.scale) - trained) <=
              0.5001 * channel.scale);
      // Where the scale was not raised, the codes are W's own.
      if (channel.scale == static_cast<float>(scale * std::fabs(factor))) {
        REQUIRE(channel.codes[k] == (factor < 0 ? -own : own));
      }
    }
  }
}

}  // namespace
}  // namespace simaqat
