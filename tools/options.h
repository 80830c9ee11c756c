// The options of a subcommand. CLI11 reads them; it is seen in options.cc and main.cc alone, since
// its headers take seconds to compile.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qat/exec/executor.h"
#include "qat/optim/moment.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace simaqat {

// An option that was added; what is said of it here holds from then on.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option& required();
  // --help shows the value that the variable has now.
  Option& showDefault();
  // "a,b" is two values.
  Option& commaSeparated();
  // Exactly so many values.
  Option& values(int count);
  Option& oneOf(const std::vector<std::string>& words);
  // A number from `least` to `most`; no NaN.
  Option& between(double least, double most);
  // An error without that other option.
  Option& needs(const Option& other);
  // An error together with that other option.
  Option& excludes(const Option& other);

 private:
  CLI::Option* option_;
};

class OptionSet {
 public:
  explicit OptionSet(CLI::App& app) : app_(app) {}

  // An option that sets `value`. A name without dashes is an argument.
  template <class T>
  Option add(const char* name, T& value, const char* help);
  Option flag(const char* name, bool& value, const char* help);
  // A count of steps, epochs, samples or bytes, from `least` on.
  Option count(const char* name, int64_t& value, const char* help, int64_t least = 0);
  // Bytes: 1000000, 512MiB.
  Option bytes(const char* name, int64_t& value, const char* help);
  // A point in a run: N steps, or Ne epochs.
  Option moment(const char* name, Moment& value, const char* help);
  // --threads; `value` stays 0, for as many as there are processors, without it.
  Option threads(int& value);
  // --backward: fp32 or bf16.
  Option backward(std::string& value);
  // --reference.
  Option reference(Execution& value);

 private:
  CLI::App& app_;
};

// Whether --backward says bf16; a usage Error where the processor has no products of it.
bool asksForBfloat16(const std::string& backward);

}  // namespace simaqat
