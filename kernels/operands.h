// What kernels of gradients multiply.
#pragma once

namespace simaqat::kernels {

// What operands are rounded to before they are multiplied; sums are float32. Products of bfloat16
// numbers are for processors with an instruction for them (isa.h); elsewhere they are slow.
enum class Operands { kFloat, kBfloat16 };

}  // namespace simaqat::kernels
