// LSTM, GRU and RNN. The definition evaluates step by step; passes/expand_recurrent.h makes them of
// elementary operators, through which gradients go.
#pragma once

#include "qat/ir/op.h"
#include "qat/ops/shared/recurrent_attributes.h"

namespace simaqat::ops {

// The operator without its examples.
OpDefinition recurrentDefinition(const char* name);

// Examples with each form that the three have in common.
std::vector<OpExample> recurrentExamples(int64_t gates);
// Inputs for `gates`: a sequence of 4 with a batch of 2, 3 features and 2 hidden units.
std::vector<Tensor> recurrentInputs(int64_t gates, int64_t directions = 1,
                                    bool batch_first = false);

}  // namespace simaqat::ops
