// A trained FP32 network beside the model, for losses that compare the two.
#pragma once

#include <string>
#include <vector>

#include "qat/ir/graph.h"
#include "qat/train/loss.h"

namespace simaqat {

struct Teacher {
  Graph graph;  // in evaluation, its weights constants
  std::string path;
  std::string hash;
};

// An Error where the file is not an FP32 model.
Teacher loadTeacher(const std::string& path);

// Adds the teacher's outputs to the model's, as teacher/NAME. Its inputs are the model's of the
// same names; an Error names one that is not.
void addTeacher(Graph& model, const Teacher& teacher);

// Makes of a loss (1 - weight) * loss + weight * distillation, with (Hinton 2015)
// distillation = T^2 * KL(softmax(teacher / T) || softmax(model / T)), of the first outputs along
// axis 1, the mean over the samples. The parts are further outputs, `task` and `distillation`.
// `model` has the teacher's outputs already; appends to `binds` where the new inputs come from.
void distill(Loss& loss, const Graph& model, const Teacher& teacher, float weight,
             float temperature, std::vector<std::string>& binds);

}  // namespace simaqat
