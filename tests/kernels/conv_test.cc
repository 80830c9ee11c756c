#include "kernels/conv.h"

#include "tests/catch.h"
#include "tests/kernels/conv_shapes.h"
#include "tests/kernels/helpers.h"

namespace simaqat::kernels {
namespace {

struct Results {
  std::vector<float> y, wide_y, dx, dw;  // wide_y from sums in double
};

// All three passes, with arrays that begin `offset` floats behind an aligned address and sentinels
// behind them.
Results runAll(const ConvShape& s, Operands operands, const std::vector<float>& x,
               const std::vector<float>& w, const std::vector<float>& bias,
               const std::vector<float>& dy, int threads, size_t offset = 0) {
  ThreadPool pool(threads);
  constexpr float kSentinel = 12345;
  const auto shifted = [&](const std::vector<float>& v) {
    std::vector<float> out(offset, kSentinel);
    out.insert(out.end(), v.begin(), v.end());
    return out;
  };
  const auto output = [&](int64_t n) {
    return std::vector<float>(offset + static_cast<size_t>(n) + 8, kSentinel);
  };
  const std::vector<float> xs = shifted(x), ws = shifted(w), dys = shifted(dy);
  std::vector<float> y = output(sizeOfY(s)), wide_y = y, dx = output(sizeOfX(s)), dw = output(sizeOfW(s));
  const float* b = bias.empty() ? nullptr : bias.data();
  auto workspace = dirtyWorkspace(convForwardWorkspace(s, Sums::kFloat, threads));
  convForward(s, Sums::kFloat, xs.data() + offset, ws.data() + offset, b, y.data() + offset,
              workspace.data(), pool);
  workspace = dirtyWorkspace(convForwardWorkspace(s, Sums::kDouble, threads));
  convForward(s, Sums::kDouble, xs.data() + offset, ws.data() + offset, b, wide_y.data() + offset,
              workspace.data(), pool);
  workspace = dirtyWorkspace(convInputGradWorkspace(s, operands, threads));
  convInputGrad(s, operands, dys.data() + offset, ws.data() + offset, dx.data() + offset,
                workspace.data(), pool);
  workspace = dirtyWorkspace(convWeightGradWorkspace(s, operands, threads));
  convWeightGrad(s, operands, xs.data() + offset, dys.data() + offset, dw.data() + offset,
                 workspace.data(), pool);
  std::vector<float> both_dx = output(sizeOfX(s)), both_dw = output(sizeOfW(s));
  workspace = dirtyWorkspace(convGradsWorkspace(s, operands, threads));
  convGrads(s, operands, xs.data() + offset, dys.data() + offset, ws.data() + offset,
            both_dx.data() + offset, both_dw.data() + offset, workspace.data(), pool);
  REQUIRE(sameBits(both_dx, dx));
  REQUIRE(sameBits(both_dw, dw));
  for (std::vector<float>* v : {&y, &wide_y, &dx, &dw}) {
    for (size_t i = 0; i < 8; ++i) REQUIRE((*v)[v->size() - 1 - i] == kSentinel);
    for (size_t i = 0; i < offset; ++i) REQUIRE((*v)[i] == kSentinel);
    v->erase(v->begin(), v->begin() + static_cast<ptrdiff_t>(offset));
    v->resize(v->size() - 8);
  }
  return {y, wide_y, dx, dw};
}

void check(const ConvShape& s, Operands operands, bool with_bias) {
  // Depthwise convolution has floats only.
  const auto operand = [&](float v) { return isDepthwise(s) ? v : roundedTo(operands, v); };
  CAPTURE(operands == Operands::kFloat, s.batch, s.in_channels, s.out_channels, s.group, s.in,
          s.out, s.kernel, s.stride, s.dilation, s.pad_begin);
  const std::vector<float> x = randomFloats(sizeOfX(s), 1), w = randomFloats(sizeOfW(s), 2),
                           dy = randomFloats(sizeOfY(s), 3);
  const std::vector<float> bias =
      with_bias ? randomFloats(s.out_channels, 4) : std::vector<float>();
  std::vector<double> y(static_cast<size_t>(sizeOfY(s))), dx(x.size()), dw(w.size());
  for (size_t i = 0; i < y.size() && with_bias; ++i) {
    y[i] = bias[i / static_cast<size_t>(product(s.out)) % static_cast<size_t>(s.out_channels)];
  }
  forEachProduct(s, [&](int64_t xi, int64_t wi, int64_t yi) {
    const auto a = static_cast<size_t>(xi), b = static_cast<size_t>(wi),
               c = static_cast<size_t>(yi);
    y[c] += static_cast<double>(x[a]) * w[b];
    dx[a] += static_cast<double>(operand(dy[c])) * operand(w[b]);
    dw[b] += static_cast<double>(operand(dy[c])) * operand(x[a]);
  });
  const Results one = runAll(s, operands, x, w, bias, dy, 1);
  CHECK(relativeError(one.y, y) < 2e-6);
  // Half a unit in the last place for each block of taps, of which there are up to three here.
  CHECK(relativeError(one.wide_y, y) <= 1.2e-7);
  CHECK(relativeError(one.dx, dx) < 2e-6);
  CHECK(relativeError(one.dw, dw) < 2e-6);
  for (int threads : {2, 3}) {
    const Results more =
        runAll(s, operands, x, w, bias, dy, threads, static_cast<size_t>(threads - 1));
    CHECK(sameBits(more.y, one.y));
    CHECK(sameBits(more.wide_y, one.wide_y));
    CHECK(sameBits(more.dx, one.dx));
    CHECK(sameBits(more.dw, one.dw));
  }
}

void check(const ConvShape& s, bool with_bias = true) {
  for (const Operands operands : {Operands::kFloat, Operands::kBfloat16}) {
    check(s, operands, with_bias);
  }
}

}  // namespace

TEST_CASE("convolution agrees with a naive one: ResNet-20's shapes") {
  check(make(2, 3, 16, 1, {1, 32, 32}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  check(make(3, 16, 16, 1, {1, 32, 32}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}), false);
  check(make(3, 16, 32, 1, {1, 32, 32}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}));
  check(make(5, 64, 64, 1, {1, 8, 8}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  check(make(3, 16, 32, 1, {1, 32, 32}, {1, 1, 1}, {1, 2, 2}));
}

TEST_CASE("convolution agrees with a naive one: sizes around vectors and tiles") {
  for (int64_t size : {1, 6, 7, 8, 9, 15, 17, 33}) {
    check(make(2, 3, 5, 1, {1, size, size + 1}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
    check(make(3, 5, 7, 1, {1, size, size}, {1, 1, 1}));
    check(make(2, 4, 4, 4, {1, size, size}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}));
  }
  check(make(1, 130, 9, 1, {1, 8, 8}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  check(make(33, 6, 10, 1, {1, 7, 7}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  check(make(2, 8, 8, 1, {1, 70, 130}, {1, 5, 5}, {1, 1, 1}, {0, 2, 2}));
  check(make(1, 700, 3, 1, {1, 9, 40}, {1, 1, 1}));
  check(make(2, 1, 1, 1, {1, 20, 20}, {1, 3, 3}));
}

TEST_CASE("convolution agrees with a naive one: groups, strides, dilation, padding") {
  check(make(2, 6, 9, 3, {1, 11, 13}, {1, 3, 2}, {1, 2, 3}, {0, 1, 2}, {1, 2, 1}));
  check(make(2, 6, 4, 2, {1, 12, 12}, {1, 3, 3}, {1, 2, 2}, {0, 0, 0}, {1, 2, 3}, {0, 1, 1}));
  check(make(2, 4, 4, 1, {1, 14, 14}, {1, 4, 5}, {1, 4, 6}, {0, 3, 1}, {1, 6, 4}, {0, 5, 20}));
  check(make(2, 12, 12, 12, {1, 19, 19}, {1, 5, 5}, {1, 2, 2}, {0, 2, 2}));
  check(make(2, 6, 18, 6, {1, 10, 10}, {1, 3, 3}, {1, 1, 1}, {0, 2, 2}, {1, 2, 2}));
  check(make(1, 2, 2, 1, {1, 3, 3}, {1, 2, 2}, {1, 5, 5}, {0, 4, 4}));
  check(make(2, 3, 8, 1, {1, 30, 30}, {1, 7, 7}, {1, 2, 2}, {0, 3, 3}));
}

TEST_CASE("convolution agrees with a naive one: one and three axes") {
  check(make(2, 3, 4, 1, {1, 1, 1000}, {1, 1, 9}, {1, 1, 4}, {0, 0, 4}));
  check(make(1, 40, 4, 1, {1, 1, 5000}, {1, 1, 3}, {1, 1, 1}, {0, 0, 2}, {1, 1, 2}));
  check(make(2, 3, 5, 1, {5, 6, 7}, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}));
  check(make(2, 4, 4, 4, {5, 6, 7}, {3, 2, 3}, {2, 1, 2}, {1, 0, 1}, {1, 2, 1}));
  check(make(2, 4, 6, 2, {4, 6, 8}, {1, 1, 1}));
}

TEST_CASE("1x1 convolutions agree with a naive one") {
  const std::array<int64_t, 3> ones{1, 1, 1}, zeros{0, 0, 0};
  for (const auto& [in, out, size] : {std::array<int64_t, 3>{16, 96, 37},
                                      {24, 144, 7},
                                      {64, 384, 9},
                                      {3, 5, 1},
                                      {17, 33, 20},
                                      {65, 70, 6},
                                      {8, 520, 5},
                                      {1, 40, 12},
                                      {40, 7, 11}}) {
    check(make(5, in, out, 1, {1, size, size}, ones, ones, zeros));
  }
}

TEST_CASE("gradients of a 1x1 convolution of codes are the same together as one by one") {
  const ConvShape s = make(3, 20, 50, 1, {1, 19, 23}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0});
  const std::vector<float> w = randomFloats(sizeOfW(s), 2), dy = randomFloats(sizeOfY(s), 3);
  std::vector<uint8_t> codes(static_cast<size_t>(sizeOfX(s)));
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>(i * 37 + i / 256);
  const Codes x{codes.data(), 0.02f, 117};
  ThreadPool pool(2);
  std::vector<float> dx(codes.size()), dw(w.size()), both_dx = dx, both_dw = dw;
  for (const Operands operands : {Operands::kFloat, Operands::kBfloat16}) {
    auto workspace = dirtyWorkspace(convInputGradWorkspace(s, operands, 2));
    convInputGrad(s, operands, dy.data(), w.data(), dx.data(), workspace.data(), pool);
    workspace = dirtyWorkspace(convWeightGradWorkspace(s, operands, 2));
    convWeightGrad(s, operands, x, dy.data(), dw.data(), workspace.data(), pool);
    workspace = dirtyWorkspace(convGradsWorkspace(s, operands, 2));
    convGrads(s, operands, x, dy.data(), w.data(), both_dx.data(), both_dw.data(), workspace.data(),
              pool);
    CHECK(sameBits(both_dx, dx));
    CHECK(sameBits(both_dw, dw));
  }
}

TEST_CASE("depthwise convolution agrees with a naive one") {
  onEveryIsa([] {
    CAPTURE(isaName(kernels().isa));
    for (const ConvShape& shape : depthwiseShapes()) check(shape);
  });
}

TEST_CASE("convolution of an empty batch, and of inputs that no window reaches") {
  check(make(0, 3, 4, 1, {1, 8, 8}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}));
  ConvShape s = make(2, 3, 4, 1, {1, 9, 9}, {1, 2, 2}, {1, 4, 4});
  s.out = {1, 1, 1};
  check(s);
}

TEST_CASE("a sample's convolution does not depend on the rest of the batch") {
  for (int64_t batch : {2, 5, 64}) {
    const ConvShape s = make(batch, 8, 8, 1, {1, 8, 8}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1});
    ConvShape single = s;
    single.batch = 1;
    const std::vector<float> x = randomFloats(sizeOfX(s), 1), w = randomFloats(sizeOfW(s), 2),
                             dy = randomFloats(sizeOfY(s), 3);
    const Operands operands = batch == 5 ? Operands::kBfloat16 : Operands::kFloat;
    const Results all = runAll(s, operands, x, w, {}, dy, 2);
    for (int64_t n = 0; n < batch; ++n) {
      const auto part = [&](const std::vector<float>& v) {
        const ptrdiff_t size = static_cast<ptrdiff_t>(v.size()) / batch;
        return std::vector<float>(v.begin() + n * size, v.begin() + (n + 1) * size);
      };
      const Results one = runAll(single, operands, part(x), w, {}, part(dy), 1);
      REQUIRE(sameBits(one.y, part(all.y)));
      REQUIRE(sameBits(one.wide_y, part(all.wide_y)));
      REQUIRE(sameBits(one.dx, part(all.dx)));
    }
  }
}

TEST_CASE("depthwise convolution of a small plane keeps a NaN within its windows") {
  const ConvShape s = make(1, 2, 2, 2, {1, 7, 7}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1});
  std::vector<float> x = randomFloats(sizeOfX(s), 1);
  const std::vector<float> w = randomFloats(sizeOfW(s), 2), dy = randomFloats(sizeOfY(s), 3);
  x[6] = std::nanf("");  // the last of the first row
  const Results r = runAll(s, Operands::kFloat, x, w, {}, dy, 1);
  for (int64_t i = 0; i < sizeOfY(s); ++i) {
    const bool sees_it = i == 5 || i == 6 || i == 12 || i == 13;
    CHECK(std::isnan(r.y[static_cast<size_t>(i)]) == sees_it);
  }
}

TEST_CASE("convolution lets a NaN go where its windows are and nowhere else") {
  const ConvShape s = make(2, 3, 4, 1, {1, 9, 9}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1});
  std::vector<float> x = randomFloats(sizeOfX(s), 1);
  const std::vector<float> w = randomFloats(sizeOfW(s), 2), dy = randomFloats(sizeOfY(s), 3);
  x[0] = std::nanf("");
  const Results r = runAll(s, Operands::kFloat, x, w, {}, dy, 1);
  for (int64_t i = 0; i < sizeOfY(s); ++i) {
    const int64_t column = i % 9, row = i / 9 % 9;
    const bool touched = i < 4 * 81 && row <= 1 && column <= 1;
    REQUIRE(std::isnan(r.y[static_cast<size_t>(i)]) == touched);
    REQUIRE(std::isnan(r.wide_y[static_cast<size_t>(i)]) == touched);
  }
}

}  // namespace simaqat::kernels
