#include "tools/options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <optional>

#include "kernels/isa.h"
#include "qat/base/error.h"

namespace simaqat {
namespace {

CLI::Validator numberIn(double least, double most) {
  const auto check = [=](const std::string& text) -> std::string {
    double number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    const bool whole = error == std::errc() && rest == end;
    // NaN compares false.
    if (whole && number >= least && number <= most) return "";
    return fmt::format("{}: expected a number from {} to {}", text, least, most);
  };
  return CLI::Validator(check, "");
}

}  // namespace

Option& Option::required() {
  option_->required();
  return *this;
}

Option& Option::showDefault() {
  option_->capture_default_str();
  return *this;
}

Option& Option::commaSeparated() {
  option_->delimiter(',');
  return *this;
}

Option& Option::values(int count) {
  option_->expected(count);
  return *this;
}

Option& Option::oneOf(const std::vector<std::string>& words) {
  option_->check(CLI::IsMember(words));
  return *this;
}

Option& Option::between(double least, double most) {
  option_->check(numberIn(least, most));
  return *this;
}

Option& Option::needs(const Option& other) {
  option_->needs(other.option_);
  return *this;
}

Option& Option::excludes(const Option& other) {
  option_->excludes(other.option_);
  return *this;
}

template <class T>
Option OptionSet::add(const char* name, T& value, const char* help) {
  return Option(app_.add_option(name, value, help));
}
template Option OptionSet::add(const char*, std::string&, const char*);
template Option OptionSet::add(const char*, std::vector<std::string>&, const char*);
template Option OptionSet::add(const char*, std::vector<float>&, const char*);
template Option OptionSet::add(const char*, int&, const char*);
template Option OptionSet::add(const char*, int64_t&, const char*);
template Option OptionSet::add(const char*, uint64_t&, const char*);
template Option OptionSet::add(const char*, float&, const char*);
template Option OptionSet::add(const char*, double&, const char*);
template Option OptionSet::add(const char*, std::vector<double>&, const char*);
template Option OptionSet::add(const char*, std::optional<float>&, const char*);
template Option OptionSet::add(const char*, std::optional<double>&, const char*);

Option OptionSet::flag(const char* name, bool& value, const char* help) {
  return Option(app_.add_flag(name, value, help));
}

Option OptionSet::count(const char* name, int64_t& value, const char* help, int64_t least) {
  // The product of two is far from overflow.
  constexpr double kMost = 1e9;
  return add(name, value, help).between(static_cast<double>(least), kMost);
}

Option OptionSet::bytes(const char* name, int64_t& value, const char* help) {
  return Option(app_.add_option(name, value, help)
                    ->type_name("BYTES")
                    ->transform(CLI::AsSizeValue(false))
                    ->check(CLI::PositiveNumber));
}

Option OptionSet::moment(const char* name, Moment& value, const char* help) {
  const auto check = [](const std::string& text) -> std::string {
    if (Moment::parse(text)) return "";
    return fmt::format("{}: expected a number of steps (500), or of epochs (2e)", text);
  };
  const auto set = [&value](const std::string& text) { value = *Moment::parse(text); };
  return Option(app_.add_option_function<std::string>(name, set, help)
                    ->type_name("N|Ne")
                    ->check(CLI::Validator(check, "")));
}

Option OptionSet::threads(int& value) {
  return add("--threads", value, "Default: all processors").between(1, 1024);
}

Option OptionSet::backward(std::string& value) {
  return add("--backward", value,
             "What the operands of gradients' products are rounded to: fp32 (not at all), or bf16 "
             "(faster, where the CPU has AVX512_BF16)")
      .showDefault()
      .oneOf({"fp32", "bf16"});
}

Option OptionSet::reference(Execution& value) {
  const auto set = [&value](int64_t given) {
    value = given > 0 ? Execution::kReference : Execution::kFast;
  };
  return Option(app_.add_flag_function(
      "--reference", set,
      "Run every node by its definition, without codes, integer products, fusion and fast kernels: "
      "slow, to compare with"));
}

bool asksForBfloat16(const std::string& backward) {
  if (backward != "bf16") return false;
  if (!kernels::hasBfloat16Products()) {
    throw usageError("--backward bf16: needs avx512bf16, and this is {}{}",
                     kernels::isaName(kernels::kernels().isa),
                     kernels::detectedIsa() >= kernels::Isa::kAvx512Bf16 ? " (SIMAQAT_ISA)" : "");
  }
  return true;
}

}  // namespace simaqat
