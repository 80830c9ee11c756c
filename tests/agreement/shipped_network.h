// A network of the zoo on its whole way: prepared, trained, finalized, exported.
#pragma once

#include <string>
#include <vector>

#include "qat/base/thread_pool.h"
#include "qat/ir/graph.h"
#include "qat/passes/scaffold.h"
#include "tests/agreement/images.h"

namespace simaqat {

struct ShippedNetwork {
  std::vector<double> losses;  // of each training step
  Graph trained;    // scaffolded, as its file has it
  Graph finalized;  // as finalize left it
  Graph exported;   // read from the file that users get
  std::string trained_path;
  std::string exported_path;
};

struct ShortTraining {
  int64_t steps;
  int64_t batch;
  float learning_rate;
  // Each BatchNormalization gets a gamma of 0 and a negative one, which stay: finalize must not
  // divide by the former, and turns the codes' signs for the latter.
  bool unusual_gammas = false;
};

// Scaffolds the network, trains it on the images (SGD, cross entropy) and takes it through the files
// that the command line writes, in the test's own folder.
ShippedNetwork shipNetwork(const std::string& network, const ScaffoldOptions& recipe,
                           const Images& images, const ShortTraining& training, ThreadPool& pool);

// The same from a scaffolded graph whose ranges are set; `name` is of its files.
ShippedNetwork ship(Graph graph, const std::string& name);

// The first output of a graph in evaluation, for all images, `batch` at a time.
Tensor evaluateAll(const Graph& graph, const Tensor& pixels, int64_t batch, ThreadPool& pool);

}  // namespace simaqat
