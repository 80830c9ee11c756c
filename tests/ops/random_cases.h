// Operators with fast kernels on shapes drawn at random, each with the right results.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "qat/base/random.h"
#include "tests/ops/run_node.h"

namespace simaqat {

// Numbers drawn one after the other; the same for the same key.
class Dice {
 public:
  Dice(uint64_t seed, const std::string& purpose, uint64_t round)
      : stream_(seed, randomPurpose(purpose), round) {}

  int64_t between(int64_t least, int64_t most);
  bool chance(int64_t percent) { return between(1, 100) <= percent; }
  int64_t oneOf(const std::vector<int64_t>& numbers);
  // An extent from 1 to 40, or a number of channels: often one around a vector's length.
  int64_t extent();
  int64_t channels();
  // Standard normal floats, codes, and numbers from `lo` to `hi`.
  Tensor floats(std::vector<int64_t> dims);
  Tensor codes(std::vector<int64_t> dims);
  Tensor uniform(std::vector<int64_t> dims, float lo, float hi);

 private:
  RandomStream stream_;
  uint64_t at_ = 0;
};

struct RandomCase {
  std::string op;  // qualified name
  AttributeMap attributes = {};
  std::vector<Tensor> inputs = {};
  size_t output_count = 1;
  // Of each output: the right values, and how far each element may be off. No tensor: not at all.
  std::vector<Tensor> expected = {}, bounds = {};
};

// "simaqat::ConvInputGradient(float[1,3,8,8], ...) {...}"
std::string describe(const RandomCase& drawn);

// What draws cases of an operator or of one of its forms, by name.
const std::map<std::string, std::function<RandomCase(Dice&)>>& randomCases();

}  // namespace simaqat
