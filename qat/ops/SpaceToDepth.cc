#include "qat/ops/shared/blocks.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

struct SpaceToDepthAttributes {
  int64_t blocksize = 0;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit.required("blocksize", self.blocksize);
  }
};

void infer(InferContext& c) {
  inferBlocks(c, c.node.attributes<SpaceToDepthAttributes>().blocksize, false);
}

void evaluate(const EvalContext& c) {
  copyBlocks(c, c.node.attributes<SpaceToDepthAttributes>().blocksize, BlockOrder::kDepthFirst,
             false);
}

// DepthToSpace has the same attribute, and undoes it by default.
void gradient(GradientContext& c) {
  auto attributes = c.graph.registry().get("DepthToSpace").make_attributes();
  attributes->parse(c.node.rawAttributes().toMap());
  c.setInputGradient(0, c.add("DepthToSpace", {c.outputGradient()}, std::move(attributes)));
}

std::vector<OpExample> examples() {
  return {
      {"blocks of four", {{"blocksize", int64_t{2}}}, {exampleTensor({2, 3, 4, 6})}},
      {"blocks of nine", {{"blocksize", int64_t{3}}}, {exampleTensor({1, 2, 3, 6})}},
      {"integers", {{"blocksize", int64_t{2}}}, {exampleIntegers({1, 1, 2, 4}, 0, 99)}},
  };
}

}  // namespace

OpDefinition defineSpaceToDepth() {
  OpDefinition op;
  op.name = "SpaceToDepth";
  op.make_attributes = &makeAttributes<SpaceToDepthAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kShares;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
