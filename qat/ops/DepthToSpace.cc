#include "qat/ops/shared/blocks.h"
#include "qat/ops/shared/examples.h"
#include "qat/ops/shared/gradient_nodes.h"

namespace simaqat::ops {
namespace {

struct DepthToSpaceAttributes {
  int64_t blocksize = 0;
  std::string mode = "DCR";

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& visit) {
    visit.required("blocksize", self.blocksize);
    visit("mode", self.mode);
  }
};

void infer(InferContext& c) {
  const auto& attributes = c.node.attributes<DepthToSpaceAttributes>();
  if (attributes.mode != "DCR" && attributes.mode != "CRD") {
    c.node.fail("attribute 'mode': '{}' is not known", attributes.mode);
  }
  inferBlocks(c, attributes.blocksize, true);
}

void evaluate(const EvalContext& c) {
  const auto& attributes = c.node.attributes<DepthToSpaceAttributes>();
  const bool depth_first = attributes.mode == "DCR";
  copyBlocks(c, attributes.blocksize,
             depth_first ? BlockOrder::kDepthFirst : BlockOrder::kColumnFirst, true);
}

// The way back, which for CRD is no operator of ONNX's.
void gradient(GradientContext& c) {
  const auto& attributes = c.node.attributes<DepthToSpaceAttributes>();
  const int64_t b = attributes.blocksize;
  const std::vector<int64_t> y = c.output()->type.dims();
  Value* blocks = reshaped(c, c.outputGradient(), {y[0], y[1], y[2] / b, b, y[3] / b, b});
  TransposeAttributes order;
  order.perm = attributes.mode == "DCR" ? std::vector<int64_t>{0, 3, 5, 1, 2, 4}
                                        : std::vector<int64_t>{0, 1, 3, 5, 2, 4};
  c.setInputGradient(0, c.reshapeLike(c.add("Transpose", {blocks}, order), c.input(0)));
}

void downgrade(PortableNode& node, int opset) {
  const auto mode = node.attributes.find("mode");
  if (opset >= 11 || mode == node.attributes.end()) return;
  if (!attributesEqual(mode->second, std::string("DCR"))) node.fail("mode 'CRD' needs opset 11");
  node.attributes.erase(mode);
}

std::vector<OpExample> examples() {
  const auto mode = [](const char* name) {
    return AttributeMap{{"blocksize", int64_t{2}}, {"mode", std::string(name)}};
  };
  return {
      {"depth first", {{"blocksize", int64_t{2}}}, {exampleTensor({2, 8, 2, 3})}},
      {"columns first", mode("CRD"), {exampleTensor({2, 8, 3, 2})}},
      {"blocks of nine", {{"blocksize", int64_t{3}}}, {exampleTensor({1, 9, 2, 1})}},
      {"integers", mode("CRD"), {exampleIntegers({1, 4, 1, 2}, 0, 99)}},
  };
}

}  // namespace

OpDefinition defineDepthToSpace() {
  OpDefinition op;
  op.name = "DepthToSpace";
  op.make_attributes = &makeAttributes<DepthToSpaceAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.gradient = gradient;
  op.quantization.output = OutputQuantization::kShares;
  op.downgrade = downgrade;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
