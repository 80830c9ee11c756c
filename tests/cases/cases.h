// Small models that once failed, each with the right values: ../shared/cases, whose README says
// what each must do. Runs the program on them as its user would, on every instruction set.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "qat/base/tensor.h"
#include "qat/ir/graph.h"
#include "tests/cli/run.h"

namespace simaqat::cases {

// A source model, its data and its values, in a folder of ../shared/cases.
struct Case {
  // `name` is the model's file without ".onnx".
  explicit Case(const std::string& folder, const std::string& name = "model");

  std::string model, manifest, expected, folder;
  // Where this case's results go.
  std::string out(const std::string& file) const;
  // An array of the case's .npz.
  Tensor value(const std::string& key) const;
  double number(const std::string& key) const;
  // The case's own loss graph, or "cross_entropy" where the data have labels, "mse" where they have a
  // target.
  std::string loss() const;
  // The samples that the data have.
  int64_t samples() const;
};

// Whether ../shared/cases is there.
bool present();

// Calls `function` with SIMAQAT_ISA set to each instruction set that the processor has.
void onEveryIsa(const std::function<void()>& function);

// A JSON Lines file of metrics: the value of `key` in each record that has it.
std::vector<double> metric(const std::string& path, const std::string& key);

// One FP32 step at learning rate 64 gives the loss and the gradients of the case's .npz, and moves
// nothing else.
void checkStep(const Case& c, const cli::Args& extra = {});

struct FlowOptions {
  std::string loss;   // "": the case's own
  int64_t batch = 0;  // 0: all samples
  int64_t steps = 1;
  cli::Args prepare, train, finalize, export_file;  // further arguments
  std::string source;                               // "": the case's own model
};

struct Flow {
  std::string table;                                   // what `prepare` printed
  std::string prepared, trained, finalized, exported;  // paths
  double first_loss = 0;  // of the first step; NaN where there was none
  double loss = 0;        // of the exported file
  std::string err;        // what all commands said on standard error
};

// prepare, train, finalize, export and eval: each must end with status 0, and the loss of the
// exported file must be finite.
Flow runFlow(const Case& c, const FlowOptions& options = {});

// Runs the flow; the first QAT loss is within `tolerance` of the case's FP32 loss.
Flow checkFlow(const Case& c, double tolerance = 0.3, const FlowOptions& options = {});

// Every Conv and Gemm of an exported file takes its weight from a DequantizeLinear of stored codes
// with one scale for each output channel, and no BatchNormalization is left.
void checkInteger(const std::string& exported);

// The loss that `eval` finds.
double evalLoss(const std::string& model, const std::string& loss, const std::string& manifest);

// The graph of a file, as the program reads it.
Graph graphOf(const std::string& path);

}  // namespace simaqat::cases
