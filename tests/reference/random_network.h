// Small networks drawn at random, of the blocks that image classifiers are made of.
#pragma once

#include <cstdint>
#include <string>

#include "qat/ir/graph.h"

namespace simaqat {

struct NetworkKind {
  // Sums of products, Relu, pooling and BatchNormalization alone: no exponential anywhere.
  bool arithmetic_only = false;
};

struct RandomNetwork {
  Graph model;       // input x [N, C, H, W] of `dims`, output y [N, classes]
  std::string text;  // as qat/ir/parser.h reads it, weights' values aside
  std::vector<int64_t> dims;
  int64_t classes;
};

RandomNetwork drawNetwork(uint64_t seed, const NetworkKind& kind);

}  // namespace simaqat
