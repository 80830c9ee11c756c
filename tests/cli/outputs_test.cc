// Where results go: files that are no regular ones are written into, and a full one is an error.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/catch.h"
#include "tests/cli/run.h"
#include "tests/cli/samples.h"

using Catch::Matchers::ContainsSubstring;
using namespace simaqat::cli;

namespace {

std::string binary() { return "tools/simaqat"; }

int statusOf(const std::string& command) {
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_CASE("a device is written into, and stays one") {
  const Stages& s = stages();
  // A link leads to it, so that a rename would replace no device of the system.
  const std::string null = scratch("null.onnx");
  std::filesystem::remove(null);
  std::filesystem::create_symlink("/dev/null", null);
  runWell({"prepare", s.source, "-o", null});
  runWell({"export", s.finalized, "-o", null});
  runWell({"eval", s.exported, "--data", s.manifest, "--classes", null});
  runWell({"predict", s.exported, "--data", s.manifest, "-o", null});
  runWell({"train", s.prepared, "--loss", "cross_entropy", "--data", s.manifest, "--steps", "1",
           "-o", null, "--metrics", null, "--checkpoint", null});
  CHECK(std::filesystem::is_symlink(null));
  CHECK(std::filesystem::is_character_file(null));
}

TEST_CASE("a pipe gets the whole file") {
  const Stages& s = stages();
  const std::string pipe = scratch("pipe.onnx"), file = scratch("file.onnx");
  std::filesystem::remove(pipe);
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  std::string received;
  std::thread reader([&] { received = bytesOf(pipe); });
  runWell({"export", s.finalized, "-o", pipe});
  reader.join();
  runWell({"export", s.finalized, "-o", file});
  CHECK(received == bytesOf(file));
  CHECK(std::filesystem::is_fifo(pipe));
}

TEST_CASE("a full standard output is a failure of every command") {
  const Stages& s = stages();
  const std::string data = " --data " + s.manifest;
  for (const std::string& args : std::vector<std::string>{
           "--help", "train --help", "inspect " + s.source, "inspect " + s.source + " --json",
           "eval " + s.exported + data, "bench " + s.exported + " --batch-size 2 --steps 1",
           "prepare " + s.source + " -o " + scratch("full.onnx"),
           "predict " + s.exported + data + " -o /dev/stdout",
           "export " + s.finalized + " -o /dev/stdout"}) {
    INFO(args);
    CHECK(statusOf(binary() + " " + args + " > /dev/full 2> " + scratch("full.err")) == 1);
    CHECK_THAT(bytesOf(scratch("full.err")), ContainsSubstring("cannot be written"));
  }
}

}  // namespace
