// simaqat's command line: picks the subcommand, and turns what it throws into a line and a status.
#include <google/protobuf/stubs/logging.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <vector>

#include "kernels/isa.h"
#include "qat/base/log.h"
#include "qat/passes/pass.h"
#include "tools/command.h"

namespace simaqat {
namespace {

constexpr char kVersion[] = "0.1.0";

std::vector<std::unique_ptr<Command>> allCommands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(makePrepareCommand());
  commands.push_back(makeTrainCommand());
  commands.push_back(makeFinalizeCommand());
  commands.push_back(makeExportCommand());
  commands.push_back(makeEvalCommand());
  commands.push_back(makePredictCommand());
  commands.push_back(makeBenchCommand());
  commands.push_back(makeInspectCommand());
  return commands;
}

std::string usage(const std::vector<std::unique_ptr<Command>>& commands) {
  std::string text =
      "simaqat: quantization-aware training of neural networks, from ONNX to ONNX\n\n"
      "usage: simaqat COMMAND [OPTIONS]\n\ncommands:\n";
  for (const auto& command : commands) {
    text += fmt::format("  {:<10}{}\n", command->name(), command->summary());
  }
  text +=
      "\nsimaqat COMMAND --help tells a command's options, with examples. Exit status: 0 done,\n"
      "1 failed, 2 bad command line, 3 bad input (model, loss, manifest or data).\n";
  return text;
}

int runCommand(Command& command, int argc, char** argv) {
  CLI::App app(command.summary(), fmt::format("simaqat {}", command.name()));
  bool verbose = false;
  bool quiet = false;
  std::string dump;
  OptionSet options(app);
  command.declare(options);
  app.set_config("--config", "", "Read options from this file (name=value lines)");
  // A misspelt name there is as bad as one on the command line.
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.add_flag("--verbose", verbose, "Say more on standard error");
  app.add_flag("--quiet", quiet, "Warnings and errors only");
  app.add_option("--dump-after", dump, "Print the graph as text after this pass (or all)");
  app.footer(command.footer());
  app.get_formatter()->column_width(34);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ConfigError& error) {
    throw usageError("{}: {}", app.get_config_ptr()->as<std::string>(), error.what());
  } catch (const CLI::ParseError& error) {
    throw usageError("{} (simaqat {} --help tells the options)", error.what(), command.name());
  }
  setUpLogging(verbose, quiet);
  setDumpAfter(dump);
  kernels::kernels();  // an unknown SIMAQAT_ISA is said before any work
  const int status = command.run();
  checkDumpAfter();
  return status;
}

// A result that did not arrive is a failure, wherever it was printed.
void checkStandardOutput() {
  std::cout.flush();
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0 || !std::cout) {
    throw runtimeError("standard output: cannot be written");
  }
}

int run(int argc, char** argv) {
  const auto commands = allCommands();
  const std::string first = argc > 1 ? argv[1] : "--help";
  if (first == "--help" || first == "-h" || first == "help") {
    std::fputs(usage(commands).c_str(), stdout);
    return argc > 1 ? 0 : 2;
  }
  if (first == "--version") {
    std::printf("simaqat %s\n", kVersion);
    return 0;
  }
  for (const auto& command : commands) {
    if (first == command->name()) return runCommand(*command, argc - 1, argv + 1);
  }
  throw usageError("'{}' is not a command (simaqat --help lists them)", first);
}

}  // namespace
}  // namespace simaqat

int main(int argc, char** argv) {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    std::fputs("error: this processor lacks AVX2 and FMA, which simaqat is built for\n", stderr);
    return 1;
  }
#endif
  simaqat::setUpLogging(false, false);
  // What it would say stands in our one line.
  google::protobuf::SetLogHandler(nullptr);
  try {
    const int status = simaqat::run(argc, argv);
    simaqat::checkStandardOutput();
    return status;
  } catch (const simaqat::Error& error) {
    // Names in a file may hold anything.
    simaqat::logError("{}", simaqat::onOneLine(error.what()));
    return simaqat::exitStatus(error.kind());
  } catch (const std::bad_alloc&) {
    simaqat::logError("out of memory");
    return 1;
  } catch (const std::exception& error) {
    simaqat::logError("internal error (a bug of simaqat): {}", error.what());
    return 1;
  }
}
