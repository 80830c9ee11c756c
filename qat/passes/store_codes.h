// Keeps quantized activations as their 8-bit codes.
#pragma once

#include "qat/ir/graph.h"

namespace simaqat {

// FakeQuantize of an activation, per tensor and with codes of 0 to 255, becomes simaqat::Quantize,
// whose codes live as long as anybody needs the value, and simaqat::Dequantize in front of those who
// do. Operators that only move values move codes instead, where they can (QuantizationTraits). Each
// consumer that fusing cannot serve (fuse_pointwise.h) has a Dequantize of its own right in front of
// it, so that no float tensor lives from forward to backward. Same numbers, bit for bit.
void storeCodes(Graph& graph);

}  // namespace simaqat
