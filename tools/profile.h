// Where a step's time goes, node by node.
#pragma once

#include <string>
#include <vector>

#include "qat/exec/executor.h"

namespace simaqat {

// Writes the times of one step as a Chrome trace (chrome://tracing, Perfetto): an event a node, with
// its operator, operations and bytes.
void writeTrace(const std::string& path, const std::vector<Executor::NodeTime>& times);

// Prints a table by operator and one by node, the longest first: milliseconds, GFLOP/s, GB/s, and the
// share of what this machine does at most, by measurement: floating-point multiply-adds or, for
// integer products, those of 8-bit codes; bytes by a copy of memory. Bytes are those of the node's
// inputs and outputs, once each. `samples` holds the times of several steps; medians are printed.
void printProfile(const std::vector<std::vector<Executor::NodeTime>>& samples, ThreadPool& pool);

}  // namespace simaqat
