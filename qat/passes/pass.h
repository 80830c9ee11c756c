// How passes run: each is a function on a graph, checked by the verifier, and shown on demand.
#pragma once

#include <functional>
#include <string>

#include "qat/ir/graph.h"

namespace simaqat {

// Runs the pass and verifies the graph; prints the graph on standard error where the
// user asked for the pass with --dump-after.
void runPass(Graph& graph, const std::string& name, const std::function<void(Graph&)>& pass);

// The pass to print after; "" for none, "all" for every one.
void setDumpAfter(const std::string& name);
// At the end of a command: a usage Error, which lists the passes that ran, where that was none of
// them.
void checkDumpAfter();

}  // namespace simaqat
