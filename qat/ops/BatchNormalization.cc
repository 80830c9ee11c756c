#include "qat/ops/shared/batch_norm.h"
#include "qat/ops/shared/examples.h"

namespace simaqat::ops {
namespace {

void infer(InferContext& c) {
  checkBatchNormInputs(c);
  c.setOutput(0, c.input(0).element, c.input(0).shape);
  for (size_t i = 1; i < 3; ++i) c.setOutput(i, c.input(i + 2).element, c.input(i + 2).shape);
}

// Statistics as they run; training_mode = 1 is specialized away before anything is evaluated, but
// the definition holds for it too.
void evaluate(const EvalContext& c) {
  const auto& a = c.node.attributes<BatchNormAttributes>();
  visitFloat(c, c.out().type, [&](auto tag) {
    using T = decltype(tag);
    const kernels::BatchNormShape s = batchNormShape(c.in(0));
    const T* x = c.in(0).data<T>();
    for (int64_t ch = 0; ch < s.channels; ++ch) {
      double mean = c.in(3).data<T>()[ch];
      double var = c.in(4).data<T>()[ch];
      if (a.training_mode) {
        const double count = static_cast<double>(s.batch * s.inner);
        double sum = 0;
        forEachInChannel(s, ch, [&](int64_t i) { sum += x[i]; });
        const double batch_mean = sum / count;
        double squares = 0;
        forEachInChannel(s, ch, [&](int64_t i) {
          squares += (x[i] - batch_mean) * (x[i] - batch_mean);
        });
        const double batch_var = squares / count;
        const double m = a.momentum;
        if (c.outputs.size() > 1) {
          c.out(1).data<T>()[ch] = static_cast<T>(mean * m + batch_mean * (1 - m));
        }
        if (c.outputs.size() > 2) {
          c.out(2).data<T>()[ch] = static_cast<T>(var * m + batch_var * (1 - m));
        }
        mean = batch_mean;
        var = batch_var;
      }
      const double factor = c.in(1).data<T>()[ch] / std::sqrt(var + a.epsilon);
      const double beta = c.in(2).data<T>()[ch];
      T* y = c.out().data<T>();
      forEachInChannel(
          s, ch, [&](int64_t i) { y[i] = static_cast<T>((x[i] - mean) * factor + beta); });
    }
  });
}

void kernel(const EvalContext& c) {
  const auto& a = c.node.attributes<BatchNormAttributes>();
  if (a.training_mode) return evaluate(c);
  kernels::batchNormInference(batchNormShape(c.in(0)), c.in(0).data<float>(),
                              c.in(1).data<float>(), c.in(2).data<float>(), c.in(3).data<float>(),
                              c.in(4).data<float>(), a.epsilon, c.out().data<float>(), c.pool);
}

// Of the form with running statistics; the training form has its own operator.
void gradient(GradientContext& c) {
  const auto& a = c.node.attributes<BatchNormAttributes>();
  SIMAQAT_CHECK(!a.training_mode, "{} was not specialized", c.node.describe());
  const std::vector<Value*> results =
      c.addMany("simaqat::BatchNormFrozenGradient",
                {c.outputGradient(), c.factor(c.input(0)), c.input(1), c.input(3), c.input(4)}, 3,
                wrapAttributes(a));
  for (size_t i = 0; i < 3; ++i) {
    if (c.wants(i)) c.setInputGradient(i, results[i]);
  }
}

void specialize(Graph& graph, Node& node, const Specialization& s) {
  const auto& a = node.attributes<BatchNormAttributes>();
  if (!a.training_mode) return;
  Graph::NodeOptions options;
  options.before = &node;
  if (s.mode != Mode::kEvaluate && !s.freeze_batch_norm) {
    BatchNormTrainingAttributes training;
    static_cast<BatchNormAttributes&>(training) = a;
    training.unbiased_running_var = s.unbiased_running_var;
    options.output_count = 5;
    Node* replacement = graph.addNode("simaqat::BatchNormTraining", node.name(), node.inputs(),
                                      wrapAttributes(training), options);
    for (size_t i = 0; i < node.outputCount(); ++i) {
      graph.replaceUses(node.output(i), replacement->output(i));
    }
  } else {
    BatchNormAttributes running = a;
    running.training_mode = false;
    Node* replacement = graph.addNode("BatchNormalization", node.name(), node.inputs(),
                                      wrapAttributes(running), options);
    replacement->output()->quantizer = node.output()->quantizer;
    graph.replaceUses(node.output(), replacement->output());
    // Statistics that are not updated stay what they were.
    for (size_t i = 1; i < node.outputCount(); ++i) {
      graph.replaceUses(node.output(i), node.input(i + 2));
    }
  }
  graph.removeNode(&node);
}

// Before opset 14 training was told by five outputs, before 9 by the attribute is_test; per-element
// statistics (spatial = 0) went away with opset 9.
void upgrade(PortableNode& node, int opset) {
  if (opset < 14) {
    while (!node.outputs.empty() && node.outputs.back().empty()) node.outputs.pop_back();
    const bool trains = node.outputs.size() > 1;
    if (node.outputs.size() > 3) node.outputs.resize(3);
    if (auto spatial = node.attributes.find("spatial"); spatial != node.attributes.end()) {
      const auto* number = std::get_if<int64_t>(&spatial->second);
      if (number == nullptr || *number != 1) node.fail("spatial = 0 is not supported");
      node.attributes.erase(spatial);
    }
    node.attributes.erase("is_test");
    node.attributes["training_mode"] = int64_t{trains};
  }
}

void downgrade(PortableNode& node, int opset) {
  if (opset < 14) node.attributes.erase("training_mode");
}

std::vector<OpExample> examples() {
  std::vector<OpExample> all;
  const auto parameters = [](Tensor x, int64_t channels) {
    return std::vector<Tensor>{std::move(x), exampleTensor({channels}, 2, 0.5, 2),
                               exampleTensor({channels}, 3), exampleTensor({channels}, 4),
                               exampleTensor({channels}, 5, 0.5, 2)};
  };
  all.emplace_back("images", AttributeMap{{"epsilon", 1e-3f}},
                   parameters(exampleTensor({2, 3, 4, 2}), 3));
  all.emplace_back("rows", AttributeMap{}, parameters(exampleTensor({4, 3}), 3));
  // Statistics are constants.
  for (OpExample& example : all) example.differentiate = {0, 1, 2};
  return all;
}

}  // namespace

OpDefinition defineBatchNormalization() {
  OpDefinition op;
  op.name = "BatchNormalization";
  op.first_opset = 7;
  op.min_inputs = op.max_inputs = 5;
  op.max_outputs = 3;
  op.make_attributes = &makeAttributes<BatchNormAttributes>;
  op.infer = infer;
  op.evaluate = evaluate;
  op.kernel = kernel;
  op.gradient = gradient;
  op.specialize = specialize;
  op.quantization.output = OutputQuantization::kComputes;
  op.quantization.fuses_activation = true;
  op.upgrade = upgrade;
  op.downgrade = downgrade;
  op.examples = examples;
  return op;
}

}  // namespace simaqat::ops
