// A graph from text: how tests of passes write theirs.
#pragma once

#include <string>

#include "qat/ir/graph.h"

namespace simaqat {

class OpRegistry;

// Reads what toText prints (printer.h). Beyond that a node's types and name may be left out: they
// are inferred, and the first output's name. Empty lines and lines that begin with # are skipped.
// "..." at the end of a tensor repeats the element in front of it (zero where there is none). An
// input Error begins with the line's number.
Graph parseText(const std::string& text, const OpRegistry& registry);

}  // namespace simaqat
