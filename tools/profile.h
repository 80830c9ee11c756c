// Where a step's time goes, node by node.
#pragma once

#include <string>
#include <vector>

#include "kernels/machine_peak.h"
#include "qat/exec/executor.h"

namespace simaqat {

// Writes the times of one step as a Chrome trace (chrome://tracing, Perfetto): an event a node, with
// its operator, operations and bytes.
void writeTrace(const std::string& path, const std::vector<Executor::NodeTime>& times);

// What a step would take if everything ran as fast as this machine does at most, and arithmetic did
// not overlap with memory: products of codes at the rate of 8-bit multiply-adds, all other
// operations at that of floats, the bytes of each node's inputs and outputs as fast as a copy.
struct StepFloor {
  double code_operations = 0, other_operations = 0, bytes = 0;
  double code_ms = 0, other_ms = 0, bytes_ms = 0;
  double milliseconds() const { return code_ms + other_ms + bytes_ms; }
};

StepFloor floorOf(const std::vector<Executor::NodeTime>& step, const kernels::MachinePeak& peak);

// Prints a table by operator and one by node, the longest first: milliseconds, GFLOP/s, GB/s, and the
// share of what this machine does at most, by measurement: floating-point multiply-adds or, for
// integer products, those of 8-bit codes; bytes by a copy of memory. Bytes are those of the node's
// inputs and outputs, once each. `samples` holds the times of several steps; medians are printed.
void printProfile(const std::vector<std::vector<Executor::NodeTime>>& samples,
                  const kernels::MachinePeak& peak);

}  // namespace simaqat
