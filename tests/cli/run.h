// Runs the program as a user does: arguments in; exit status, standard output and error out.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace simaqat::cli {

using Args = std::vector<std::string>;

struct Result {
  int status = -1;  // of exit; 128 + the signal where one killed it
  std::string out;
  std::string err;
};

// A path in this test's own folder.
std::string scratch(const std::string& name);

// A simaqat that runs beside the test. Killed with its object.
class Process {
 public:
  explicit Process(const Args& args);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void send(int signal) const;
  Result wait();

 private:
  pid_t pid_ = -1;
  std::string out_path_;
  std::string err_path_;
};

Result run(const Args& args);
// Fails the test where the exit status is not 0.
Result runWell(const Args& args);

Args operator+(Args a, const Args& b);
std::vector<std::string> linesOf(const std::string& text);
std::string bytesOf(const std::string& path);  // "" where there is no such file

}  // namespace simaqat::cli
