// What the subcommands share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "qat/train/model.h"
#include "tools/options.h"

namespace simaqat {

// A subcommand: `declare` declares its options, `run` does the work and returns
// the exit status.
class Command {
 public:
  virtual ~Command() = default;
  virtual const char* name() const = 0;
  virtual const char* summary() const = 0;
  // Examples and notes at the end of --help.
  virtual const char* footer() const = 0;
  virtual void declare(OptionSet& set) = 0;
  virtual int run() = 0;
};

std::unique_ptr<Command> makePrepareCommand();
std::unique_ptr<Command> makeTrainCommand();
std::unique_ptr<Command> makeFinalizeCommand();
std::unique_ptr<Command> makeExportCommand();
std::unique_ptr<Command> makeEvalCommand();
std::unique_ptr<Command> makePredictCommand();
std::unique_ptr<Command> makeBenchCommand();
std::unique_ptr<Command> makeInspectCommand();

// "auto", "train" or "frozen".
BatchNormPolicy parseBatchNormPolicy(const std::string& text);

// Columns padded to their widest cell, two spaces between.
std::string table(const std::vector<std::vector<std::string>>& rows);

void printWarnings(const Model& model);

}  // namespace simaqat
