// A small network and small made-up data, so that a whole training run takes a second.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace simaqat::cli {

// "input" [N, 1, 8, 8] to "logits" [N, 4]: two convolutions with BatchNormalization and ReLU, as
// PyTorch exports them for training, then the mean of each channel and a linear layer.
onnx::ModelProto smallNetwork();

onnx::NodeProto* addNode(onnx::ModelProto& model, const std::string& op_type,
                         const std::vector<std::string>& inputs,
                         const std::vector<std::string>& outputs);
void addInput(onnx::ModelProto& model, const std::string& name, int element_type,
              const std::vector<std::string>& dims);
void addOutput(onnx::ModelProto& model, const std::string& name);
onnx::TensorProto* addWeight(onnx::ModelProto& model, const std::string& name,
                             const std::vector<int64_t>& dims, const std::vector<float>& values);
// Opset 17 and nothing else.
onnx::ModelProto emptyModel();
// The batch that the file fixes, in input and output.
void fixBatch(onnx::ModelProto& model, int64_t batch);

onnx::ModelProto load(const std::string& path);
// The bytes of a file's initializers by name.
std::map<std::string, std::string> weightsOf(const std::string& path);
std::string save(const onnx::ModelProto& model, const std::string& path);
std::string saveText(const std::string& text, const std::string& path);

// A folder of images of four kinds of stripes (IDX) with labels; returns the manifest's path.
// Training is augmented.
std::string writeStripes(const std::string& folder, int64_t train, int64_t test);
// Images of 28 x 28 and ten classes for the quickstart's network, train and test the same; returns
// the manifest's path.
std::string writeFashion(const std::string& folder, uint32_t samples);
// The bytes of files.
std::string idx(const std::vector<uint8_t>& values, const std::vector<uint32_t>& dims);
std::string npy(const std::vector<float>& values, const std::vector<int64_t>& dims);

// One file of each stage, made by the program, and the data that it learned from.
struct Stages {
  std::string manifest;
  std::string source;
  std::string prepared;
  std::string trained;
  std::string finalized;
  std::string exported;
};
const Stages& stages();

}  // namespace simaqat::cli
