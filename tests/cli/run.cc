#include "tests/cli/run.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/catch.h"

namespace simaqat::cli {
namespace {

// Tests run in their runfiles' root.
constexpr char kProgram[] = "tools/simaqat";

void redirect(const std::string& path, int descriptor) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (file < 0 || ::dup2(file, descriptor) < 0) ::_exit(126);
  ::close(file);
}

}  // namespace

std::string scratch(const std::string& name) {
  const char* folder = std::getenv("TEST_TMPDIR");
  const std::filesystem::path path =
      std::filesystem::path(folder != nullptr ? folder : "/tmp") / name;
  std::filesystem::create_directories(path.parent_path());
  return path.string();
}

Process::Process(const Args& args) {
  static int count = 0;
  out_path_ = scratch("stdout-" + std::to_string(++count));
  err_path_ = scratch("stderr-" + std::to_string(count));
  std::vector<char*> argv = {const_cast<char*>(kProgram)};
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  pid_ = ::fork();
  REQUIRE(pid_ >= 0);
  if (pid_ == 0) {
    redirect(out_path_, STDOUT_FILENO);
    redirect(err_path_, STDERR_FILENO);
    ::execv(kProgram, argv.data());
    ::_exit(127);
  }
}

Process::~Process() {
  if (pid_ > 0) {
    send(SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

void Process::send(int signal) const { ::kill(pid_, signal); }

Result Process::wait() {
  int status = 0;
  REQUIRE(::waitpid(pid_, &status, 0) == pid_);
  pid_ = -1;
  Result result;
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = bytesOf(out_path_);
  result.err = bytesOf(err_path_);
  std::filesystem::remove(out_path_);
  std::filesystem::remove(err_path_);
  return result;
}

Result run(const Args& args) { return Process(args).wait(); }

Result runWell(const Args& args) {
  Result result = run(args);
  INFO(result.err);
  REQUIRE(result.status == 0);
  return result;
}

Args operator+(Args a, const Args& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<std::string> linesOf(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string bytesOf(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace simaqat::cli
