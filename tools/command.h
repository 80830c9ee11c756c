// What the subcommands share.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "qat/train/model.h"
#include "qat/train/moment.h"

namespace simaqat {

// A subcommand: `add` declares its options on an App of its own, `run` does the work and returns
// the exit status.
class Command {
 public:
  virtual ~Command() = default;
  virtual const char* name() const = 0;
  virtual const char* summary() const = 0;
  // Examples and notes at the end of --help.
  virtual const char* footer() const = 0;
  virtual void declare(CLI::App& app) = 0;
  virtual int run() = 0;
};

std::unique_ptr<Command> makePrepareCommand();
std::unique_ptr<Command> makeTrainCommand();
std::unique_ptr<Command> makeFinalizeCommand();
std::unique_ptr<Command> makeExportCommand();
std::unique_ptr<Command> makeEvalCommand();
std::unique_ptr<Command> makeBenchCommand();
std::unique_ptr<Command> makeInspectCommand();

// "auto", "train" or "frozen".
BatchNormPolicy parseBatchNormPolicy(const std::string& text);

// A number from `least` to `most`; no NaN.
CLI::Validator numberIn(double least, double most);
// Declares an option for a count of steps, epochs or samples, from `least` on.
CLI::Option* addCount(CLI::App& app, const char* name, int64_t& count, const char* help,
                      int64_t least = 0);
// Declares an option for a point in a run: N steps, or Ne epochs.
CLI::Option* addMoment(CLI::App& app, const char* name, Moment& moment, const char* help);
// Declares --threads; `threads` stays 0, for as many as there are processors, without it.
void addThreadsOption(CLI::App& app, int& threads);

// "1,234,567" bytes as "1.2 MiB".
std::string readableBytes(int64_t bytes);

// Columns padded to their widest cell, two spaces between.
std::string table(const std::vector<std::vector<std::string>>& rows);

void printWarnings(const Model& model);

}  // namespace simaqat
