// What GroupNormalization and InstanceNormalization share: inputs (x, scale, bias) with x of
// [N, C, ...], a scale and a bias for each channel, and the channels in groups of equal size that
// are normalised together, per image.
#pragma once

#include "qat/ops/shared/layer_norm.h"

namespace simaqat::ops {

// The shape rule.
void inferGroupNorm(InferContext& c);

// Evaluation, with input 0's channels in so many groups.
void evaluateGroupNorm(const EvalContext& c, int64_t groups, double epsilon);

// The gradient rule: a group is a row to LayerNormalization.
void groupNormGradient(GradientContext& c, int64_t groups, float epsilon);

}  // namespace simaqat::ops
