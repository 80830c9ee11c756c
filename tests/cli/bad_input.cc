#include "tests/cli/bad_input.h"

#include <filesystem>

#include "tests/catch.h"
#include "tests/cli/samples.h"

namespace simaqat::cli {

namespace fs = std::filesystem;
using Catch::Matchers::ContainsSubstring;

Result runUntouched(const Args& args) {
  const std::string folder = scratch("out/");
  for (const char* before : {"as it was", ""}) {
    const std::string output = folder + "output.onnx";
    fs::remove(output);
    if (*before != '\0') saveText(before, output);
    Result result = run(args + Args{"-o", output});
    CHECK(bytesOf(output) == before);
    CHECK(fs::exists(output) == (*before != '\0'));
    // No temporary file stays behind.
    for (const auto& entry : fs::directory_iterator(folder)) CHECK(entry.path() == output);
    if (*before == '\0') return result;
  }
  return {};
}

void checkOneLine(const Result& result, const std::vector<std::string>& pieces) {
  INFO(result.err);
  CHECK(result.status == 3);
  CHECK(linesOf(result.err).size() == 1);
  CHECK(result.err.rfind("error: ", 0) == 0);
  for (const std::string& piece : pieces) CHECK_THAT(result.err, ContainsSubstring(piece));
}

void expectBadInput(const Args& args, const std::vector<std::string>& pieces) {
  INFO(Catch::StringMaker<Args>::convert(args));
  checkOneLine(runUntouched(args), pieces);
}

Args trainArgs(const std::string& model, const std::string& manifest, const std::string& loss) {
  return {"train",  model,      "--loss", loss,           "--data",
          manifest, "--epochs", "1",      "--batch-size", "16"};
}

}  // namespace simaqat::cli
