// Bad input: exit status 3, one line on standard error that names the culprit, and the output file
// as it was.
#pragma once

#include <string>
#include <vector>

#include "tests/cli/run.h"

namespace simaqat::cli {

// Runs the command with an output file that is there already and with one that is not: neither
// changes, and nothing is left beside it. The last result.
Result runUntouched(const Args& args);
// The line has all of the pieces in it.
void checkOneLine(const Result& result, const std::vector<std::string>& pieces);
// Both.
void expectBadInput(const Args& args, const std::vector<std::string>& pieces);

// A training run of the small network, without an output.
Args trainArgs(const std::string& model, const std::string& manifest,
               const std::string& loss = "cross_entropy");

}  // namespace simaqat::cli
