#include "qat/ops/shared/cross_entropy.h"

#include "qat/ops/shared/examples.h"

namespace simaqat::ops {

void inferLabelLoss(InferContext& c) {
  const std::string& reduction = c.node.attributes<CrossEntropyAttributes>().reduction;
  if (reduction != "none" && reduction != "sum" && reduction != "mean") {
    c.node.fail("attribute 'reduction': '{}' is not known", reduction);
  }
  const ElementType labels_type = c.input(kLabels).element;
  if (labels_type != ElementType::kInt32 && labels_type != ElementType::kInt64) {
    c.node.fail("input 1: expected labels of int32 or int64, got {}",
                typeToString(c.input(kLabels)));
  }
  c.expectElement(kWeights, c.input(kScores).element);
  c.expectRank(kWeights, 1);
  const Shape* scores = c.shape(kScores);
  const Shape* labels = c.shape(kLabels);
  if (scores != nullptr && scores->size() < 2) {
    c.node.fail("input 0: expected rank 2 or more, got {}", typeToString(c.input(kScores)));
  }
  if (scores != nullptr && labels != nullptr) {
    c.expectRank(kLabels, scores->size() - 1);
    for (size_t axis = 0; axis < labels->size(); ++axis) {
      const Dim& from = (*scores)[axis == 0 ? 0 : axis + 1];
      if (from.known() && (*labels)[axis].known() && from.value != (*labels)[axis].value) {
        c.node.fail("input 1: expected labels for scores of {}, got {}", shapeToString(*scores),
                    shapeToString(*labels));
      }
    }
  }
  c.setOutput(0, c.input(kScores).element,
              reduction == "none" ? c.input(kLabels).shape : std::optional<Shape>(Shape{}));
}

std::vector<OpExample> labelLossExamples() {
  const auto reduction = [](const char* name) {
    return AttributeMap{{"reduction", std::string(name)}};
  };
  const Tensor weights = exampleTensor({4}, 3, 0.5, 2);
  const Tensor some_ignored = Tensor::of<int64_t>({5}, {3, -100, 0, -100, 2});
  std::vector<OpExample> list = {
      {"mean", {}, {exampleTensor({5, 4}), exampleIntegers({5}, 0, 4)}},
      {"sum", reduction("sum"), {exampleTensor({5, 4}), exampleIntegers({5}, 0, 4)}},
      {"none", reduction("none"), {exampleTensor({5, 4}), exampleIntegers({5}, 0, 4)}},
      {"weights", {}, {exampleTensor({5, 4}), exampleIntegers({5}, 0, 4), weights}},
      {"ignored",
       {{"ignore_index", int64_t{-100}}},
       {exampleTensor({5, 4}), some_ignored, weights}},
      {"images",
       reduction("none"),
       {exampleTensor({2, 4, 3, 2}), exampleIntegers({2, 3, 2}, 0, 4), weights}},
  };
  for (OpExample& example : list) example.differentiate = {kScores};
  return list;
}

}  // namespace simaqat::ops
